// Quotes of real machines: each gets the verdict of spec 12.1 at a time inside its collateral's window, and
// the three signatures inside every one of them hold.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "core/codec/pem.h"
#include "core/codec/x509.h"
#include "core/hash/sha2.h"
#include "crypto/engine.h"
#include "evidence_files.h"

enum where { RAW, HEX, JSON_QUOTE, ENVELOPE };

static const struct {
	const char *dir, *file;
	enum where where;
	const char *pool; // NULL: no public collateral
	const char *want; // "status advisories" or the reason code
} cases[] = {
	{ "dcap-qvl", "sgx_quote", RAW, "dcap-qvl_sgx_quote_collateral.json",
	  "ConfigurationAndSWHardeningNeeded INTEL-SA-00289 INTEL-SA-00615" },
	{ "dcap-qvl", "tdx_quote", RAW, "dcap-qvl_tdx_quote_collateral.json", "UpToDate" },
	{ "dcap-qvl", "quote-from-tappd.hex", HEX, "dcap-qvl_tdx_quote_collateral.json", "tcb.no_level" },
	{ "dstack/ra-tls", "tdx_quote", RAW, "dcap-qvl_tdx_quote_collateral.json", "tcb.no_level" },
	{ "go-tdx-guest/testing/testdata", "quote_v5_sample.dat", RAW,
	  "go-tdx-guest_tcbinfo_v5_dcap-qvl_outdated_QE_identity_CRLs.json", "UpToDate" },
	{ "go-tdx-guest/testing/testdata", "tdx_prod_quote_SPR_E4.dat", RAW,
	  "go-tdx-guest_2023_responses.json", "tcb.no_level" },
	{ "trustee/deps/verifier/test_data", "tdx_quote_4.dat", RAW, "go-tdx-guest_2023_responses.json",
	  "td.debug" },
	{ "trustee/deps/verifier/test_data", "tdx_quote_5.dat", RAW,
	  "go-tdx-guest_tcbinfo_v5_dcap-qvl_outdated_QE_identity_CRLs.json", "tcb.no_level" },
	{ "trustee/deps/verifier/test_data", "occlum_quote.dat", RAW, NULL, NULL },
	{ "dstack/verifier", "tdx-lite-getquote.json", JSON_QUOTE,
	  "go-tdx-guest_tcbinfo_v5_dcap-qvl_outdated_QE_identity_CRLs.json", "pck.chain" },
	{ "dstack/guest-agent", "attestation.bin", ENVELOPE, "dcap-qvl_tdx_quote_collateral.json",
	  "pck.chain" },
	{ "dstack/sdk-simulator", "attestation.bin", ENVELOPE, "dcap-qvl_tdx_quote_collateral.json",
	  "pck.chain" },
	{ "intel-qvl/Src/AttestationApp/sampleData", "quote.dat", RAW, "intel-qvl_SGX_sample.json",
	  "quote.qe_auth" },
};

static struct span read_case(size_t i)
{
	char dir[300];
	struct json doc, v;
	struct span hex;

	snprintf(dir, sizeof dir, "real/%s", cases[i].dir);
	struct span s = file_read(dir, cases[i].file);
	switch (cases[i].where) {
	case HEX:
		return file_hex(s);
	case JSON_QUOTE:
		assert_int_equal(json_parse(&doc, s, NULL), 0);
		assert_true(json_get(doc, "quote", &v));
		assert_int_equal(json_plain(v, &hex), 0);
		return file_hex(hex);
	case ENVELOPE: // version, variant and a compact length come first
		return span_of(s.p + 4, s.n - 4);
	default:
		return s;
	}
}

static struct span pem_to_der(struct json pem)
{
	static char text[8192];
	unsigned char *der = NULL;

	assert_int_equal(json_cstr(pem, text, sizeof text), 0);
	BIO *b = BIO_new_mem_buf(text, -1);
	X509 *x = PEM_read_bio_X509(b, NULL, NULL, NULL);
	assert_non_null(x);
	int n = i2d_X509(x, &der);
	assert_true(n > 0);
	struct span kept = file_keep(der, (size_t)n);
	OPENSSL_free(der);
	X509_free(x);
	BIO_free(b);
	return kept;
}

static void answer(int rc, const struct dcap_result *r, const struct err *e, char *out, size_t cap)
{
	size_t n = (size_t)snprintf(out, cap, "%s", rc ? e->code : tcb_status_name(r->tcb.status));

	for (size_t i = 0; !rc && i < r->tcb.n; i++)
		n += (size_t)snprintf(out + n, cap - n, " %s", r->tcb.advisory[i]);
}

static void verdicts(void **state)
{
	struct err e = { 0 };
	struct engine *g = engine_new(&e);
	size_t bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct json pool, v;
		struct dcap_input in = { .quote = read_case(i) };
		struct dcap_result r;
		char got[400];

		if (!cases[i].pool)
			continue;
		assert_int_equal(json_parse(&pool, file_read("real/collateral-pool", cases[i].pool), NULL),
				 0);
		assert_true(json_get(pool, "now", &v));
		assert_int_equal(json_u64(v, UINT64_MAX, &in.now), 0);
		assert_true(json_get(pool, "collateral", &v));
		in.collateral = v.text;
		assert_true(json_get(pool, "root_pem", &v));
		assert_int_equal(engine_only_root(g, pem_to_der(v), &e), 0);
		int rc = dcap_verify(g, &in, &r, &e);
		answer(rc, &r, &e, got, sizeof got);
		if (strcmp(got, cases[i].want)) {
			print_error("%s/%s: want %s, got %s %s\n", cases[i].dir, cases[i].file, cases[i].want,
				    got, rc ? e.text : "");
			bad++;
		}
	}
	assert_int_equal(bad, 0);
	engine_free(g);
	file_free_all();
}

static void inner_signatures(void **state)
{
	struct err e = { 0 };
	struct engine *g = engine_new(&e);
	size_t checked = 0;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct quote q;
		struct x509 leaf;
		struct sha256 h;
		uint8_t der[4096], digest[32];
		size_t n;

		assert_int_equal(quote_parse(&q, read_case(i)), REASON_OK);
		sha256_init(&h);
		sha256_add(&h, q.att_key.p, q.att_key.n);
		sha256_add(&h, q.qe_auth.p, q.qe_auth.n);
		sha256_end(&h, digest);
		assert_memory_equal(digest, q.qe_report.p + 320, 32);
		assert_true(engine_p256(g, q.att_key.p, q.signed_part, q.sig.p));
		if (q.cert_type != QUOTE_CERT_PCK_CHAIN)
			continue;
		struct rd in = rd_span(q.cert_data);
		assert_int_equal(pem_next(&in, der, sizeof der, &n), 1);
		assert_int_equal(x509_parse(&leaf, span_of(der, n)), 0);
		assert_true(engine_p256(g, leaf.key, q.qe_report, q.qe_report_sig.p));
		checked++;
	}
	assert_true(checked >= 12);
	engine_free(g);
	file_free_all();
}

// What a client needs for fetching collateral is in the quote.
static void platforms(void **state)
{
	static const uint8_t tdx[6] = { 0xb0, 0xc0, 0x6f, 0, 0, 0 }, sgx[6] = { 0, 0xa0, 0x67, 0x11, 0, 0 };
	struct dcap_platform p;

	(void)state;
	assert_int_equal(dcap_platform(file_read("real/dcap-qvl", "tdx_quote"), &p), REASON_OK);
	assert_memory_equal(p.fmspc, tdx, 6);
	assert_true(p.is_tdx);
	assert_false(p.processor_ca);
	assert_int_equal(dcap_platform(file_read("real/dcap-qvl", "sgx_quote"), &p), REASON_OK);
	assert_memory_equal(p.fmspc, sgx, 6);
	assert_false(p.is_tdx);
	assert_true(p.processor_ca);
	assert_int_equal(dcap_platform(span_of("", 0), &p), REASON_QUOTE_LENGTH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts),
		cmocka_unit_test(inner_signatures),
		cmocka_unit_test(platforms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
