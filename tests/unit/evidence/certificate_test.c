// Evidence in certificates: both forms are read, anything malformed, doubled or too large is refused (spec 70
// CH-13, CH-14).
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/x509v3.h>
#include <zlib.h>

#include "core/attest/certext.h"
#include "crypto/issue.h"
#include "load.h"
#include "ratls/trust.h"
#include "ratls/verify.h"

enum { BOMB = 16 << 20 };

static EVP_PKEY *key;

static X509 *bare(void)
{
	struct cert_spec spec = { .cn = "test",
				  .not_before = time(NULL) - 10,
				  .not_after = time(NULL) + 1000 };
	struct err e;
	X509 *cert = cert_issue(&spec, key, &(struct cert_issuer){ .key = key }, &e);

	assert_non_null(cert);
	return cert;
}

// `inner`: put the payload into an OCTET STRING first, as it should be.
static void add(X509 *cert, const char *oid, struct span payload, bool inner)
{
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new(), *outer = ASN1_OCTET_STRING_new();
	ASN1_OBJECT *obj = OBJ_txt2obj(oid, 1);
	uint8_t *der = NULL;

	ASN1_OCTET_STRING_set(value, payload.p, (int)payload.n);
	int n = i2d_ASN1_OCTET_STRING(value, &der);

	if (inner)
		ASN1_OCTET_STRING_set(outer, der, n);
	else
		ASN1_OCTET_STRING_set(outer, payload.p, (int)payload.n);
	X509_EXTENSION *ext = X509_EXTENSION_create_by_OBJ(NULL, obj, 0, outer);

	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
	ASN1_OBJECT_free(obj);
	ASN1_OCTET_STRING_free(value);
	ASN1_OCTET_STRING_free(outer);
	OPENSSL_free(der);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
}

static struct verify *judged(X509 *cert)
{
	uint8_t *der = NULL;
	int n = i2d_X509(cert, &der);
	struct verify_input in = { .evidence = span_of(der, (size_t)n),
				   .expect = span_str("{}"),
				   .binding = VERIFY_BIND_KEY,
				   .now = (uint64_t)time(NULL) };
	struct err e = { 0 };
	struct verify *v = evidence_new(&in, &e);

	assert_non_null(v);
	(void)evidence_read(v, &in);
	assert_false(verify_finish(v, ~0u, NULL));
	OPENSSL_free(der);
	X509_free(cert);
	return v;
}

static void refused(X509 *cert, const char *code)
{
	struct verify *v = judged(cert);

	assert_string_equal(v->verdict.code, code);
	free(v);
}

// Read as far as its events: what refuses it then is that its report data are not about this key.
static void accepted(X509 *cert, size_t events)
{
	struct verify *v = judged(cert);

	assert_string_equal(v->verdict.code, "ratls.key_mismatch");
	assert_int_equal(v->evidence.env.kind, ENVELOPE_TDX);
	assert_int_equal(v->evidence.env.runtime.n, events);
	free(v);
}

static struct span squeeze(const void *p, size_t n)
{
	static uint8_t out[1 << 20];
	z_stream z = { 0 };

	memcpy(out, "ELGZv1", 6);
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (uint8_t *)(uintptr_t)p;
	z.avail_in = (unsigned)n;
	z.next_out = out + 6;
	z.avail_out = sizeof out - 6;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	n = 6 + z.total_out;
	deflateEnd(&z);
	return span_of(out, n);
}

static const char log_text[] =
	"[{\"imr\":3,\"event_type\":134217729,\"event\":\"app-id\",\"event_payload\":\"00\"},"
	"{\"imr\":3,\"event_type\":134217729,\"event\":\"system-ready\",\"event_payload\":\"\"}]";

static X509 *legacy(struct span log)
{
	X509 *cert = bare();

	add(cert, OID_DSTACK_QUOTE, load("real/dstack/ra-tls/tdx_quote"), true);
	add(cert, OID_DSTACK_EVENT_LOG, log, true);
	return cert;
}

static void both_forms_are_read(void **state)
{
	X509 *cert = bare();

	(void)state;
	add(cert, OID_DSTACK_ATTESTATION, load("real/dstack/sdk-simulator/attestation.bin"), true);
	accepted(cert, 9);
	accepted(legacy(span_str(log_text)), 2);
	accepted(legacy(squeeze(log_text, sizeof log_text - 1)), 2);
	uint8_t packed[1024];
	struct wr w = wr_to(packed, sizeof packed);

	event_log_pack(&w, span_str(log_text));
	accepted(legacy(span_of(packed, w.n)), 2);
	cert = legacy(span_str("[]")); // the newer form wins
	add(cert, OID_DSTACK_ATTESTATION, load("real/dstack/sdk-simulator/attestation.bin"), true);
	accepted(cert, 9);
}

static void incomplete_and_doubled_extensions_are_refused(void **state)
{
	struct span attestation = load("real/dstack/sdk-simulator/attestation.bin");
	X509 *cert = bare();

	(void)state;
	refused(cert, "ratls.no_evidence");
	cert = bare();
	add(cert, OID_DSTACK_QUOTE, load("real/dstack/ra-tls/tdx_quote"), true);
	refused(cert, "ratls.event_log");
	cert = bare();
	add(cert, OID_DSTACK_ATTESTATION, attestation, true);
	add(cert, OID_DSTACK_ATTESTATION, attestation, true);
	refused(cert, "cert.extension");
	cert = bare();
	add(cert, OID_DSTACK_ATTESTATION, attestation, false);
	refused(cert, "cert.extension");
	cert = bare();
	add(cert, OID_DSTACK_ATTESTATION, span_of(attestation.p, attestation.n - 1), true);
	refused(cert, "envelope.format");
}

static void bombs_and_damage_are_refused(void **state)
{
	uint8_t *big = calloc(1, BOMB);

	(void)state;
	assert_non_null(big);
	refused(legacy(squeeze(big, BOMB)), "ratls.event_log");
	refused(legacy(span_of(big, 16385)), "ratls.event_log"); // plain, above the limit
	free(big);
	struct span good = squeeze(log_text, sizeof log_text - 1);

	refused(legacy(span_of(good.p, good.n - 4)), "ratls.event_log");
	refused(legacy(span_of(good.p, 6)), "ratls.event_log");
	uint8_t copy[1024];

	memcpy(copy, good.p, good.n);
	copy[good.n] = 0;
	refused(legacy(span_of(copy, good.n + 1)), "ratls.event_log"); // bytes behind it
	struct span nested = squeeze(copy, good.n);

	refused(legacy(nested), "events.format");
}

static void fields_of_the_issuer_are_read_strictly(void **state)
{
	X509 *cert = bare();
	uint8_t id[20];
	char usage[16];
	struct err e;

	(void)state;
	assert_int_equal(cert_app_id(id, cert, &e), -1);
	assert_int_equal(e.class, ERR_ABSENT);
	assert_int_equal(cert_usage(usage, sizeof usage, cert, &e), -1);
	assert_int_equal(e.class, ERR_ABSENT);
	add(cert, OID_DSTACK_APP_ID, span_of("0123456789abcdefghij", 19), true);
	add(cert, OID_DSTACK_USAGE, span_of("kms\0rpc", 7), true);
	assert_int_equal(cert_app_id(id, cert, &e), -1);
	assert_int_equal(e.class, ERR_INPUT);
	assert_int_equal(cert_usage(usage, sizeof usage, cert, &e), -1);
	assert_int_equal(e.class, ERR_INPUT);
	X509_free(cert);
	cert = bare();
	add(cert, OID_DSTACK_APP_ID, span_of("0123456789abcdefghij", 20), true);
	add(cert, OID_DSTACK_USAGE, span_str("kms:rpc"), true);
	assert_int_equal(cert_app_id(id, cert, &e), 0);
	assert_memory_equal(id, "0123456789abcdefghij", 20);
	assert_int_equal(cert_usage(usage, sizeof usage, cert, &e), 0);
	assert_string_equal(usage, "kms:rpc");
	X509_free(cert);
}

static int set_up(void **state)
{
	(void)state;
	key = EVP_EC_gen("P-256");
	return !key;
}

static int tear_down(void **state)
{
	(void)state;
	EVP_PKEY_free(key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_forms_are_read),
		cmocka_unit_test(incomplete_and_doubled_extensions_are_refused),
		cmocka_unit_test(bombs_and_damage_are_refused),
		cmocka_unit_test(fields_of_the_issuer_are_read_strictly),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
