// SEV-SNP reports: every rule of docs/formats/snp.md alone, every signature, and every way to be nearly
// right, on evidence under roots of the test's own.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "snp_fixture.h"

#ifdef BIT_STEP // a sanitizer build
enum { REPORT_STEP = 7 };
#else
enum { REPORT_STEP = 1 };
#endif

static void accepted(void **state)
{
	(void)state;
	for (enum snp_product p = SNP_MILAN; p < SNP_PRODUCTS; p++)
		for (uint32_t version = 2; version < 4; version++) {
			struct made *m = made_new(p, version);
			expect_signed(m, REASON_OK);
			assert_int_equal(result.product, p);
			assert_int_equal(result.report.version, version);
			assert_int_equal(result.anchor, ANCHOR_DEVELOPMENT);
			assert_true(result.up_to_date && !result.revocation_checked);
			assert_int_equal(result.issued, 1577836800);
			assert_int_equal(result.expires, 1893456000);
			assert_memory_equal(result.report.measurement, m->report + 0x90, 48);
			assert_memory_equal(result.report.host_data, m->report + 0xc0, 32);
			assert_memory_equal(result.report.report_data, m->report + 0x50, 64);
			assert_memory_equal(result.report.chip_id, m->report + 0x1a0, 64);
		}
}

// ---- the report

static void lengths_and_versions(void **state)
{
	struct made *m = made_new(SNP_MILAN, 3);
	static uint8_t longer[SNP_REPORT + 1];

	(void)state;
	for (size_t n = 0; n < SNP_REPORT; n++) {
		m->in.report.n = n;
		expect(m, REASON_SNP_LENGTH);
	}
	m->in.report = span_of(longer, sizeof longer);
	expect(m, REASON_SNP_LENGTH);
	for (uint32_t v = 0; v < 256; v++) {
		m = made_new(SNP_MILAN, v);
		memcpy(m->report + 0x188, v > 2 ? "\x19\x01\x01" : "\0\0\0", 3);
		made_sign_report(m, snp_key(2));
		expect_signed(m, v == 2 || v == 3 ? REASON_OK : REASON_SNP_VERSION);
	}
	m = made_new(SNP_MILAN, 0x10003);
	expect(m, REASON_SNP_VERSION);
}

// Version 5 is shown and not accepted: its two new fields are no reserved bytes there.
static void version_5_is_read(void **state)
{
	struct made *m = made_new(SNP_MILAN, 5);
	struct snp_report r;
	uint32_t arg[2];

	(void)state;
	m->report[0x1f8] = 3;
	m->report[0x200] = 7;
	assert_int_equal(snp_report_read(&r, m->in.report, arg), REASON_OK);
	assert_true(r.launch_mit == 3 && r.current_mit == 7);
	m->report[0] = 3;
	assert_int_equal(snp_report_read(&r, m->in.report, arg), REASON_SNP_RESERVED);
	assert_int_equal(arg[0], 0x1f8);
}

static void reserved_bytes(void **state)
{
	static const size_t ranges[][2] = {
		{ 0x4c, 0x50 },   { 0x110, 0x140 }, { 0x18b, 0x1a0 }, { 0x1eb, 0x1ec },
		{ 0x1ef, 0x1f0 }, { 0x1f8, 0x2a0 }, { 0x2d0, 0x2e8 }, { 0x318, SNP_REPORT },
	};
	struct snp_report r;
	uint32_t arg[2];

	(void)state;
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
		for (size_t at = ranges[i][0]; at < ranges[i][1]; at++) {
			struct made *m = made_new(SNP_MILAN, 3);
			if (at < SNP_SIGNED) {
				m->report[at] = 0x80;
				expect(m, REASON_SNP_RESERVED);
			}
			m->report[at] = 1;
			assert_int_equal(snp_report_read(&r, m->in.report, arg), REASON_SNP_RESERVED);
			assert_int_equal(arg[0], at);
		}
	for (size_t at = 0x188; at < 0x18b; at++) { // version 2 has no CPU
		struct made *m = made_new(SNP_MILAN, 2);
		m->report[at] = 1;
		expect(m, REASON_SNP_RESERVED);
	}
	for (size_t bit = 5; bit < 32; bit++) {
		struct made *m = made_new(SNP_MILAN, 3);
		m->report[0x48 + bit / 8] = (uint8_t)(1u << bit % 8);
		expect(m, REASON_SNP_RESERVED);
	}
	struct made *m = made_new(SNP_MILAN, 3);
	m->report[0x48] = 1; // with an author key its digest is there
	m->report[0x110] = 1;
	made_sign_report(m, snp_key(2));
	expect_signed(m, REASON_OK);
}

// One change of the report's bytes, and what it leads to.
struct change {
	size_t at;
	uint8_t value;
	enum reason want;
};

static void try_changes(const struct change *c, size_t n, enum snp_product p)
{
	for (size_t i = 0; i < n; i++) {
		struct made *m = made_new(p, 3);
		m->report[c[i].at] = c[i].value;
		made_sign_report(m, snp_key(2));
		enum reason got = made_judge(m, &result);
		if (got != c[i].want)
			fail_msg("byte 0x%zx = 0x%x: %s, expected %s", c[i].at, c[i].value,
				 reason_text(got)->code, reason_text(c[i].want)->code);
	}
}

static void rules(void **state)
{
	static const struct change changes[] = {
		{ 0x30, 1, REASON_SNP_VMPL },
		{ 0x30, 3, REASON_SNP_VMPL },
		{ 0x33, 1, REASON_SNP_VMPL },
		{ 0x34, 0, REASON_SNP_ALGORITHM },
		{ 0x34, 2, REASON_SNP_ALGORITHM },
		{ 0x48, 2, REASON_SNP_KEY_MASKED },
		{ 0x48, 6, REASON_SNP_KEY_MASKED },
		{ 0x48, 4, REASON_SNP_VLEK },
		{ 0x48, 8, REASON_SNP_SIGNING_KEY },
		{ 0x48, 0x1c, REASON_SNP_SIGNING_KEY },
		{ 0x4, 9, REASON_OK },   // guest SVN
		{ 0x10, 9, REASON_OK },  // family id
		{ 0x20, 9, REASON_OK },  // image id
		{ 0x50, 9, REASON_OK },  // report data
		{ 0xe0, 9, REASON_OK },  // id key digest
		{ 0x140, 9, REASON_OK }, // report id
		{ 0x160, 0, REASON_SNP_MIGRATION },
		{ 0x17f, 0xfe, REASON_SNP_MIGRATION },
		{ 0x18a, 0xff, REASON_OK }, // stepping
		{ 0x1a0, 0xee, REASON_SNP_CHIP_ID },
		{ 0x1df, 0xee, REASON_SNP_CHIP_ID },
		{ 0x180, 3, REASON_SNP_TCB_MISMATCH },
		{ 0x182, 1, REASON_SNP_TCB_MISMATCH },
		{ 0x187, 0xd6, REASON_SNP_TCB_MISMATCH },
	};

	(void)state;
	try_changes(changes, sizeof changes / sizeof *changes, SNP_MILAN);
	struct made *m = made_new(SNP_MILAN, 3);
	memset(m->report + 0x1a0, 0, 64);
	expect(m, REASON_SNP_CHIP_MASKED);
	m->report[0x1df] = 1;
	expect(m, REASON_SNP_CHIP_ID);
}

static void policy_bits(void **state)
{
	static const enum reason want[64] = {
		[17] = REASON_SNP_POLICY, [18] = REASON_SNP_MIGRATION, [19] = REASON_SNP_DEBUG,
		[16] = REASON_SNP_SMT,    [23] = REASON_SNP_RAPL,      [24] = REASON_SNP_HIDING,
	};

	(void)state;
	for (size_t bit = 0; bit < 64; bit++) {
		struct made *m = made_new(SNP_MILAN, 3);
		m->report[8 + bit / 8] ^= (uint8_t)(1u << bit % 8);
		made_sign_report(m, snp_key(2));
		enum reason w = bit > 25 ? REASON_SNP_POLICY : want[bit];
		if (bit < 16) // 1.55 is the firmware's version, 0x0137
			w = (1u << bit) > 0x137 ? REASON_SNP_FIRMWARE : REASON_OK;
		expect_signed(m, w);
		m->in.allow_debug = true;
		if (bit == 19)
			expect_signed(m, REASON_OK);
	}
}

static void platform_bits(void **state)
{
	(void)state;
	for (size_t bit = 0; bit < 64; bit++) {
		struct made *m = made_new(SNP_MILAN, 3);
		m->report[0x40 + bit / 8] ^= (uint8_t)(1u << bit % 8);
		made_sign_report(m, snp_key(2));
		expect_signed(m, bit == 6 || bit > 7 ? REASON_SNP_PLATFORM : REASON_OK);
	}
	// What the policy asks for and the platform has.
	struct made *m = made_new(SNP_MILAN, 3);
	m->report[0xa] = 0x82; // RAPL off, no SMT
	m->report[0xb] = 1;    // ciphertext hiding
	m->report[0x40] = 0x18;
	made_sign_report(m, snp_key(2));
	expect_signed(m, REASON_OK);
}

static void tcb_order_and_status(void **state)
{
	enum { CURRENT = 0x38, REPORTED = 0x180, COMMITTED = 0x1e0, LAUNCH = 0x1f0 };
	static const struct {
		size_t at;
		int delta;
		enum reason want;
		bool up_to_date;
	} cases[] = {
		{ CURRENT, 0, REASON_OK, true },
		{ CURRENT, 1, REASON_OK, false },
		{ CURRENT, -1, REASON_SNP_TCB_ORDER, false },
		{ COMMITTED, 1, REASON_SNP_TCB_ORDER, false },
		{ COMMITTED, -1, REASON_SNP_TCB_ORDER, false }, // below the reported one
		{ LAUNCH, 1, REASON_SNP_TCB_ORDER, false },
		{ LAUNCH, -1, REASON_OK, false },
	};

	(void)state;
	for (enum snp_product p = SNP_MILAN; p < SNP_PRODUCTS; p++)
		for (size_t part = 0; part < 8; part++)
			for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
				struct made *m = made_new(p, 3);
				if (m->report[0x38 + part] == 0)
					continue;
				m->report[cases[i].at + part] =
					(uint8_t)(m->report[cases[i].at + part] + cases[i].delta);
				made_sign_report(m, snp_key(2));
				enum reason got = made_judge(m, &result);
				if (got != cases[i].want)
					fail_msg("0x%zx[%zu] %+d: %s", cases[i].at, part, cases[i].delta,
						 reason_text(got)->code);
				assert_int_equal(result.up_to_date, cases[i].up_to_date);
				if (got == REASON_OK)
					assert_string_equal(snp_status_name(&result),
							    cases[i].up_to_date ? "UpToDate" : "OutOfDate");
			}
	// The reported level alone is lower: allowed, with a VCEK of that level.
	struct made *m = made_new(SNP_MILAN, 3);
	m->report[0x186]--;
	m->spec.spl[3]--;
	made_vcek(m, sig_of(snp_key(1)));
	made_sign_report(m, snp_key(2));
	expect_signed(m, REASON_OK);
	assert_false(result.up_to_date);
}

static void firmware_versions(void **state)
{
	static const struct change changes[] = {
		{ 0x1ec, 0x1e, REASON_SNP_FIRMWARE }, // committed build above the current one
		{ 0x1ed, 0x38, REASON_SNP_FIRMWARE },
		{ 0x1ee, 2, REASON_SNP_FIRMWARE },
		{ 0x1e8, 0x1c, REASON_SNP_FIRMWARE },
		{ 0x1e8, 0x1e, REASON_OK },
		{ 0x1ee, 0, REASON_OK },
	};

	(void)state;
	try_changes(changes, sizeof changes / sizeof *changes, SNP_MILAN);
}

static void products(void **state)
{
	(void)state;
	for (enum snp_product p = SNP_MILAN; p < SNP_PRODUCTS; p++)
		for (unsigned family = 0x17; family < 0x1c; family++)
			for (unsigned model = 0; model < 256; model++) {
				struct made *m = made_new(p, 3);
				int is = family == 0x19 && model <= 0x0f ? SNP_MILAN
					 : family == 0x19 && ((model >= 0x10 && model <= 0x1f) ||
							      (model >= 0xa0 && model <= 0xaf))
						 ? SNP_GENOA
					 : family == 0x1a && model <= 0x11 ? SNP_TURIN
									   : -1;
				m->report[0x188] = (uint8_t)family;
				m->report[0x189] = (uint8_t)model;
				expect(m, is < 0         ? REASON_SNP_PRODUCT
					  : is == (int)p ? REASON_OK
							 : REASON_SNP_PRODUCT_OTHER);
			}
}

// ---- the whole

static void every_bit(void **state)
{
	struct made *m = made_new(SNP_MILAN, 3);
	size_t accepted_ones = 0;

	(void)state;
	for (size_t bit = 0; bit < 8 * SNP_REPORT; bit += REPORT_STEP) {
		m->report[bit / 8] ^= (uint8_t)(1u << bit % 8);
		accepted_ones += made_judge_report(m) == REASON_OK;
		m->report[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(accepted_ones, 0);
	expect_signed(m, REASON_OK);
}

// Whichever check fails, the reason is that of the first; without checks nothing is accepted.
static void deferred_checks(void **state)
{
	static struct snp s;
	struct made *m = made_new(SNP_MILAN, 3);

	(void)state;
	snp_begin(&s, &m->in, span_of(m->ark.der, m->ark.n), ANCHOR_DEVELOPMENT);
	assert_int_equal(s.checks, 4);
	assert_int_equal(snp_finish(&s, 0, &result), REASON_SNP_ROOT_FORMAT);
	for (size_t i = 0; i < s.checks; i++) {
		assert_int_equal(snp_finish(&s, ~(1u << i), &result), s.check[i].reason);
		assert_int_equal(result.report.version, 0);
		if (i)
			assert_true(s.check[i - 1].reason < s.check[i].reason);
	}
	assert_int_equal(snp_finish(&s, 15, &result), REASON_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted),
		cmocka_unit_test(lengths_and_versions),
		cmocka_unit_test(version_5_is_read),
		cmocka_unit_test(reserved_bytes),
		cmocka_unit_test(rules),
		cmocka_unit_test(policy_bits),
		cmocka_unit_test(platform_bits),
		cmocka_unit_test(tcb_order_and_status),
		cmocka_unit_test(firmware_versions),
		cmocka_unit_test(products),
		cmocka_unit_test(every_bit),
		cmocka_unit_test(deferred_checks),
	};
	return cmocka_run_group_tests(tests, snp_fixture_new, snp_fixture_free);
}
