// QV-03, QV-04, QV-05, QV-06, QV-07: the quoting enclave, the attestation key it vouches for, the TD's
// report.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "qv_fixture.h"

// Bit `bit` of a report flipped, everything above signed again.
static void expect_qe_bit(enum forge_kind kind, size_t at, size_t bit, const char *code)
{
	struct forge *f = qv_fresh(kind);

	f->quote.qe[at + bit / 8] ^= (uint8_t)(1u << bit % 8);
	qv_expect(f, code);
}

static void qv_03_signer_and_product(void **state)
{
	(void)state;
	for (size_t bit = 0; bit < 256; bit++)
		expect_qe_bit(FORGE_TDX4, SGX_MRSIGNER, bit, "quote.qe_signer");
	for (size_t bit = 0; bit < 16; bit++) {
		expect_qe_bit(FORGE_TDX5, SGX_PRODID, bit, "quote.qe_product");
		expect_qe_bit(FORGE_SGX3, SGX_PRODID, bit, "quote.qe_product");
	}
	// The SGX quoting enclave quotes no TD, and the other way round.
	struct forge *f = qv_fresh(FORGE_TDX4);
	f->quote.qe[SGX_PRODID] = 1;
	memcpy(f->quote.qe + SGX_MRSIGNER,
	       qv_hex("8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff").p, 32);
	qv_expect(f, "quote.qe_signer");
}

static void qv_03_misc_select(void **state)
{
	(void)state;
	for (size_t bit = 0; bit < 32; bit++)
		expect_qe_bit(FORGE_TDX4, SGX_MISC, bit, "quote.qe_misc");
	// Outside the mask a bit is free; an identity that expects one there is none.
	for (size_t bit = 0; bit < 32; bit++) {
		char mask[16], value[16];
		uint8_t b[4] = { 0 };
		struct forge *f = qv_fresh(FORGE_TDX4);

		b[bit / 8] = (uint8_t)(1u << bit % 8);
		snprintf(value, sizeof value, "\"%02X%02X%02X%02X\"", b[0], b[1], b[2], b[3]);
		snprintf(mask, sizeof mask, "\"%02X%02X%02X%02X\"", b[0] ^ 255u, b[1] ^ 255u, b[2] ^ 255u,
			 b[3] ^ 255u);
		forge_member(f, FORGE_QE_IDENTITY, "miscselectMask", mask);
		f->quote.qe[SGX_MISC + bit / 8] = b[bit / 8];
		qv_expect(f, "ok");
		forge_member(f, FORGE_QE_IDENTITY, "miscselect", value);
		qv_expect(f, "quote.qe_misc");
	}
}

static void qv_03_attributes(void **state)
{
	static const uint8_t mask[16] = { 0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	(void)state;
	for (size_t bit = 0; bit < 128; bit++) {
		bool masked = mask[bit / 8] >> bit % 8 & 1;
		const char *code = bit == 1 ? "quote.qe_debug" : masked ? "quote.qe_attributes" : "ok";
		expect_qe_bit(FORGE_TDX4, SGX_ATTRIBUTES, bit, code);
		expect_qe_bit(FORGE_SGX3, SGX_ATTRIBUTES, bit, code);
	}
	// Debug is refused also when the identity does not look at it, or even asks for it.
	struct forge *f = qv_fresh(FORGE_TDX4);
	f->quote.qe[SGX_ATTRIBUTES] |= 2;
	forge_member(f, FORGE_QE_IDENTITY, "attributesMask", "\"00000000000000000000000000000000\"");
	forge_member(f, FORGE_QE_IDENTITY, "attributes", "\"00000000000000000000000000000000\"");
	qv_expect(f, "quote.qe_debug");
	forge_member(f, FORGE_QE_IDENTITY, "attributesMask", "\"FFFFFFFFFFFFFFFF0000000000000000\"");
	forge_member(f, FORGE_QE_IDENTITY, "attributes", "\"13000000000000000000000000000000\"");
	qv_expect(f, "quote.qe_debug");
	f = qv_fresh(FORGE_TDX4);
	forge_member(f, FORGE_QE_IDENTITY, "attributesMask", "\"EBFFFFFFFFFFFFFF0000000000000000\"");
	qv_expect(f, "quote.qe_attributes"); // expects bit 4 and masks it away
}

static void qv_03_isv_svn(void **state)
{
	static const struct {
		unsigned svn;
		const char *code;
		enum tcb_status status;
	} cases[] = {
		{ 0, "quote.qe_level", 0 },       { 1, "tcb.revoked", 0 },
		{ 2, "ok", TCB_OUT_OF_DATE },     { 3, "ok", TCB_OUT_OF_DATE },
		{ 4, "ok", TCB_UP_TO_DATE },      { 5, "ok", TCB_UP_TO_DATE },
		{ 0x0100, "ok", TCB_UP_TO_DATE }, { 0xffff, "ok", TCB_UP_TO_DATE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct forge *f = qv_fresh(FORGE_TDX4);
		f->quote.qe[SGX_SVN] = (uint8_t)cases[i].svn;
		f->quote.qe[SGX_SVN + 1] = (uint8_t)(cases[i].svn >> 8);
		qv_expect(f, cases[i].code);
		if (!strcmp(cases[i].code, "ok"))
			assert_int_equal(qv.result.tcb.status, cases[i].status);
	}
	assert_int_equal(qv.result.qe.n, 0);
	struct forge *f = qv_fresh(FORGE_TDX4);
	f->quote.qe[SGX_SVN] = 2;
	qv_expect(f, "ok");
	assert_int_equal(qv.result.tcb.n, 1);
	assert_string_equal(qv.result.tcb.advisory[0], "INTEL-SA-00615");
	f->quote.qe[SGX_SVN] = 0;
	qv_expect(f, "quote.qe_level");
	assert_string_equal(qv.err.text, "QE ISVSVN 0 is below minimum required 1");
	forge_member(f, FORGE_QE_IDENTITY, "tcbLevels", "[]");
	qv_expect(f, "qe_identity.format");
	assert_string_equal(qv.err.text, "No TCB levels found in QE Identity");
}

static void qv_03_identity_of_another_enclave(void **state)
{
	static const struct {
		enum forge_kind kind;
		const char *member, *json, *code;
	} cases[] = {
		{ FORGE_TDX4, "id", "\"QE\"", "qe_identity.kind" },
		{ FORGE_TDX4, "id", "\"QVE\"", "qe_identity.kind" },
		{ FORGE_TDX4, "id", "\"td_qe\"", "qe_identity.kind" },
		{ FORGE_SGX3, "id", "\"TD_QE\"", "qe_identity.kind" },
		{ FORGE_TDX4, "version", "1", "qe_identity.kind" },
		{ FORGE_TDX4, "version", "2", "ok" },
		{ FORGE_TDX4, "version", "3", "ok" },
		{ FORGE_TDX4, "version", "4", "qe_identity.kind" },
		{ FORGE_SGX3, "version", "1", "qe_identity.kind" },
		{ FORGE_SGX3, "version", "3", "qe_identity.kind" },
		{ FORGE_TDX4, "version", "258", "qe_identity.format" },
		{ FORGE_TDX4, "version", "\"2\"", "qe_identity.format" },
		{ FORGE_TDX4, "mrsigner", NULL, "qe_identity.format" },
		{ FORGE_TDX4, "mrsigner", "\"DC9E\"", "qe_identity.format" },
		{ FORGE_TDX4, "isvprodid", "65536", "qe_identity.format" },
		{ FORGE_TDX4, "isvprodid", "-2", "qe_identity.format" },
		{ FORGE_TDX4, "miscselect", "\"000000\"", "qe_identity.format" },
		{ FORGE_TDX4, "attributesMask", NULL, "qe_identity.format" },
		{ FORGE_TDX4, "tcbLevels", "{}", "qe_identity.format" },
		{ FORGE_TDX4, "tcbEvaluationDataNumber", NULL, "qe_identity.format" },
		{ FORGE_TDX4, "somethingNew", "{\"a\":[1]}", "ok" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct forge *f = qv_fresh(cases[i].kind);
		forge_member(f, FORGE_QE_IDENTITY, cases[i].member, cases[i].json);
		qv_expect(f, cases[i].code);
	}
}

static void qv_04_vendor(void **state)
{
	(void)state;
	for (size_t bit = 0; bit < 128; bit++) {
		struct forge *f = qv_fresh(FORGE_TDX4);
		f->quote.vendor[bit / 8] ^= (uint8_t)(1u << bit % 8);
		qv_expect(f, "quote.vendor");
	}
	struct forge *f = qv_fresh(FORGE_SGX3);
	memset(f->quote.vendor, 0, 16);
	qv_expect(f, "quote.vendor");
}

static void qv_05_key_and_auth_data(void **state)
{
	struct forge *f;

	(void)state;
	for (size_t bit = 0; bit < 512; bit += 7) {
		f = qv_fresh(FORGE_TDX4); // the key that signs is not the one that was hashed
		qv_build(f);
		forge_edit(f, (struct forge_edit){
				      .layer = FORGE_AUTH,
				      .op = FORGE_XOR,
				      .at = 64 + bit / 8,
				      .bytes = span_of(&(uint8_t){ (uint8_t)(1u << bit % 8) }, 1) });
		qv_expect(f, "quote.qe_hash");
	}
	for (size_t i = 0; i < 32; i++) {
		uint8_t auth[32];
		f = qv_fresh(FORGE_TDX4);
		memcpy(auth, f->quote.qe_auth.p, 32);
		auth[i] ^= 0x80;
		f->quote.qe_auth_hashed = span_of(auth, 32);
		qv_expect(f, "quote.qe_hash");
	}
	// Another key altogether, its signature in order.
	f = qv_fresh(FORGE_TDX4);
	f->quote.attestation_key = span_of(qv.keys.key[FORGE_KEY_OTHER].pub, 64);
	f->sign[FORGE_QUOTE].by = FORGE_KEY_OTHER;
	qv_expect(f, "ok"); // vouched for
	forge_edit(f, (struct forge_edit){ .layer = FORGE_QE_REPORT,
					   .op = FORGE_XOR,
					   .at = SGX_REPORT_DATA,
					   .bytes = qv_hex("01") });
	qv_expect(f, "quote.qe_hash"); // not any more
}

static void qv_05_zero_tail(void **state)
{
	(void)state;
	for (size_t bit = 0; bit < 256; bit++)
		expect_qe_bit(FORGE_TDX4, SGX_REPORT_DATA + 32, bit, "quote.qe_hash");
	expect_qe_bit(FORGE_SGX3, SGX_REPORT_DATA + 63, 7, "quote.qe_hash");
}

static void qv_05_auth_data_length(void **state)
{
	static uint8_t data[1025];
	static const size_t sizes[] = { 0, 1, 16, 31, 33, 64, 96, 1024, 1025 };

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (int whole = 0; whole < 2; whole++) { // hashed whole, or the first 32 bytes of it
			struct forge *f = qv_fresh(FORGE_TDX4);
			f->quote.qe_auth = span_of(data, sizes[i]);
			f->quote.qe_auth_hashed = span_of(data, whole || sizes[i] < 32 ? sizes[i] : 32);
			qv_expect(f, "quote.qe_auth");
		}
}

// ---- the TD

static void qv_06_td_attributes(void **state)
{
	(void)state;
	for (size_t bit = 0; bit < 64; bit++)
		for (int kind = 0; kind < 2; kind++) {
			struct forge *f = qv_fresh(kind ? FORGE_TDX5 : FORGE_TDX4);
			bool free_bit = bit == 30 || bit == 31 || bit == 63; // PKS, KL, PERFMON
			f->quote.td[TD_ATTRIBUTES + bit / 8] ^= (uint8_t)(1u << bit % 8);
			qv_expect(f, bit == 0    ? "td.debug"
				     : bit == 28 ? "td.sept_ve"
				     : free_bit  ? "ok"
						 : "td.reserved");
			// Even where debug is allowed the other bits of the group are not.
			qv.in.allow_debug = true;
			if (bit < 8)
				qv_verify(bit ? "td.reserved" : "ok");
		}
}

// No program sets allow_debug. When the core alone is told to, the verdict says so.
static void qv_06_debug_is_told(void **state)
{
	struct forge *f = qv_fresh(FORGE_TDX4);
	struct verdict v;
	bool told = false;

	(void)state;
	f->quote.td[TD_ATTRIBUTES] |= 1;
	qv_build(f);
	qv.in.allow_debug = true;
	qv_verify("ok");
	verdict_init(&v);
	dcap_claims(&qv.result, &v);
	for (size_t i = 0; i < v.n; i++)
		told |= !strcmp(v.claim[i].name, "debug") && !strcmp(v.claim[i].value, "on (allowed)");
	assert_true(told);
	f = qv_fresh(FORGE_SGX3);
	f->quote.enclave[SGX_ATTRIBUTES] |= 2;
	qv_expect(f, "sgx.debug");
}

static void qv_07_module_and_service_td(void **state)
{
	(void)state;
	for (size_t i = 0; i < 48; i++) {
		struct forge *f = qv_fresh(i & 1 ? FORGE_TDX5 : FORGE_TDX4);
		f->quote.td[TD_MRSIGNERSEAM + i] = (uint8_t)(1u << i % 8);
		qv_expect(f, "tdx_module.signer");
		f = qv_fresh(FORGE_TDX5);
		f->quote.td[TD_MRSERVICETD + i] = (uint8_t)(1u << i % 8);
		qv_expect(f, "td.service");
		qv.in.allow_service_td = true;
		qv_verify("ok");
	}
	for (size_t bit = 0; bit < 64; bit++) {
		struct forge *f = qv_fresh(bit & 1 ? FORGE_TDX5 : FORGE_TDX4);
		f->quote.td[TD_SEAMATTRIBUTES + bit / 8] = (uint8_t)(1u << bit % 8);
		qv_expect(f, "tdx_module.attributes");
	}
	// Also where the module's identity would allow them.
	static const char other[] =
		"[{\"id\":\"TDX_01\",\"mrsigner\":\"%s\",\"attributes\":\"%s\",\"attributesMask\":"
		"\"%s\",\"tcbLevels\":[{\"tcb\":{\"isvsvn\":1},\"tcbDate\":\"2024-03-13T00:00:00Z\","
		"\"tcbStatus\":\"UpToDate\"}]}]";
	static const char ones[] = "0101010101010101010101010101010101010101010101010101010101010101010101010"
				   "10101010101010101010101";
	static const char zeros[] = "000000000000000000000000000000000000000000000000000000000000000000000000"
				    "000000000000000000000000";
	char json[600];
	struct forge *f = qv_fresh(FORGE_TDX4);
	memset(f->quote.td + TD_MRSIGNERSEAM, 1, 48);
	snprintf(json, sizeof json, other, ones, "0000000000000000", "FFFFFFFFFFFFFFFF");
	forge_member(f, FORGE_TCB_INFO, "tdxModuleIdentities", json);
	qv_expect(f, "td.seam_signer");
	f = qv_fresh(FORGE_TDX4);
	f->quote.td[TD_SEAMATTRIBUTES] = 1;
	snprintf(json, sizeof json, other, zeros, "0100000000000000", "FFFFFFFFFFFFFFFF");
	forge_member(f, FORGE_TCB_INFO, "tdxModuleIdentities", json);
	qv_expect(f, "tdx_module.attributes");
	f = qv_fresh(FORGE_TDX4);
	f->quote.td[TD_SEAMATTRIBUTES] = 1;
	snprintf(json, sizeof json, other, zeros, "0000000000000000", "0000000000000000");
	forge_member(f, FORGE_TCB_INFO, "tdxModuleIdentities", json);
	qv_expect(f, "tdx_module.attributes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qv_03_signer_and_product),
		cmocka_unit_test(qv_03_misc_select),
		cmocka_unit_test(qv_03_attributes),
		cmocka_unit_test(qv_03_isv_svn),
		cmocka_unit_test(qv_03_identity_of_another_enclave),
		cmocka_unit_test(qv_04_vendor),
		cmocka_unit_test(qv_05_key_and_auth_data),
		cmocka_unit_test(qv_05_zero_tail),
		cmocka_unit_test(qv_05_auth_data_length),
		cmocka_unit_test(qv_06_td_attributes),
		cmocka_unit_test(qv_06_debug_is_told),
		cmocka_unit_test(qv_07_module_and_service_td),
	};
	return cmocka_run_group_tests(tests, qv_setup, qv_teardown);
}
