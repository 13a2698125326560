// RFC 8259, production by production: what must be taken, what must be refused, and what the RFC leaves open
// and we decide (duplicates, depth, lone surrogates, size of numbers: refused).
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/codec/json.h"

#define S(text) span_of(text, sizeof text - 1)

// Parsed from memory that ends where the text ends.
static int parse(struct span text, struct json *v)
{
	static uint8_t *last;

	free(last);
	last = malloc(text.n ? text.n : 1);
	assert_non_null(last);
	memcpy(last, text.p, text.n);
	return json_parse(v, span_of(last, text.n), NULL);
}

#define BOTH(name, want, ...)                                                                                \
	static void name(void **state)                                                                       \
	{                                                                                                    \
		static const struct span texts[] = { __VA_ARGS__ };                                          \
		struct json v;                                                                               \
		(void)state;                                                                                 \
		for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)                                    \
			if (parse(texts[i], &v) != (want))                                                   \
				fail_msg("%.*s", (int)texts[i].n, (const char *)texts[i].p);                 \
	}
#define T(text)                                                                                              \
	{                                                                                                    \
		(const uint8_t *)(text), sizeof(text) - 1                                                    \
	}

BOTH(numbers_taken, 0, T("0"), T("-0"), T("123"), T("-1"), T("20e1"), T("0e+1"), T("0e1"), T("-0.0"),
     T("1E22"), T("1E-2"), T("1E+2"), T("123e45"), T("123.456e78"), T("1e-2"), T("1e+2"), T("123.456789"),
     T("1e99999"), T("-123123123123123123123123123123"), T("[-0]"), T("{\"a\":-0.1e-0}"), T("10"), T("100"))
BOTH(numbers_refused, -1, T("+1"), T("-"), T("--1"), T("-a"), T("-01"), T("-012"), T("00"), T("012"),
     T("-2."), T("2."), T("2.e3"), T("2.e+3"), T("2.e-3"), T(".-1"), T(".2e-3"), T("0.1.2"), T("0.3e"),
     T("0.3e+"), T("0.e1"), T("0e"), T("0e+"), T("0E"), T("0E+"), T("1.0e"), T("1.0e-"), T("1.0e+"),
     T("1eE2"), T("1+2"), T("0x1"), T("0x42"), T("1 000.0"), T("9.e+"), T("1e1.5"), T("Infinity"),
     T("-Infinity"), T("NaN"), T("-NaN"), T("nan"), T("\xef\xbc\x91"), T("1_000"), T("1f"), T("[1e+:1]"),
     T("- 1"), T("2@"), T("1.8011670033376514H-308"))
BOTH(strings_taken, 0, T("\"\""), T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), T("\"\\u0060\\u012a\\u12AB\""),
     T("\"\\uFFFF\""), T("\"\\uD834\\uDd1e\""), T("\"\\uDBFF\\uDFFF\""), T("\"\\ud800\\udc00\""),
     T("\"\\uD7FF\\uE000\""), T("\"\x7f\""), T("\"\xc2\x80\""), T("\"\xdf\xbf\""), T("\"\xe0\xa0\x80\""),
     T("\"\xed\x9f\xbf\""), T("\"\xee\x80\x80\""), T("\"\xef\xbf\xbf\""), T("\"\xf0\x90\x80\x80\""),
     T("\"\xf3\xbf\xbf\xbf\""), T("\"\xf4\x8f\xbf\xbf\""), T("\"\xe2\x80\xa8\xe2\x80\xa9\""), T("\"/*x*/\""),
     T("\"\\u0000\""), T("[\"\\u0022\\u005C\"]"))
BOTH(strings_refused, -1, T("\""), T("\"\\"), T("\"\\\""), T("\"\\u"), T("\"\\u0"), T("\"\\u00A\""),
     T("\"\\u00G0\""), T("\"\\U0000\""), T("\"\\a\""), T("\"\\x00\""), T("\"\\'\""), T("\"\\\0\""),
     T("\"\t\""), T("\"\n\""), T("\"\0\""), T("\"\x1f\""), T("\"a\0a\""), T("'a'"), T("\\u0020\"a\""),
     T("\"a\"b"), T("a"), T("\"\\uD800\""), T("\"\\uD800\\n\""), T("\"\\uD800\\\\u\""), T("\"\\uD800u\""),
     T("\"\\uD800\\u\""), T("\"\\uD800\\u1\""), T("\"\\uD800\\u1x\""), T("\"\\uD800\\uD800\\n\""),
     T("\"\\uD800\\uE000\""), T("\"\\uDC00\\uD800\""), T("\"\\uDFFF\""), T("\"\\uDd1e\\uD834\""),
     T("\"\\uD888\\u1234\""), T("\"\\uD800"), T("\"\\uD800\\"), T("\"\x80\""), T("\"\xbf\""),
     T("\"\xc0\xaf\""), T("\"\xc1\xbf\""), T("\"\xc2\""), T("\"\xc2\x7f\""), T("\"\xc2\xc0\""),
     T("\"\xe0\x80\xaf\""), T("\"\xe0\x9f\xbf\""), T("\"\xed\xa0\x80\""), T("\"\xed\xbf\xbf\""),
     T("\"\xe2\x82"), T("\"\xf0\x80\x80\xaf\""), T("\"\xf0\x8f\xbf\xbf\""), T("\"\xf4\x90\x80\x80\""),
     T("\"\xf5\x80\x80\x80\""), T("\"\xf8\x88\x80\x80\x80\""), T("\"\xfe\""), T("\"\xff\""),
     T("\"\xf0\x90\x80"), T("\"\xe9\""))
BOTH(structures_taken, 0, T("[]"), T("[ ]"), T("[[]   ]"), T("[\n]"), T(" [1]"), T("[1\n]"), T("[2] "),
     T("[null,1,\"1\",{}]"), T("[1,null,null,null,2]"), T("{}"), T("{\"\":0}"), T("{\"a\":[]}"),
     T("{\"a\":\"b\",\"b\":\"b\"}"), T("{\"foo\\u0000bar\":42}"),
     T("{ \"min\" : -1.0e+28 , \"max\" : 1.0e+28 }"), T("\t\r\n {\r\"a\"\t:\n1 } \n"), T("true"), T("false"),
     T("null"), T("\"x\""), T("[{\"a\":1},{\"a\":1}]"), T("{\"a\":{\"a\":{\"a\":1}}}"))
BOTH(structures_refused, -1, T(""), T(" "), T("["), T("]"), T("{"), T("}"), T("[1"), T("[1,"), T("[1,\n1"),
     T("[,"), T("[,1]"), T("[1,,2]"), T("[1,]"), T("[1,,]"), T("[\"x\",,]"), T("[x"), T("[x]"), T("[1]]"),
     T("[][]"), T("[\"\"],"), T("[1:2]"), T("[\"\":1]"), T("[3[4]]"), T("[1 true]"), T("[1}"), T("{]"),
     T("{\"a\""), T("{\"a\":"), T("{\"a\":}"), T("{\"a\":\"b\""), T("{\"a\":1,"), T("{\"a\":1,}"),
     T("{\"a\":1,,\"b\":2}"), T("{,\"a\":1}"), T("{\"a\" \"b\"}"), T("{\"a\",1}"), T("{\"a\"::1}"), T("{:1}"),
     T("{1:1}"), T("{a:1}"), T("{'a':0}"), T("{\"a\":1 \"b\":2}"), T("{\"a\":1]"), T("{null:null}"),
     T("{[\"a\"]:1}"), T("{\"a\":\"b\"}#"), T("{\"a\":1}/**/"), T("//\n1"), T("tru"), T("fals"), T("nul"),
     T("truee"), T("True"), T("TRUE"), T("[true,fals]"), T("undefined"), T("1 1"), T("\xef\xbb\xbf{}"),
     T("\xff\xfe[\0]\0"), T("[\f]"), T("[\v1]"), T("\xc2\xa0[]"), T("[]\0"), T("*"), T("<.>"),
     T("{\"a\":1,\"a\":1}"), T("{\"a\":1,\"b\":{},\"a\":2}"), T("{\"\":1,\"\":2}"),
     T("{\"\\u0000\":1,\"\\u0000\":2}"), T("{\"\\uD834\\uDD1E\":1,\"\xf0\x9d\x84\x9e\":2}"),
     T("{\"\\/\":1,\"/\":2}"), T("{\"\\n\":1,\"\\u000a\":2}"), T("[{\"x\":[{\"k\":1,\"\\u006b\":2}]}]"))

// Two names with one hash (FNV-1a, 32 bits) are still two names.
static void names_with_one_hash(void **state)
{
	struct json v, x;

	(void)state;
	assert_int_equal(parse(S("{\"costarring\":1,\"liquid\":2,\"declinate\":3,\"macallums\":4}"), &v), 0);
	assert_true(json_get(v, "liquid", &x) && span_is(x.text, "2"));
	assert_int_equal(parse(S("{\"costarring\":1,\"liquid\":2,\"costarring\":3}"), &v), -1);
}

// Every prefix of a document is refused, and nothing is read behind it.
static void prefixes(void **state)
{
	static const char text[] =
		"{\"k\\u00e9\":[-1.5e+3,true,false,null,\"\\ud83d\\ude00\xe2\x82\xac\"],\"o\":{\"x\":{}}}";
	struct json v;

	(void)state;
	for (size_t n = 0; n < sizeof text - 1; n++)
		assert_int_equal(parse(span_of(text, n), &v), -1);
	assert_int_equal(parse(S(text), &v), 0);
}

static void kinds_and_members(void **state)
{
	static const char *const names[] = { "c", "a", "none" };
	struct json v, x[3], key;

	(void)state;
	assert_int_equal(parse(S("{\"a\":1,\"b\":[2],\"c\":\"3\",\"d\":false,\"e\":null}"), &v), 0);
	assert_int_equal(json_pick(v, names, x, 3), 2);
	assert_true(span_is(x[0].text, "\"3\"") && span_is(x[1].text, "1"));
	assert_int_equal(json_kind(x[2]), JSON_NONE);
	assert_int_equal(json_pick(v, names, x, 0), 0);
	assert_int_equal(json_pick(x[0], names, x, 3), 0); // of a string
	assert_int_equal(json_kind(x[0]), JSON_NONE);
	struct json_iter it = json_iter(v);
	static const enum json_kind kinds[] = { JSON_NUMBER, JSON_ARRAY, JSON_STRING, JSON_BOOL, JSON_NULL };
	for (size_t i = 0; i < 5; i++) {
		assert_true(json_next(&it, &key, &v));
		assert_int_equal(json_kind(v), kinds[i]);
	}
	assert_false(json_next(&it, NULL, &v));
}

// What json_parse has not seen is no document, but walking it stays inside.
static void unchecked_values_stay_inside(void **state)
{
	static const char *const texts[] = { "{\"a", "{\"a\"", "{\"a\":", "{\"a\\", "[\"", "[[",
					     "[[1",  "[{\"",   "[1",      "[1,",    "[" };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		size_t n = strlen(texts[i]);
		char *exact = malloc(n + 1);
		struct json v = { span_of(exact, n + 1) }, key, x;

		assert_non_null(exact);
		memcpy(exact, texts[i], n);
		exact[n] = '}'; // the closing bracket that json_iter leaves out
		for (struct json_iter it = json_iter(v); json_next(&it, &key, &x);) {
			assert_true(x.text.p >= v.text.p && x.text.p + x.text.n <= v.text.p + n);
			assert_true(key.text.n <= n);
		}
		free(exact);
	}
}

static void strings_that_do_not_fit(void **state)
{
	struct json v;
	char out[16];
	size_t n;

	(void)state;
	assert_int_equal(parse(S("\"abc\\u20acd\""), &v), 0);
	for (size_t cap = 0; cap < 7; cap++) {
		assert_int_equal(json_string(v, out, cap, &n), -1);
		assert_true(n <= cap);
		assert_int_equal(json_cstr(v, out, cap), -1);
	}
	assert_int_equal(json_string(v, out, 7, &n), 0);
	assert_memory_equal(out,
			    "abc\xe2\x82\xac"
			    "d",
			    7);
	assert_int_equal(json_cstr(v, out, 8), 0);
	assert_string_equal(out, "abc\xe2\x82\xac"
				 "d");
	assert_int_equal(parse(S("\"ab\""), &v), 0); // no escape: cut in the plain part
	assert_int_equal(json_string(v, out, 1, &n), -1);
	assert_int_equal(n, 1);
}

static void integers(void **state)
{
	static const char *const no[] = { "1.0",
					  "1e0",
					  "-0.5",
					  "\"1\"",
					  "true",
					  "null",
					  "[1]",
					  "18446744073709551616",
					  "18446744073709551620",
					  "99999999999999999999",
					  "184467440737095516150" };
	struct json v = { { 0 } };
	uint64_t u;
	int64_t i;
	bool b;

	(void)state;
	assert_int_equal(json_u64(v, 1, &u), -1);
	assert_int_equal(json_i64(v, &i), -1);
	assert_int_equal(json_bool(v, &b), -1);
	for (size_t k = 0; k < sizeof no / sizeof *no; k++) {
		assert_int_equal(parse(span_str(no[k]), &v), 0);
		assert_int_equal(json_u64(v, UINT64_MAX, &u), -1);
		assert_int_equal(json_i64(v, &i), -1);
	}
	assert_int_equal(parse(S("-9223372036854775809"), &v), 0);
	assert_int_equal(json_i64(v, &i), -1);
	assert_int_equal(parse(S("-0"), &v), 0);
	assert_int_equal(json_u64(v, UINT64_MAX, &u), -1); // a sign
	assert_int_equal(json_i64(v, &i), 0);
	assert_true(i == 0);
	assert_int_equal(parse(S("-7"), &v), 0);
	assert_int_equal(json_i64(v, &i), 0);
	assert_true(i == -7);
}

// Every control character and every kind of byte, written and read again.
static void written_strings_read_the_same(void **state)
{
	char text[64];
	uint8_t back[8];
	struct json v;
	size_t n;

	(void)state;
	for (int c = 0; c < 0x80; c++) {
		uint8_t one[3] = { 'a', (uint8_t)c, 'b' };
		struct wr w = wr_to(text, sizeof text);

		wr_json(&w, span_of(one, 3));
		assert_false(w.bad);
		assert_int_equal(parse(span_of(text, w.n), &v), 0);
		assert_int_equal(json_string(v, back, sizeof back, &n), 0);
		assert_int_equal(n, 3);
		assert_memory_equal(back, one, 3);
	}
	for (int c = 0x80; c < 0x100; c++) { // alone it is no character
		uint8_t one = (uint8_t)c;
		struct wr w = wr_to(text, sizeof text);

		wr_json(&w, span_of(&one, 1));
		assert_true(span_is(span_of(text, w.n), "\"\xef\xbf\xbd\""));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_taken),
		cmocka_unit_test(numbers_refused),
		cmocka_unit_test(strings_taken),
		cmocka_unit_test(strings_refused),
		cmocka_unit_test(structures_taken),
		cmocka_unit_test(structures_refused),
		cmocka_unit_test(names_with_one_hash),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(kinds_and_members),
		cmocka_unit_test(unchecked_values_stay_inside),
		cmocka_unit_test(strings_that_do_not_fit),
		cmocka_unit_test(integers),
		cmocka_unit_test(written_strings_read_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
