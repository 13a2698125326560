// QV-20, the part of the quote: what is absent is never a pass, however the functions are called. And
// spec 3.4: the words that SDKs match on are in the text of each code.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "qv_fixture.h"

static void qv_20_nothing_is_no_evidence(void **state)
{
	static const struct dcap_result none;
	static struct dcap untouched;
	struct forge *f = qv_fresh(FORGE_TDX4);

	(void)state;
	// A context that was never begun gives no result, whatever is claimed to have passed.
	assert_int_equal(dcap_finish(&untouched, UINT32_MAX, &qv.result), REASON_QUOTE_FORMAT);
	assert_memory_equal(&qv.result, &none, sizeof none);
	// Nor does one whose checks nobody ran.
	qv_build(f);
	const struct dcap_collateral *col = engine_collateral(qv.engine, qv.in.collateral, 0);
	dcap_begin(&untouched, &qv.in, col);
	assert_true(untouched.checks >= 9);
	for (size_t i = 0; i < untouched.checks; i++) {
		assert_int_not_equal(dcap_finish(&untouched, ~(1u << i), &qv.result), REASON_OK);
		assert_memory_equal(&qv.result, &none, sizeof none);
	}
	assert_int_not_equal(dcap_finish(&untouched, 0, &qv.result), REASON_OK);
	// Absent inputs, one by one.
	qv_build(f);
	struct dcap_input all = qv.in;
	qv.in.quote = (struct span){ 0 };
	qv_verify("quote.truncated");
	qv.in = all;
	qv.in.collateral = (struct span){ 0 };
	qv_verify("collateral.format");
	qv.in = all;
	qv.in.now = 0;
	qv_verify("root.time");
	assert_memory_equal(&qv.result, &none, sizeof none); // nothing is left of an earlier one
}

static void qv_20_no_root_is_no_trust(void **state)
{
	static const struct dcap_result none;
	struct err e = { 0 };
	struct engine *g = engine_new(&e);
	static uint8_t big[5000];

	(void)state;
	assert_non_null(g);
	qv_build(qv_fresh(FORGE_TDX4));
	qv_verify("ok");
	assert_int_equal(engine_only_root(g, (struct span){ 0 }, &e), -1);
	assert_string_equal(e.code, "root.format");
	e = (struct err){ 0 };
	assert_int_equal(dcap_verify(g, &qv.in, &qv.result, &e), -1);
	assert_string_equal(e.code, "root.format");
	assert_memory_equal(&qv.result, &none, sizeof none);
	assert_int_equal(engine_only_root(g, span_of(big, sizeof big), &e), -1);
	assert_int_equal(engine_only_root(g, span_str("no certificate"), &e), 0); // told when it is used
	assert_int_equal(dcap_verify(g, &qv.in, &qv.result, &e), -1);
	assert_string_equal(e.code, "root.format");
	engine_free(g);
}

// Every member of the collateral absent, null, empty, or of another kind.
static void qv_20_every_member_is_needed(void **state)
{
	static const char *const member[] = {
		"pck_crl_issuer_chain",     "root_ca_crl", "pck_crl",
		"tcb_info_issuer_chain",    "tcb_info",    "tcb_info_signature",
		"qe_identity_issuer_chain", "qe_identity", "qe_identity_signature"
	};
	static const char *const value[] = { NULL, "null", "0", "{}", "[]", "true", "\"\"" };

	(void)state;
	for (size_t m = 0; m < sizeof member / sizeof *member; m++)
		for (size_t v = 0; v < sizeof value / sizeof *value; v++) {
			struct forge *f = qv_fresh(v & 1 ? FORGE_SGX3 : FORGE_TDX4);
			forge_member(f, FORGE_COLLATERAL, member[m], value[v]);
			qv_build(f);
			assert_int_equal(dcap_verify(qv.engine, &qv.in, &qv.result, &qv.err), -1);
			if (v < 6)
				assert_string_equal(qv.err.code, "collateral.format");
		}
}

static void substrings_that_clients_match(void **state)
{
	static const struct {
		enum reason reason;
		const char *text;
	} texts[] = {
		{ REASON_QUOTE_FORMAT, "Failed to decode quote" },
		{ REASON_QUOTE_VERSION, "Unsupported quote version" },
		{ REASON_QUOTE_TEE, "Invalid TEE type" },
		{ REASON_QUOTE_TEE, "Unsupported TEE type: 7" },
		{ REASON_QUOTE_BODY, "Unsupported body type" },
		{ REASON_QUOTE_BODY_EX, "Unsupported body type" },
		{ REASON_QUOTE_AUTH, "Unsupported auth data version" },
		{ REASON_QUOTE_LENGTH, "Not enough data to fill buffer" },
		{ REASON_LIMIT, "Data length exceeds maximum" },
		{ REASON_QUOTE_VENDOR, "Unknown QE vendor ID" },
		{ REASON_QUOTE_TEE_SGX, "SGX TEE quote must have version 3" },
		{ REASON_QUOTE_TEE_TDX, "TDX TEE quote must have version 4 or 5" },
		{ REASON_QUOTE_KEY_TYPE, "Unsupported DCAP attestation key type" },
		{ REASON_TCB_FORMAT, "Failed to decode TcbInfo" },
		{ REASON_TCB_V2, "Failed to decode TcbInfo" },
		{ REASON_TCB_FUTURE, "TCBInfo issue date is in the future" },
		{ REASON_TCB_EXPIRED, "TCBInfo expired" },
		{ REASON_TCB_CHAIN_SHORT, "Certificate chain is too short for TCB Info" },
		{ REASON_TCB_CHAIN, "Failed to verify certificate chain" },
		{ REASON_QEID_CHAIN, "Failed to verify certificate chain" },
		{ REASON_PCK_CHAIN, "Failed to verify certificate chain" },
		{ REASON_CRL_FORMAT, "Failed to verify certificate chain" },
		{ REASON_CRL_TIME, "Failed to verify certificate chain" },
		{ REASON_CRL_ISSUER, "Failed to verify certificate chain" },
		{ REASON_CRL_SIGNATURE, "Failed to verify certificate chain" },
		{ REASON_CERT_REVOKED, "Failed to verify certificate chain" },
		{ REASON_ROOT_REVOKED, "Failed to verify certificate chain" },
		{ REASON_ROOT_OTHER, "Failed to verify certificate chain" },
		{ REASON_TCB_SIGNATURE, "Signature is invalid for tcb_info in quote_collateral" },
		{ REASON_QEID_FORMAT, "Failed to decode QeIdentity" },
		{ REASON_QEID_FUTURE, "QE Identity issue date is in the future" },
		{ REASON_QEID_EXPIRED, "QE Identity expired" },
		{ REASON_QEID_CHAIN_SHORT, "Certificate chain is too short for QE Identity" },
		{ REASON_QEID_SIGNATURE, "Signature is invalid for qe_identity in quote_collateral" },
		{ REASON_QEID_KIND, "Unsupported QE Identity id/version for the quote TEE type" },
		{ REASON_PCK_TYPE, "Unsupported DCAP PCK cert format: 7" },
		{ REASON_PCK_CHAIN_SHORT, "Certificate chain is too short in quote" },
		{ REASON_PCK_EXT_MISSING, "Intel extension not found" },
		{ REASON_PCK_EXT_TWICE, "extension OID appears more than once" },
		{ REASON_PCK_FMSPC, "Fmspc length mismatch" },
		{ REASON_PCK_CPUSVN, "CpuSvn length mismatch" },
		{ REASON_PCK_PCESVN, "PceSvn length mismatch" },
		{ REASON_QE_SIGNATURE, "Signature is invalid for qe_report in quote" },
		{ REASON_QE_AUTH, "Invalid QE auth data length" },
		{ REASON_QE_HASH, "QE report hash mismatch" },
		{ REASON_QE_SIGNER, "QE MRSIGNER mismatch" },
		{ REASON_QE_DEBUG, "QE report validation failed" },
		{ REASON_QE_DEBUG, "Debug mode is enabled" },
		{ REASON_QE_PRODUCT, "QE ISVPRODID mismatch" },
		{ REASON_QE_MISC, "QE MISCSELECT mismatch" },
		{ REASON_QE_ATTRIBUTES, "QE ATTRIBUTES mismatch at byte 7" },
		{ REASON_QE_LEVEL, "QE ISVSVN 7 is below minimum required 9" },
		{ REASON_QE_NO_LEVELS, "No TCB levels found in QE Identity" },
		{ REASON_QUOTE_SIGNATURE, "ISV enclave report signature is invalid" },
		{ REASON_FMSPC, "Fmspc mismatch" },
		{ REASON_KIND_TDX, "TDX quote with non-TDX TCB info in the collateral" },
		{ REASON_KIND_SGX, "SGX quote with non-SGX TCB info in the collateral" },
		{ REASON_TCB_COUNT_SGX, "SGX component count mismatch" },
		{ REASON_TCB_COUNT_TDX, "TDX component count mismatch" },
		{ REASON_TCB_LEVEL, "No matching TCB level found" },
		{ REASON_MODULE_MISSING, "TDX module identity check" },
		{ REASON_MODULE_MISSING, "TDX TCB Info is missing tdxModule field" },
		{ REASON_MODULE_ID, "No TDX module identity with id TDX_07" },
		{ REASON_MODULE_SIGNER, "TDX module MRSIGNER mismatch" },
		{ REASON_MODULE_ATTRIBUTES, "TDX module SEAMATTRIBUTES mismatch at byte 7" },
		{ REASON_MODULE_OUTSIDE, "bits set outside mask" },
		{ REASON_MODULE_LEVEL, "TDX module ISVSVN 7 is below minimum" },
		{ REASON_TCB_REVOKED, "TCB status is invalid: Revoked" },
		{ REASON_TD_RESERVED, "Reserved bits in TD attributes are set" },
		{ REASON_TD_SEPT, "SEPT_VE_DISABLE is not enabled" },
		{ REASON_TD_SERVICE, "Invalid MR service TD" },
		{ REASON_TD_DEBUG, "Debug mode is not allowed" },
		{ REASON_TD_DEBUG, "Debug mode is enabled" },
		{ REASON_SGX_DEBUG, "Debug mode is enabled" },
		{ REASON_TD_SEAM_SIGNER, "Invalid mr signer seam" },
	};
	bool seen[REASON_COUNT] = { [REASON_OK] = true };
	static struct dcap d;

	(void)state;
	d.arg[0] = 7;
	d.arg[1] = 9;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char text[300];
		dcap_explain(&d, texts[i].reason, text, sizeof text);
		if (!strstr(text, texts[i].text))
			fail_msg("%s: no '%s' in '%s'", reason_text(texts[i].reason)->code, texts[i].text,
				 text);
		seen[texts[i].reason] = true;
	}
	// Codes that upstream has no text for.
	static const enum reason ours[] = { REASON_COLLATERAL_FORMAT, REASON_ROOT_FORMAT,    REASON_ROOT_TIME,
					    REASON_PCK_EXT,           REASON_PCK_SVN_DIFFER, REASON_PCEID };
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		seen[ours[i]] = true;
	for (int r = 0; r <= REASON_SGX_DEBUG; r++) // those behind are of other evidence
		if (!seen[r])
			fail_msg("%s is in no list", reason_text((enum reason)r)->code);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qv_20_nothing_is_no_evidence),
		cmocka_unit_test(qv_20_no_root_is_no_trust),
		cmocka_unit_test(qv_20_every_member_is_needed),
		cmocka_unit_test(substrings_that_clients_match),
	};
	return cmocka_run_group_tests(tests, qv_setup, qv_teardown);
}
