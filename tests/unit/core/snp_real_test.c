// SEV-SNP reports of real machines, Milan and Genoa, versions 2 and 3: each under AMD's compiled-in root.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/codec/base64.h"
#include "crypto/engine.h"
#include "crypto/intel_root.h"
#include "evidence_files.h"

#define GO      "real/go-sev-guest/verify/testdata"
#define ROOTS   "real/go-sev-guest/verify/trust"
#define TRUSTEE "real/trustee/deps/verifier/test_data/snp"
#define AZURE   "real/trustee/deps/verifier/test_data/az-snp-vtpm"

enum { NOW = 1748736000, HCL_HEAD = 32 }; // 2025-06-01

static struct engine *engine;
static struct snp_result result;
static struct err fault;

static const char *judge(const struct snp_input *in)
{
	return snp_verify(engine, in, &result, &fault) ? fault.code : snp_status_name(&result);
}

static struct snp_input given(struct span report, struct span vcek, struct span chain)
{
	return (struct snp_input){ .report = report, .items = { vcek, chain }, .n_items = 2, .now = NOW };
}

static struct json member(struct json doc, const char *name)
{
	struct json v;

	assert_true(json_get(doc, name, &v));
	return v;
}

static struct json document(const char *dir, const char *name)
{
	struct json doc;

	assert_int_equal(json_parse(&doc, file_read(dir, name), NULL), 0);
	return doc;
}

// Base64 of the URL alphabet, without padding.
static struct span base64url(struct json v)
{
	static char text[8192];
	static uint8_t bytes[2][4096];
	static int next;
	uint8_t *out = bytes[next++ % 2];
	size_t n;

	assert_int_equal(json_cstr(v, text, sizeof text - 4), 0);
	n = strlen(text);
	for (size_t i = 0; i < n; i++)
		text[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
	while (n % 4)
		text[n++] = '=';
	struct wr w = wr_to(out, sizeof bytes[0]);
	assert_int_equal(base64_decode(&w, span_of(text, n)), 0);
	return span_of(out, w.n);
}

static void go_sev_guest(void **state)
{
	struct snp_input in = given(file_read(GO, "attestation.bin"), file_read(GO, "vcek.testcer"),
				    file_read(GO, "milan.testcer"));

	(void)state;
	// The guest was launched with the debug bit: genuine, and not to be trusted.
	assert_string_equal(judge(&in), "snp.debug");
	in.allow_debug = true;
	assert_string_equal(judge(&in), "UpToDate");
	assert_int_equal(result.anchor, ANCHOR_AMD);
	assert_int_equal(result.product, SNP_MILAN);
	assert_int_equal(result.report.version, 2);
	assert_int_equal(result.report.report_data[0], 1);
	// The VLEK's bundle has the same root and another intermediate.
	in.items[1] = file_read(ROOTS, "ask_ark_milan_vlek.pem");
	assert_string_equal(judge(&in), "snp.cert_vlek");
	in.items[1] = file_read(ROOTS, "ask_ark_genoa.pem");
	assert_string_equal(judge(&in), "snp.chain");
	in.items[1] = file_read(ROOTS, "ask_ark_milan.pem");
	in.items[0] = file_read(TRUSTEE, "test-vcek.der");
	assert_string_equal(judge(&in), "snp.chip_id");
	in.items[0] = file_read(GO, "vcek.testcer");
	in.now = 1663980928 - 1; // the VCEK's first second, less one
	assert_string_equal(judge(&in), "snp.cert_time");
	in.now++;
	assert_string_equal(judge(&in), "UpToDate");
}

static void trustee(void **state)
{
	struct span chain = file_read(ROOTS, "ask_ark_milan.pem");
	struct snp_input in =
		given(file_read(TRUSTEE, "test-report.bin"), file_read(TRUSTEE, "test-vcek.der"), chain);

	(void)state;
	// The current firmware is newer than what was committed: this status tells no less.
	assert_string_equal(judge(&in), "OutOfDate");
	assert_int_equal(result.report.version, 2);
	in.items[0] = file_read(TRUSTEE, "test-vcek-invalid-legacy.der");
	assert_string_equal(judge(&in), "snp.vcek_signature");
	in.items[0] = file_read(TRUSTEE, "test-vcek-invalid-new.der");
	assert_string_equal(judge(&in), "snp.vcek_signature");
	in = given(file_read(TRUSTEE, "test-vlek-report.bin"), file_read(TRUSTEE, "test-vlek.der"), chain);
	assert_string_equal(judge(&in), "snp.vlek");
	in.report = file_read(TRUSTEE, "test-report.bin");
	assert_string_equal(judge(&in), "snp.cert_vlek");
}

static void azure(void **state)
{
	static const char *const files[] = { "evidence-v1.json", "evidence-v2.json" };
	struct span milan = file_read(ROOTS, "ask_ark_milan.pem"), hcl = file_read(AZURE, "hcl-report.bin");
	struct snp_input in = { .report = span_sub(hcl, HCL_HEAD, SNP_REPORT),
				.items = { file_read(AZURE, "vcek.pem") },
				.n_items = 1,
				.now = NOW };

	(void)state;
	assert_string_equal(judge(&in), "OutOfDate"); // one bundle: VCEK, ASK, ARK
	for (size_t i = 0; i < 2; i++) {
		struct json doc = document(AZURE, files[i]);
		struct span report = span_sub(base64url(member(doc, "hcl_report")), HCL_HEAD, SNP_REPORT);
		in = given(report, base64url(member(doc, "vcek")), milan);
		assert_string_equal(judge(&in), "UpToDate");
		assert_int_equal(result.report.version, 3);
		assert_int_equal(result.product, SNP_MILAN);
	}
	// Genoa: the report is an array of numbers.
	uint8_t bytes[HCL_HEAD + SNP_REPORT];
	struct json doc = document(AZURE, "evidence-genoa.json"), v;
	struct json_iter it = json_iter(member(doc, "report"));
	for (size_t i = 0; i < sizeof bytes; i++) {
		uint64_t n = 0;
		assert_true(json_next(&it, NULL, &v) && !json_u64(v, 255, &n));
		bytes[i] = (uint8_t)n;
	}
	in = given(span_of(bytes + HCL_HEAD, SNP_REPORT), file_read(AZURE, "vcek-genoa.pem"),
		   file_read(ROOTS, "ask_ark_genoa.pem"));
	assert_string_equal(judge(&in), "UpToDate");
	assert_int_equal(result.product, SNP_GENOA);
	assert_int_equal(result.anchor, ANCHOR_AMD);
	in.items[1] = file_read(ROOTS, "ask_ark_turin_vcek.pem");
	assert_string_equal(judge(&in), "snp.product_other");
}

// Any bit of a real report turned: refused. (Every bit of a made one in snp_test.)
static void bits_of_a_real_report(void **state)
{
	static uint8_t report[SNP_REPORT];
	struct span whole = file_read(TRUSTEE, "test-report.bin");
	struct snp_input in = given(span_of(report, SNP_REPORT), file_read(TRUSTEE, "test-vcek.der"),
				    file_read(ROOTS, "ask_ark_milan.pem"));

	(void)state;
	memcpy(report, whole.p, SNP_REPORT);
	for (size_t bit = 0; bit < 8 * SNP_REPORT; bit++) {
		report[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(snp_verify(engine, &in, &result, &fault), 0);
		report[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_string_equal(judge(&in), "OutOfDate");
}

static void trusted_roots(void **state)
{
	struct span chain = file_read(ROOTS, "ask_ark_milan.pem");
	struct snp_input in =
		given(file_read(TRUSTEE, "test-report.bin"), file_read(TRUSTEE, "test-vcek.der"), chain);
	struct err e;
	struct engine *g = engine_new(&e);

	(void)state;
	assert_non_null(g);
	assert_int_equal(engine_only_root(g, amd_root(SNP_GENOA), &e), 0);
	assert_int_not_equal(snp_verify(g, &in, &result, &e), 0);
	assert_string_equal(e.code, "snp.root_other");
	assert_int_equal(engine_add_root(g, amd_root(SNP_MILAN), &e), 0);
	assert_int_equal(snp_verify(g, &in, &result, &e), 0);
	assert_false(engine_has_development(g));
	// A root of the other kind is told apart.
	struct dcap_result quote;
	struct dcap_input dcap = { .quote = file_read("real/dcap-qvl", "tdx_quote"),
				   .collateral = file_read("real/dcap-qvl", "tdx_quote_collateral.json"),
				   .now = 1750588248 };
	assert_int_equal(engine_only_root(g, amd_root(SNP_MILAN), &e), 0);
	assert_int_not_equal(dcap_verify(g, &dcap, &quote, &e), 0);
	assert_string_equal(e.code, "root.format");
	assert_int_equal(engine_only_root(g, intel_root(), &e), 0);
	assert_false(engine_has_development(g));
	assert_int_not_equal(snp_verify(g, &in, &result, &e), 0);
	assert_string_equal(e.code, "snp.root_format");
	engine_free(g);
}

static int setup(void **state)
{
	(void)state;
	return (engine = engine_new(&fault)) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	engine_free(engine);
	file_free_all();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(go_sev_guest),  cmocka_unit_test(trustee),
		cmocka_unit_test(azure),         cmocka_unit_test(bits_of_a_real_report),
		cmocka_unit_test(trusted_roots),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
