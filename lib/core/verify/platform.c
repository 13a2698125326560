// Which TEE is verified how: the only file that knows. A platform that is not among them is refused by name.
#include "core/verify/parts.h"

static const char not_verified[] = "evidence of this platform is decoded but not verified by this build";

static const char *platform_name(enum envelope_kind k)
{
	static const char *const names[] = { "tdx", "gcp-tdx", "nitro-enclave", "sev-snp", "aws-nitro-tpm" };

	return k < sizeof names / sizeof *names ? names[k] : "unknown";
}

static enum verify_next refuse(struct verify *v, const char *claim, const char *value, const char *code,
			       const char *detail)
{
	verdict_fail(&v->verdict, claim, span_str(value), ANCHOR_NONE, code, detail);
	return VERIFY_CLOSED;
}

// A platform whose quote has no register for runtime events cannot back a list of them, whoever wrote it.
static void no_runtime_register(struct verify *v)
{
	if (v->evidence.env.runtime.n)
		(void)refuse(v, "event_log", "not_applicable", "events.not_applicable",
			     "the platform has no register for events, so nothing backs this list");
}

static enum verify_next open_tdx(struct verify *v)
{
	bool given = v->in.collateral.n || v->evidence.collateral.n;
	enum reason why = given ? REASON_OK : dcap_platform(v->evidence.env.quote, &v->platform);

	if (why)
		return refuse(v, "quote", "", reason_text(why)->code, reason_text(why)->text);
	v->needs_collateral = !given;
	return VERIFY_BEGIN;
}

enum verify_next platform_open(struct verify *v)
{
	const struct verify_evidence *e = &v->evidence;

	if (e->form == VERIFY_CERTIFICATE && !e->env.quote.n)
		return refuse(v, "certificate", "", "ratls.no_evidence", "certificate carries no evidence");
	switch (e->env.kind) {
	case ENVELOPE_TDX:
		return open_tdx(v);
	case ENVELOPE_SNP:
		return snp_open(v);
	case ENVELOPE_NITRO:
		(void)refuse(v, "platform", platform_name(e->env.kind), "envelope.platform", not_verified);
		no_runtime_register(v);
		return VERIFY_CLOSED;
	case ENVELOPE_GCP_TDX:
	case ENVELOPE_NITRO_TPM:
		break;
	}
	return refuse(v, "platform", platform_name(e->env.kind), "envelope.platform", not_verified);
}

void platform_begin(struct verify *v, const struct dcap_collateral *col)
{
	struct dcap_input in = { .quote = v->evidence.env.quote,
				 .now = v->in.now,
				 .allow_service_td = v->in.allow_service_td,
				 .intel_components = v->in.intel_components };

	dcap_begin(&v->dcap, &in, col);
}

bool platform_is_snp(const struct verify *v)
{
	return v->evidence.env.kind == ENVELOPE_SNP;
}

size_t platform_checks(const struct verify *v, const struct sig_check **checks)
{
	if (platform_is_snp(v)) {
		*checks = v->snp.check;
		return v->snp.checks;
	}
	*checks = v->dcap.check;
	return v->dcap.checks;
}

enum reason platform_found(const struct verify *v)
{
	return platform_is_snp(v) ? v->snp.reason : v->dcap.reason;
}

enum reason platform_signed(struct verify *v, uint32_t passed)
{
	return platform_is_snp(v) ? snp_signed(v, passed) : dcap_finish(&v->dcap, passed, &v->quote);
}

void platform_explain(const struct verify *v, char *out, size_t cap)
{
	if (platform_is_snp(v))
		snp_explain(&v->snp, v->reason, out, cap);
	else
		dcap_explain(&v->dcap, v->reason, out, cap);
}

void platform_judge(struct verify *v, const struct verify_image *image)
{
	if (platform_is_snp(v)) {
		snp_judge(v);
		if (v->evidence.form == VERIFY_CERTIFICATE)
			issuer_judge(v);
		return;
	}
	dcap_claims(&v->quote, &v->verdict);
	expect_tcb(v);
	if (!v->quote.is_tdx) {
		verdict_fail(&v->verdict, "platform", span_str("sgx"), v->quote.anchor, "envelope.platform",
			     "the quote is an enclave's, not a confidential VM's");
		return;
	}
	if (identity_judge(v))
		base_judge(v, image);
	if (v->evidence.form == VERIFY_CERTIFICATE)
		issuer_judge(v);
}

const char *const *platform_required(const struct verify *v)
{
	static const char *const tdx[] = { "quote",  "tcb",          "collateral", "binding", "event_log",
					   "app_id", "compose_hash", "os_image",   "mrtd",    "rtmr0",
					   "rtmr1",  "rtmr2",        NULL };
	static const char *const snp[] = { "quote",  "tcb",          "collateral",  "binding", "config_id",
					   "app_id", "compose_hash", "measurement", NULL };

	return platform_is_snp(v) ? snp : tdx;
}
