#include "peerquote.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/strings.h"
#include "core/attest/envelope.h"
#include "crypto/engine.h"
#include "crypto/issue.h"
#include "ratls/issue.h"
#include "ratls/pccs.h"

AUTO_DEFINE(struct engine *, engine_free)
AUTO_DEFINE(struct pccs *, pccs_free)

static struct engine *new_engine(struct setup *s, struct err *e)
{
	AUTO(engine_free_auto) struct engine *g = engine_new(e);
	uint8_t root[TEE_ROOT_MAX];
	size_t n;

	if (!g || tee_root(s->tee, root, &n, e) || (n && engine_add_root(g, span_of(root, n), e)))
		return NULL;
	return TAKE(g);
}

int peerquote_verify(struct setup *s, struct span quote, struct dcap_result *r, struct err *e)
{
	struct pccs_config config = { .url = *s->sys.pccs_url ? s->sys.pccs_url : NULL };
	AUTO(engine_free_auto) struct engine *g = new_engine(s, e);
	AUTO(pccs_free_auto) struct pccs *p = g ? pccs_new(&config, e) : NULL;
	struct dcap_input in = { .quote = quote, .now = (uint64_t)time(NULL) };
	struct pccs_answer a = { 0 };
	struct dcap_platform platform;
	struct err refusal = { 0 };
	int got, rc = -1;

	if (!p)
		return -1;
	if (dcap_platform(quote, &platform))
		return err_code(e, ERR_UNTRUSTED, "quote.format", "the quote names no platform");
	while (rc && !(got = pccs_get(p, &a, &platform, e))) {
		in.collateral = span_of(a.json, a.n);
		rc = dcap_verify(g, &in, r, &refusal);
		if (rc)
			pccs_refused(p, &a, &refusal);
		else
			rc = pccs_verified(p, &a, r->expires, &refusal);
	}
	if (rc && got > 0)
		*e = refusal;
	pccs_release(&a);
	return rc ? -1 : 0;
}

static int bad_evidence(struct err *e, const char *what)
{
	return err_code(e, ERR_UNTRUSTED, "keys.kms_evidence", "the KMS's certificate has evidence %s", what);
}

// The TDX quote of an envelope; points into it.
static int quote_of(struct span *quote, struct span bytes, struct err *e)
{
	auto_free struct event *events = calloc(2 * EVENTLOG_MAX, sizeof *events);
	auto_free struct envelope *env = calloc(1, sizeof *env);
	auto_free uint8_t *room = malloc(bytes.n + 1);
	struct wr scratch = wr_to(room, bytes.n + 1);
	struct fault f;

	if (!events || !env || !room)
		return err_set(e, ERR_SYSTEM, "out of memory");
	env->log = (struct eventlog){ events, 0, EVENTLOG_MAX };
	env->runtime = (struct eventlog){ events + EVENTLOG_MAX, 0, EVENTLOG_MAX };
	if (envelope_read(env, &scratch, bytes, &f))
		return bad_evidence(e, "that cannot be read");
	if (env->kind != ENVELOPE_TDX)
		return bad_evidence(e, "of a kind that this guest cannot verify");
	*quote = env->quote;
	return quote->p >= bytes.p && quote->p < bytes.p + bytes.n
		       ? 0
		       : bad_evidence(e, "whose quote is not in one piece");
}

static int check_evidence(struct setup *s, X509 *leaf, struct err *e)
{
	struct span bytes = { 0 }, quote;
	uint8_t spki[CERT_SPKI_MAX], want[RATLS_REPORT_DATA];
	auto_free struct dcap_result *r = malloc(sizeof *r);
	size_t n;

	int modern = cert_ext(leaf, CERT_EXT_ATTESTATION, &bytes, e);
	int legacy = modern ? 0 : cert_ext(leaf, CERT_EXT_QUOTE, &bytes, e);
	if (modern < 0 || legacy < 0 || !r)
		return r ? -1 : err_set(e, ERR_SYSTEM, "out of memory");
	if (!modern && !legacy)
		return 0; // its root is what is pinned and measured
	quote = bytes;
	if ((modern && quote_of(&quote, bytes, e)) || cert_spki(leaf, spki, &n, e))
		return -1;
	if (peerquote_verify(s, quote, r, e))
		return err_wrap(e, "the KMS's evidence");
	ratls_report_data(span_of(spki, n), want);
	if (!r->is_tdx || memcmp(want, r->report_data, sizeof want) != 0)
		return err_code(e, ERR_UNTRUSTED, "ratls.key_mismatch",
				"the KMS's evidence is over another key than its certificate's");
	log_info("setup", "the KMS runs in a CVM anchor=%s tcb=%s mrtd=%.16s", anchor_name(r->anchor),
		 tcb_status_name(r->tcb.status), STR_HEX(r->td.mr_td, 8));
	return 0;
}

int peerquote_check_cert(struct setup *s, X509 *leaf, struct err *e)
{
	uint8_t hash[32];

	if (X509_digest(leaf, EVP_sha256(), hash, NULL) != 1)
		return err_set(e, ERR_SYSTEM, "hash the KMS's certificate");
	if (!memcmp(hash, s->kms_leaf, sizeof hash))
		return 0; // the same as a moment ago
	if (check_evidence(s, leaf, e))
		return -1;
	memcpy(s->kms_leaf, hash, sizeof hash);
	return 0;
}
