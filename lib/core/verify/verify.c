#include "core/verify/verify.h"
#include "core/attest/dcap_text.h"
#include "core/verify/parts.h"

void text_put(char *out, size_t cap, struct span s)
{
	size_t n = s.n < cap ? s.n : cap - 1;

	for (size_t i = 0; i < n; i++)
		out[i] = (char)s.p[i];
	out[n] = 0;
}

struct span text_done(const struct wr *w)
{
	return span_of(w->p, w->n < w->cap ? w->n : w->cap);
}

struct claim *fail_fault(struct verdict *v, const char *name, enum anchor a, const struct fault *f)
{
	char text[240], whole[240];
	struct wr w = wr_to(whole, sizeof whole);

	wr_str(&w, f->text);
	wr_str(&w, " (at ");
	wr_dec(&w, f->at);
	wr_str(&w, ")");
	TEXT_PUT(text, text_done(&w));
	return verdict_fail(v, name, (struct span){ 0 }, a, f->code, text);
}

static void begin(struct verify *v, const struct verify_input *in, void *scratch, size_t cap)
{
	v->in = *in;
	evidence_init(&v->evidence);
	v->scratch = wr_to(scratch, cap);
	v->next = VERIFY_BEGIN;
	v->unreadable = v->needs_collateral = v->has_image_hash = v->is_begun = v->is_signed = v->has_quote =
		false;
	v->compressed = (struct span){ 0 };
	v->config = (struct vm_config){ 0 };
	v->config_fault = v->image_fault = (struct fault){ 0 };
	v->expect = (struct json){ 0 };
	v->reason = REASON_OK;
	v->dcap.reason = REASON_OK;
	v->dcap.checks = 0;
	v->snp.reason = REASON_OK;
	v->snp.checks = 0;
	v->snp_result = (struct snp_result){ 0 };
	v->quote = (struct dcap_result){ 0 };
	v->boot = (struct boot_info){ 0 };
	verdict_init(&v->verdict);
}

static enum verify_next close_with(struct verify *v, const char *claim, const struct fault *f)
{
	fail_fault(&v->verdict, claim, ANCHOR_NONE, f);
	v->unreadable = true;
	return v->next = VERIFY_CLOSED;
}

static bool is_bound(const struct verify *v)
{
	switch (v->in.binding) {
	case VERIFY_BIND_CHALLENGE:
		return v->in.report_data;
	case VERIFY_BIND_KEY:
	case VERIFY_BIND_STATED:
		return true;
	case VERIFY_BIND_UNSET:
		break;
	}
	return false;
}

static void read_config(struct verify *v)
{
	struct span text =
		v->in.vm_config.n ? v->in.vm_config : envelope_vm_config(&v->evidence.env, &v->scratch);

	if (vm_config_read(&v->config, &v->scratch, text, &v->config_fault))
		return;
	v->config_fault = (struct fault){ 0 };
	v->has_image_hash = v->config.has_image_hash;
}

enum verify_next verify_read(struct verify *v, const struct verify_input *in, void *scratch, size_t cap)
{
	struct fault f = { "verify.no_expectation", "nothing says what the evidence must be bound to", 0 };

	begin(v, in, scratch, cap);
	if (!is_bound(v))
		return close_with(v, "binding", &f);
	if (expect_read(&v->expect, in->expect, &f))
		return close_with(v, "expectations", &f);
	if (evidence_parse(v, &f))
		return close_with(v, "evidence", &f);
	if (v->next == VERIFY_INFLATE)
		return v->next;
	if (in->binding == VERIFY_BIND_KEY && v->evidence.form != VERIFY_CERTIFICATE) {
		f = (struct fault){ "verify.not_certificate", "a certificate is needed, for its key", 0 };
		return close_with(v, "evidence", &f);
	}
	v->next = platform_open(v);
	if (v->next != VERIFY_BEGIN)
		return v->next;
	// Cheap, and before anything that costs: is it about this key at all?
	if (!identity_binding(v, span_of(v->evidence.env.report_data, 64), ANCHOR_NONE, true))
		return v->next = VERIFY_CLOSED;
	read_config(v);
	return v->next;
}

struct span verify_collateral(const struct verify *v)
{
	return v->in.collateral.n ? v->in.collateral : v->evidence.collateral;
}

void verify_begin(struct verify *v, const struct dcap_collateral *col)
{
	v->is_begun = v->next == VERIFY_BEGIN && !platform_is_snp(v);
	v->is_signed = v->has_quote = false;
	if (v->is_begun)
		platform_begin(v, col);
}

bool verify_is_snp(const struct verify *v)
{
	return v->next == VERIFY_BEGIN && platform_is_snp(v);
}

void verify_begin_snp(struct verify *v, struct span root, enum anchor anchor)
{
	v->is_begun = verify_is_snp(v);
	v->is_signed = v->has_quote = false;
	if (v->is_begun)
		snp_start(v, root, anchor);
}

size_t verify_checks(const struct verify *v, const struct sig_check **checks)
{
	*checks = NULL;
	return v->is_begun ? platform_checks(v, checks) : 0;
}

enum reason verify_found(const struct verify *v)
{
	return v->is_begun ? platform_found(v) : REASON_OK;
}

enum reason verify_signed(struct verify *v, uint32_t passed)
{
	v->reason = v->is_begun ? platform_signed(v, passed) : REASON_QUOTE_SIGNATURE;
	v->has_quote = v->reason == REASON_OK;
	v->is_signed = true;
	return v->reason;
}

void verify_explain(const struct verify *v, char *out, size_t cap)
{
	platform_explain(v, out, cap);
}

// Refusals that newer collateral may lift.
static bool about_collateral(enum reason r)
{
	static const char *const stages[] = { "collateral.",  "crl.", "tcb_info.",
					      "qe_identity.", "tcb.", "root.time" };
	struct span code = span_str(reason_text(r)->code);

	for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
		struct span s = span_str(stages[i]);

		if (code.n >= s.n && span_eq(span_of(code.p, s.n), s))
			return true;
	}
	return false;
}

static void refuse_quote(struct verify *v)
{
	char text[300];

	if (v->needs_collateral && !v->in.collateral.n) {
		verdict_fail(&v->verdict, "collateral", (struct span){ 0 }, ANCHOR_NONE, "collateral.missing",
			     "neither the evidence nor the caller brought collateral for this platform");
		return;
	}
	v->unreadable = dcap_unreadable(v->reason);
	platform_explain(v, text, sizeof text);
	verdict_fail(&v->verdict, about_collateral(v->reason) ? "collateral" : "quote", (struct span){ 0 },
		     ANCHOR_NONE, reason_text(v->reason)->code, text);
}

void verify_refuse(struct verify *v, const char *claim, const char *code, const char *text)
{
	verdict_init(&v->verdict);
	verdict_fail(&v->verdict, claim, (struct span){ 0 }, ANCHOR_NONE, code, text);
	v->has_quote = false;
	v->next = VERIFY_CLOSED;
}

bool verify_finish(struct verify *v, uint32_t passed, const struct verify_image *image)
{
	if (v->next == VERIFY_INFLATE) {
		struct fault f = { "ratls.event_log", "the certificate's event log was not inflated", 0 };

		(void)close_with(v, "evidence", &f);
	}
	if (v->next == VERIFY_BEGIN) {
		verdict_init(&v->verdict);
		v->boot = (struct boot_info){ 0 };
		if (!v->is_signed)
			(void)verify_signed(v, passed);
		if (v->has_quote)
			platform_judge(v, image);
		else
			refuse_quote(v);
	}
	return verdict_close(&v->verdict, platform_required(v));
}

void verify_no_root(struct verify *v)
{
	verify_refuse(v, "quote", reason_text(REASON_ROOT_OTHER)->code,
		      verify_is_snp(v) ? "none of the trusted roots is AMD's for an SEV-SNP report"
				       : "none of the trusted roots is one for a TDX quote");
}

void verify_json(struct wr *out, const struct verify *v)
{
	dcap_json(out, v->has_quote ? &v->quote : NULL, &v->verdict);
}
