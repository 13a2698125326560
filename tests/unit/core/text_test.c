// Bytes, hex, base64 and calendar time: the examples of RFC 4648 and RFC 3339, and what has two spellings is
// refused.
#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "core/codec/base64.h"
#include "core/codec/hex.h"
#include "core/codec/utc.h"

#define S(text) span_of(text, sizeof text - 1)

static void readers_stop_at_the_end(void **state)
{
	static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	struct rd r = rd_from(bytes, sizeof bytes), part;
	uint8_t copy[4] = { 9, 9, 9, 9 };

	(void)state;
	assert_int_equal(rd_be16(&r), 0x0102);
	assert_int_equal(rd_le16(&r), 0x0403);
	part = rd_take(&r, 3);
	assert_int_equal(rd_left(&part), 3);
	assert_int_equal(rd_left(&r), 2);
	assert_int_equal(rd_be32(&part), 0); // only three are there
	assert_true(part.bad && !r.bad);
	assert_int_equal(rd_u8(&part), 0); // and it stays so
	rd_copy(&r, copy, 3);
	assert_true(r.bad);
	assert_memory_equal(copy, "\0\0\0\x09", 4);
	assert_int_equal(rd_left(&r), 0);
	part = rd_take(&r, 0);
	assert_true(part.bad);
	r = rd_from(bytes, sizeof bytes);
	assert_true(rd_le64(&r) == 0x0807060504030201);
	r = rd_from(bytes, sizeof bytes);
	assert_true(rd_be64(&r) == 0x0102030405060708);
	r = rd_from(NULL, 0);
	assert_int_equal(rd_bytes(&r, 0).n, 0);
	assert_false(r.bad);
	assert_int_equal(rd_u8(&r), 0);
	assert_true(r.bad);
}

static void spans_stay_inside(void **state)
{
	struct span s = S("abcdef");

	(void)state;
	assert_true(span_is(span_sub(s, 2, 3), "cde"));
	assert_true(span_sub(s, 6, 0).p == s.p + 6);
	assert_null(span_sub(s, 7, 0).p);
	assert_null(span_sub(s, 3, 4).p);
	assert_null(span_sub(s, 3, SIZE_MAX).p);
	assert_false(span_is(s, "abcdeg"));
	assert_false(span_is(s, "abcde"));
}

static void writers_count_past_the_end(void **state)
{
	uint8_t out[12];
	struct wr w = wr_to(out, sizeof out);

	(void)state;
	wr_be16(&w, 0x0102);
	wr_le16(&w, 0x0102);
	wr_be32(&w, 0x01020304);
	wr_le32(&w, 0x01020304);
	assert_false(w.bad);
	assert_memory_equal(out, "\x01\x02\x02\x01\x01\x02\x03\x04\x04\x03\x02\x01", 12);
	wr_u8(&w, 1);
	assert_true(w.bad);
	wr_str(&w, "xyz");
	assert_int_equal(w.n, 16);
	assert_memory_equal(out + 8, "\x04\x03\x02\x01", 4);
	w = wr_to(NULL, 0);
	wr_be64(&w, 1);
	wr_le64(&w, 1);
	wr_dec(&w, 1000);
	assert_true(w.bad && w.n == 20); // a dry run says how much is needed
}

static void hex_is_exact(void **state)
{
	uint8_t out[6];

	(void)state;
	// RFC 4648 section 10
	assert_int_equal(hex_decode(out, 6, S("666F6F626172")), 0);
	assert_memory_equal(out, "foobar", 6);
	assert_int_equal(hex_decode(out, 6, S("666f6f626172")), 0);
	assert_int_equal(hex_decode(out, 0, S("")), 0);
	assert_int_equal(hex_decode(out, 6, S("666F6F62617")), -1);
	assert_int_equal(hex_decode(out, 5, S("666F6F626172")), -1);
	assert_int_equal(hex_decode(out, 2, S("0x66")), -1);
	assert_int_equal(hex_decode(out, 2, S("66 6")), -1);
	for (int c = 0; c < 256; c++) {
		int want = c >= '0' && c <= '9'   ? c - '0'
			   : c >= 'a' && c <= 'f' ? c - 'a' + 10
			   : c >= 'A' && c <= 'F' ? c - 'A' + 10
						  : -1;
		assert_int_equal(hex_digit((uint8_t)c), want);
	}
}

static void base64_known_answers(void **state)
{
	static const struct {
		const char *plain, *coded;
	} known[] = {
		// RFC 4648 section 10
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		// section 9
		{ "\x14\xfb\x9c\x03\xd9\x7e", "FPucA9l+" },
		{ "\xff\xff\xff", "////" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		char out[16];
		struct wr w = wr_to(out, sizeof out);

		wr_base64(&w, span_str(known[i].plain));
		assert_true(!w.bad && span_is(span_of(out, w.n), known[i].coded));
		w = wr_to(out, sizeof out);
		assert_int_equal(base64_decode(&w, span_str(known[i].coded)), 0);
		assert_true(span_is(span_of(out, w.n), known[i].plain));
		w = wr_to(out, w.n ? w.n - 1 : 0);
		assert_int_equal(base64_decode(&w, span_str(known[i].coded)), known[i].plain[0] ? -1 : 0);
	}
}

static void base64_has_one_spelling(void **state)
{
	static const char *const bad[] = {
		"Zg",   "Zg=",    "Zg= ",     "Zg==Zg==", "Z===",    "====",    "Zm=v",
		"=m9v", "Zm9v\n", "Zm9 vYmE", "Zh==",     "Zm9=",    "Zm9-",    "Zm9_",
		"Zm9{", "Zm9:",   "Zm9[",     "Zm9@",     "Zm9\x7f", "Zm9\xff", "Zm9vYmE",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char out[16];
		struct wr w = wr_to(out, sizeof out);

		if (!base64_decode(&w, span_str(bad[i])))
			fail_msg("accepted: %s", bad[i]);
	}
	// Whatever is accepted is spelled again just so.
	for (unsigned i = 0; i < 1 << 16; i++) {
		uint8_t text[4] = { 'A', (uint8_t)(i >> 8), (uint8_t)i, '=' }, out[3], again[4];
		struct wr w = wr_to(out, 3), back = wr_to(again, 4);

		if (base64_decode(&w, span_of(text, 4)))
			continue;
		wr_base64(&back, span_of(out, w.n));
		assert_memory_equal(again, text, 4);
	}
}

static void dates_have_one_form(void **state)
{
	static const char form[] = "2024-02-29T23:59:59Z";
	char text[sizeof form];
	uint64_t t;

	(void)state;
	assert_int_equal(utc_rfc3339(S(form), &t), 0);
	for (size_t i = 0; i < sizeof form - 1; i++) {
		memcpy(text, form, sizeof form);
		text[i] = '/'; // below the digits
		assert_int_equal(utc_rfc3339(S(text), &t), -1);
		text[i] = 'z'; // above them
		assert_int_equal(utc_rfc3339(S(text), &t), -1);
		assert_true(t == 0);
		assert_int_equal(utc_rfc3339(span_of(form, i), &t), -1);
	}
	assert_int_equal(utc_seconds(&(struct utc){ 10000, 1, 1, 0, 0, 0 }, &t), -1);
	assert_int_equal(utc_seconds(&(struct utc){ 2024, 0, 1, 0, 0, 0 }, &t), -1);
	assert_int_equal(utc_seconds(&(struct utc){ 2024, 1, 0, 0, 0, 0 }, &t), -1);
	assert_int_equal(utc_seconds(&(struct utc){ 2024, 1, 1, -1, 0, 0 }, &t), -1);
	assert_int_equal(utc_seconds(&(struct utc){ 2024, 1, 1, 0, -1, 0 }, &t), -1);
	assert_int_equal(utc_seconds(&(struct utc){ 2024, 1, 1, 0, 0, -1 }, &t), -1);
	assert_int_equal(utc_seconds(&(struct utc){ 2023, 2, 29, 0, 0, 0 }, &t), -1);
	assert_int_equal(utc_seconds(&(struct utc){ 2000, 2, 29, 0, 0, 0 }, &t), 0);
}

// RFC 5280 section 4.1.2.5: with seconds, in Zulu; two-digit years from 1950 to 2049.
static void certificate_times(void **state)
{
	enum { UTC_TIME = 0x17, GENERALIZED = 0x18 };
	static const struct {
		uint8_t tag;
		const char *text;
		int64_t want;
	} cases[] = {
		{ UTC_TIME, "700101000001Z", 1 },
		{ UTC_TIME, "991231235959Z", 946684799 },
		{ UTC_TIME, "000101000000Z", 946684800 },
		{ UTC_TIME, "491231235959Z", 2524607999 },
		{ UTC_TIME, "500101000000Z", -1 }, // 1950
		{ UTC_TIME, "7001010000Z", -1 },
		{ UTC_TIME, "700101000001+", -1 },
		{ UTC_TIME, "7a0101000001Z", -1 },
		{ UTC_TIME, "20500101000000Z", -1 },
		{ GENERALIZED, "20500101000000Z", 2524608000 },
		{ GENERALIZED, "20500101000000z", -1 },
		{ GENERALIZED, "205001010000.0Z", -1 },
		{ GENERALIZED, "700101000001Z", -1 },
		{ 0x16, "700101000001Z", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint64_t t;
		int r = utc_asn1(cases[i].tag, span_str(cases[i].text), &t);

		if (r != (cases[i].want < 0 ? -1 : 0) ||
		    t != (cases[i].want < 0 ? 0 : (uint64_t)cases[i].want))
			fail_msg("%s: %d, %llu", cases[i].text, r, (unsigned long long)t);
	}
}

// Every day of 400 years is written and read as itself, in order.
static void every_day_of_a_cycle(void **state)
{
	char text[32] = "";

	(void)state;
	for (uint64_t day = 0; day < 146097; day += 1) {
		char was[32];
		struct wr w = wr_to(text, sizeof text);
		uint64_t t;

		memcpy(was, text, sizeof was);
		wr_utc(&w, day * 86400 + 86399);
		assert_int_equal(w.n, 20);
		assert_int_equal(utc_rfc3339(span_of(text, 20), &t), 0);
		assert_true(t == day * 86400 + 86399 && (!day || memcmp(was, text, 20) < 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_stop_at_the_end),    cmocka_unit_test(spans_stay_inside),
		cmocka_unit_test(writers_count_past_the_end), cmocka_unit_test(hex_is_exact),
		cmocka_unit_test(base64_known_answers),       cmocka_unit_test(base64_has_one_spelling),
		cmocka_unit_test(dates_have_one_form),        cmocka_unit_test(certificate_times),
		cmocka_unit_test(every_day_of_a_cycle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
