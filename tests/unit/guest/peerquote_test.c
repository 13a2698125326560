// Evidence in a KMS's certificate, as the guest takes it: none, good, of another key, refused, unreadable.
// The quote is a real machine's; its signature is another test's business (crypto, verify), so DCAP is told
// what to say.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/strings.h"
#include "core/attest/envelope.h"
#include "crypto/engine.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "peerquote.h"
#include "ratls/issue.h"
#include "ratls/pccs.h"

enum { REPORT_DATA_AT = 48 + 520 };

static uint8_t *envelope;
static size_t envelope_n, quote_at, quote_n;
static const char *refusal; // DCAP's, or NULL
static int asked;
static struct setup s = { .sys.pccs_url = "http://127.0.0.1:1" };

int __wrap_tee_root(struct tee *t, uint8_t out[static TEE_ROOT_MAX], size_t *n, struct err *e);
int __wrap_tee_root(struct tee *t, uint8_t out[static TEE_ROOT_MAX], size_t *n, struct err *e)
{
	(void)t, (void)out, (void)e;
	*n = 0;
	return 0;
}

int __wrap_pccs_get(struct pccs *p, struct pccs_answer *a, const struct dcap_platform *platform,
		    struct err *e);
int __wrap_pccs_get(struct pccs *p, struct pccs_answer *a, const struct dcap_platform *platform,
		    struct err *e)
{
	(void)p, (void)platform, (void)e;
	a->json = "{}";
	a->n = 2;
	return a->tried++ ? 1 : 0;
}

void __wrap_pccs_refused(struct pccs *p, struct pccs_answer *a, const struct err *e);
void __wrap_pccs_refused(struct pccs *p, struct pccs_answer *a, const struct err *e)
{
	(void)p, (void)a, (void)e;
}

int __wrap_pccs_verified(struct pccs *p, struct pccs_answer *a, uint64_t expires, struct err *e);
int __wrap_pccs_verified(struct pccs *p, struct pccs_answer *a, uint64_t expires, struct err *e)
{
	(void)p, (void)a, (void)expires, (void)e;
	return 0;
}

int __wrap_dcap_verify(struct engine *g, const struct dcap_input *in, struct dcap_result *out, struct err *e);
int __wrap_dcap_verify(struct engine *g, const struct dcap_input *in, struct dcap_result *out, struct err *e)
{
	(void)g;
	asked++;
	assert_int_equal(in->quote.n, quote_n);
	assert_false(in->allow_debug);
	if (refusal)
		return err_code(e, ERR_UNTRUSTED, refusal, "no");
	*out = (struct dcap_result){ .is_tdx = true };
	memcpy(out->report_data, in->quote.p + REPORT_DATA_AT, 64);
	return 0;
}

static int setup(void **state)
{
	static struct event events[2 * EVENTLOG_MAX];
	static struct envelope env = { .log = { events, 0, EVENTLOG_MAX },
				       .runtime = { events + EVENTLOG_MAX, 0, EVENTLOG_MAX } };
	struct fault f;
	struct err e;

	(void)state;
	char *bytes;
	if (file_read(ATTESTATION, 1 << 20, &bytes, &envelope_n, &e))
		return -1;
	envelope = (uint8_t *)bytes;
	uint8_t *room = malloc(envelope_n);
	struct wr scratch = wr_to(room, envelope_n);
	if (envelope_read(&env, &scratch, span_of(envelope, envelope_n), &f))
		return -1;
	quote_at = (size_t)(env.quote.p - envelope);
	quote_n = env.quote.n;
	free(room);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(envelope);
	return 0;
}

// The leaf of a KMS whose certificate carries `evidence`, or the legacy pair; bound to its key if asked.
static void expect(bool bound, struct span evidence, struct span legacy, const char *code)
{
	struct err e = { 0 };
	EVP_PKEY *key = p256_new(&e);
	uint8_t spki[P256_SPKI];
	struct cert_spec spec = { .cn = "kms",
				  .path_len = -1,
				  .not_before = 1,
				  .not_after = 4000000000,
				  .usage = span_str("kms:rpc"),
				  .attestation = evidence,
				  .quote = legacy,
				  .event_log = legacy.n ? span_str("[]") : (struct span){ 0 } };
	struct cert_issuer by = { .key = key };

	assert_int_equal(p256_spki(key, spki, &e), 0);
	if (bound)
		ratls_report_data(span_of(spki, sizeof spki), envelope + quote_at + REPORT_DATA_AT);
	X509 *leaf = cert_issue(&spec, key, &by, &e);
	assert_non_null(leaf);
	int rc = peerquote_check_cert(&s, leaf, &e);
	if (strcmp(rc ? e.code : "", code) != 0)
		fail_msg("expected \"%s\", got %d %s: %s", code, rc, e.code, e.text);
	int before = asked;
	assert_int_equal(peerquote_check_cert(&s, leaf, &e), rc); // at the next call: verified once is enough
	assert_true(rc || asked == before);
	X509_free(leaf);
	EVP_PKEY_free(key);
}

static void hb_05_evidence_of_a_kms(void **state)
{
	static const uint8_t snp[] = { 0x00, 0x03, 0x00 };
	struct span none = { 0 }, whole = span_of(envelope, envelope_n);
	struct span quote = span_of(envelope + quote_at, quote_n);

	(void)state;
	expect(false, none, none, ""); // upstream's KMS may have none: its root is pinned and measured
	assert_int_equal(asked, 0);
	expect(true, whole, none, "");
	expect(true, none, quote, "");
	assert_int_equal(asked, 2);
	expect(false, whole, none, "ratls.key_mismatch"); // good evidence, of another key
	expect(false, none, quote, "ratls.key_mismatch");
	refusal = "td.debug";
	expect(true, whole, none, "td.debug");
	refusal = NULL;
	asked = 0;
	expect(false, span_str("no evidence"), none, "keys.kms_evidence");
	expect(false, span_of(snp, sizeof snp), none, "keys.kms_evidence");
	expect(false, none, span_str("no quote"), "quote.format");
	assert_int_equal(asked, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(hb_05_evidence_of_a_kms) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
