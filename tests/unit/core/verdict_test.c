// Verdicts: never true by omission; and the catalogue of reasons.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/codec/json.h"
#include "core/verdict/reason.h"
#include "core/attest/dcap.h"
#include "core/verdict/verdict.h"

static struct verdict v;
static const char *const required[] = { "quote", "rtmr3", NULL };

static void start(void)
{
	verdict_init(&v);
	verdict_pass(&v, "quote", span_str("tdx"), ANCHOR_INTEL);
}

static void all_required(void **state)
{
	(void)state;
	start();
	assert_false(v.ok);
	assert_false(verdict_close(&v, required));
	assert_string_equal(v.code, "verify.not_checked");
	assert_non_null(strstr(v.error, "rtmr3"));
	verdict_pass_hex(&v, "rtmr3", "\xab\xcd", 2, ANCHOR_INTEL);
	assert_true(verdict_close(&v, required));
	assert_string_equal(verdict_find(&v, "rtmr3")->value, "abcd");
	assert_string_equal(v.code, "");
	assert_int_equal(v.anchor, ANCHOR_INTEL);
	verdict_init(&v);
	assert_false(verdict_close(&v, NULL)); // nothing was checked
	assert_int_equal(v.anchor, ANCHOR_NONE);
}

static void first_failure_is_reported(void **state)
{
	struct span want = span_of("\x01\x02", 2);

	(void)state;
	start();
	verdict_equal(&v, "rtmr3", span_of("\x01\x03", 2), &want, ANCHOR_INTEL, "measure.rtmr3");
	verdict_fail(&v, "other", span_str("x"), ANCHOR_INTEL, "other.code", "other");
	assert_false(verdict_close(&v, required));
	assert_string_equal(v.code, "measure.rtmr3");
	assert_string_equal(v.error, "rtmr3: expected 0102, got 0103");
}

// QV-20: an expectation that is absent is an error, not a pass.
static void qv_20_absent_expectation(void **state)
{
	struct span none = { 0 }, two = span_of("\x01\x02", 2);

	(void)state;
	start();
	assert_false(verdict_equal(&v, "rtmr3", two, NULL, ANCHOR_INTEL, "measure.rtmr3")->ok);
	assert_false(verdict_equal(&v, "rtmr2", two, &none, ANCHOR_INTEL, "measure.rtmr2")->ok);
	assert_false(verdict_equal(&v, "rtmr1", none, &none, ANCHOR_INTEL, "measure.rtmr1")->ok);
	assert_true(verdict_equal(&v, "rtmr0", two, &two, ANCHOR_INTEL, "measure.rtmr0")->ok);
	assert_false(verdict_close(&v, required));
}

static void weakest_anchor(void **state)
{
	(void)state;
	start();
	verdict_pass(&v, "rtmr3", span_str(""), ANCHOR_DEVELOPMENT);
	assert_true(verdict_close(&v, required));
	assert_int_equal(v.anchor, ANCHOR_DEVELOPMENT);
}

static void too_many_claims(void **state)
{
	(void)state;
	start();
	verdict_pass(&v, "rtmr3", span_str(""), ANCHOR_INTEL);
	for (int i = 0; i < VERDICT_CLAIMS; i++)
		verdict_pass(&v, "more", span_str(""), ANCHOR_INTEL);
	assert_int_equal(v.n, VERDICT_CLAIMS);
	assert_false(verdict_close(&v, required));
	assert_string_equal(v.code, "verify.too_many");
}

static void long_texts_are_cut(void **state)
{
	static uint8_t text[1 << 16];
	char longer[1000];
	struct json doc, claims, claim;
	struct wr w = wr_to(text, sizeof text);

	(void)state;
	memset(longer, 'x', sizeof longer);
	longer[sizeof longer - 1] = 0;
	memcpy(longer + 198, "\xc3\xa9", 2); // the cut must not halve a character
	start();
	verdict_fail(&v, longer, span_str(longer), ANCHOR_INTEL, longer, longer);
	verdict_close(&v, required);
	assert_int_equal(strlen(v.claim[1].value), 198);
	dcap_json(&w, NULL, &v);
	assert_false(w.bad);
	assert_int_equal(json_parse(&doc, span_of(text, w.n), NULL), 0);
	assert_true(json_get(doc, "claims", &claims) && json_count(claims) == 2);
	for (struct json_iter it = json_iter(claims); json_next(&it, NULL, &claim);)
		assert_int_equal(json_count(claim), 7);
}

static bool is_code(const char *s)
{
	size_t dots = 0;

	for (const char *p = s; *p; p++) {
		dots += *p == '.';
		if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9') && *p != '_' && *p != '.')
			return false;
	}
	return dots == 1 && s[0] != '.' && strlen(s) < 48;
}

static void catalogue(void **state)
{
	const struct reason_text *r;
	size_t i;

	(void)state;
	for (i = 1; (r = reason_at(i)); i++) {
		if (!is_code(r->code) || !*r->text || !*r->why || !*r->todo)
			fail_msg("reason %zu %s", i, r->code);
		// Only neighbours may share a code: the same reason in several wordings.
		const struct reason_text *first = reason_find(span_str(r->code));
		if (first != r && strcmp(reason_at(i - 1)->code, r->code) != 0 && i >= REASON_COUNT)
			fail_msg("%s is explained twice", r->code);
	}
	assert_true(i > REASON_COUNT);
	assert_null(reason_find(span_str("no.such")));
	assert_null(reason_find(span_str("")));
}

// Words of upstream's library that SDKs match on.
static void known_words(void **state)
{
	static const char *const words[] = {
		"Failed to decode quote",
		"Unsupported quote version",
		"Invalid TEE type",
		"Unsupported body type",
		"Unsupported auth data version",
		"Not enough data to fill buffer",
		"Data length exceeds maximum",
		"Unknown QE vendor ID",
		"Unsupported TEE type: ",
		"SGX TEE quote must have version 3",
		"TDX TEE quote must have version 4 or 5",
		"Unsupported DCAP attestation key type",
		"Failed to decode TcbInfo",
		"TCBInfo issue date is in the future",
		"TCBInfo expired",
		"Certificate chain is too short for TCB Info",
		"Failed to verify certificate chain",
		"Signature is invalid for tcb_info in quote_collateral",
		"Failed to decode QeIdentity",
		"QE Identity issue date is in the future",
		"QE Identity expired",
		"Certificate chain is too short for QE Identity",
		"Signature is invalid for qe_identity in quote_collateral",
		"Unsupported QE Identity id/version for the quote TEE type",
		"Unsupported DCAP PCK cert format: ",
		"Certificate chain is too short in quote",
		"Intel extension not found",
		"extension OID appears more than once",
		"Fmspc length mismatch",
		"CpuSvn length mismatch",
		"PceSvn length mismatch",
		"Signature is invalid for qe_report in quote",
		"Invalid QE auth data length",
		"QE report hash mismatch",
		"QE MRSIGNER mismatch",
		"Debug mode is enabled",
		"QE ISVPRODID mismatch",
		"QE MISCSELECT mismatch",
		"QE ATTRIBUTES mismatch at byte ",
		"is below minimum required ",
		"No TCB levels found in QE Identity",
		"ISV enclave report signature is invalid",
		"Fmspc mismatch",
		"TDX quote with non-TDX TCB info in the collateral",
		"SGX quote with non-SGX TCB info in the collateral",
		"component count mismatch",
		"No matching TCB level found",
		"TDX TCB Info is missing tdxModule field",
		"No TDX module identity with id TDX_",
		"TDX module MRSIGNER mismatch",
		"TDX module SEAMATTRIBUTES mismatch at byte ",
		"bits set outside mask",
		"TCB status is invalid: Revoked",
		"Reserved bits in TD attributes are set",
		"SEPT_VE_DISABLE is not enabled",
		"Invalid MR service TD",
		"Debug mode is not allowed",
		"Invalid mr signer seam",
	};
	(void)state;
	for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
		size_t i = 0;
		while (reason_at(i) && !strstr(reason_at(i)->text, words[w]))
			i++;
		if (!reason_at(i))
			fail_msg("no reason says: %s", words[w]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_required),    cmocka_unit_test(first_failure_is_reported),
		cmocka_unit_test(weakest_anchor),  cmocka_unit_test(qv_20_absent_expectation),
		cmocka_unit_test(too_many_claims), cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(catalogue),       cmocka_unit_test(known_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
