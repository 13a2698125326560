// The strict JSON reader: what it takes, what it refuses, and that values are exact spans of the text.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/codec/json.h"

static struct json parse(const char *text)
{
	struct json v;
	struct json_fault f = { 0, "" };

	if (json_parse(&v, span_str(text), &f))
		fail_msg("%s: at %zu: %s", text, f.at, f.what);
	return v;
}

static void refuse(struct span text, const char *what)
{
	struct json v;
	struct json_fault f = { 0, "" };

	if (!json_parse(&v, text, &f))
		fail_msg("accepted: %.*s", (int)text.n, (const char *)text.p);
	if (what)
		assert_string_equal(f.what, what);
	assert_true(f.at <= text.n);
	assert_int_equal(json_kind(v), JSON_NONE);
}

static void accepts(void **state)
{
	static const char *const good[] = { "0",
					    "-0",
					    "1.5e+10",
					    "-1E-2",
					    " null ",
					    "\ttrue\r\n",
					    "[]",
					    "[ ]",
					    "{}",
					    "{ }",
					    "[1,[2,[3]],{}]",
					    "{\"a\":{\"a\":1},\"b\":{\"a\":2}}",
					    "[{\"a\":1},{\"a\":1}]",
					    "\"\\u0000\\ud83d\\ude00\\/\"",
					    "\"\xf4\x8f\xbf\xbf\"",
					    "{\"\":0}" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		parse(good[i]);
}

static void refuses(void **state)
{
	static const struct {
		const char *text, *what;
	} bad[] = {
		{ "", "text ends too early" },
		{ "  ", NULL },
		{ "{", NULL },
		{ "[1,]", NULL },
		{ "[,1]", NULL },
		{ "[1 2]", "expected ',' or ']'" },
		{ "{\"a\":1,}", NULL },
		{ "{\"a\" 1}", "expected ':'" },
		{ "{a:1}", "expected a string" },
		{ "{\"a\":1]", NULL },
		{ "[1}", NULL },
		{ "1 2", "bytes after the value" },
		{ "{}x", "bytes after the value" },
		{ "01", "number with a leading zero" },
		{ "-", "malformed number" },
		{ "1.", NULL },
		{ ".5", NULL },
		{ "+1", NULL },
		{ "1e", NULL },
		{ "nul", NULL },
		{ "True", NULL },
		{ "NaN", NULL },
		{ "'a'", NULL },
		{ "\"a", "string without an end" },
		{ "\"\\x\"", "unknown escape" },
		{ "\"\\u12g4\"", "bad \\u escape" },
		{ "\"\\ud800\"", "lone surrogate" },
		{ "\"\\udc00\"", "lone surrogate" },
		{ "\"\\ud800\\ud800\"", "lone surrogate" },
		{ "\"\n\"", "control character in a string" },
		{ "\"\xc0\x80\"", "not UTF-8" },
		{ "\"\xed\xa0\x80\"", "not UTF-8" },
		{ "\"\xf5\x80\x80\x80\"", "not UTF-8" },
		{ "\"\xe2\x82\"", "not UTF-8" },
		{ "{\"a\":1,\"a\":2}", "duplicate member" },
		{ "{\"a\":1,\"\\u0061\":2}", "duplicate member" },
		{ "{\"x\":{\"b\":1},\"y\":[],\"x\":2}", "duplicate member" },
		{ "{\"\xc3\xa9\":1,\"\\u00e9\":2}", "duplicate member" },
		{ "\xef\xbb\xbf{}", "expected a value" },
		{ "[1]/**/", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		refuse(span_str(bad[i].text), bad[i].what);
	refuse(span_of("{}\0", 3), "bytes after the value");
}

static void limits(void **state)
{
	static char text[60000];
	size_t n = 0;
	struct json v;

	(void)state;
	for (int depth = 64; depth <= 65; depth++) {
		memset(text, '[', (size_t)depth);
		memset(text + depth, ']', (size_t)depth);
		if (depth == 64)
			assert_int_equal(json_parse(&v, span_of(text, (size_t)depth * 2), NULL), 0);
		else
			refuse(span_of(text, (size_t)depth * 2), "nested too deep");
	}
	memset(text, '[', 10000);
	refuse(span_of(text, 10000), "nested too deep");
	for (size_t members = JSON_OPEN_MAX; members <= JSON_OPEN_MAX + 1; members++) {
		n = 0;
		for (size_t i = 0; i < members; i++)
			n += (size_t)sprintf(text + n, "%c\"k%zu\":%zu", i ? ',' : '{', i, i);
		text[n++] = '}';
		if (members == JSON_OPEN_MAX)
			assert_int_equal(json_parse(&v, span_of(text, n), NULL), 0);
		else
			refuse(span_of(text, n), "too many members");
	}
}

static void walks(void **state)
{
	struct json v = parse(" {\"a\" : [ 1 , {\"x\":\"]}\\\"\"} ,true],\"b\":\"q\" , \"c\":-7 }"), x, key,
		    el;
	size_t n = 0;

	(void)state;
	assert_int_equal(json_count(v), 3);
	assert_true(json_get(v, "a", &x));
	assert_true(span_is(x.text, "[ 1 , {\"x\":\"]}\\\"\"} ,true]"));
	for (struct json_iter it = json_iter(x); json_next(&it, &key, &el); n++) {
		assert_int_equal(json_kind(key), JSON_NONE);
		if (n == 1)
			assert_true(span_is(el.text, "{\"x\":\"]}\\\"\"}"));
	}
	assert_int_equal(n, 3);
	assert_true(json_get(v, "c", &x));
	assert_true(span_is(x.text, "-7"));
	assert_false(json_get(v, "d", &x));
	assert_int_equal(json_kind(x), JSON_NONE);
	assert_false(json_get(x, "d", &x));
	assert_int_equal(json_count(parse("5")), 0);
	assert_true(json_get(parse("{\"\\u0062\":1}"), "b", &x));
}

static void strings(void **state)
{
	char out[32];
	size_t n;
	struct span s;
	uint8_t b[2];
	struct json v = parse("\"a\\n\\u20ac\\ud83d\\ude00\"");

	(void)state;
	assert_int_equal(json_string(v, out, sizeof out, &n), 0);
	assert_int_equal(n, 9);
	assert_memory_equal(out, "a\n\xe2\x82\xac\xf0\x9f\x98\x80", 9);
	assert_int_equal(json_string_size(v), 9);
	assert_int_equal(json_string(v, out, 8, &n), -1);
	assert_int_equal(json_cstr(v, out, 9), -1);
	assert_int_equal(json_cstr(v, out, 10), 0);
	assert_int_equal(json_cstr(parse("\"a\\u0000b\""), out, sizeof out), -1);
	assert_int_equal(json_cstr(parse("1"), out, sizeof out), -1);
	assert_int_equal(json_plain(v, &s), -1);
	assert_int_equal(json_plain(parse("\"plain\""), &s), 0);
	assert_true(span_is(s, "plain"));
	assert_true(json_is(parse("\"\\u0061b\""), "ab"));
	assert_false(json_is(parse("\"\\u0061b\""), "a"));
	assert_false(json_is(parse("\"\\u0061b\""), "abc"));
	assert_false(json_is(parse("\"ab\""), "abc"));
	assert_false(json_is(parse("\"abc\""), "ab"));
	assert_int_equal(json_hex(parse("\"aBcD\""), b, 2), 0);
	assert_memory_equal(b, "\xab\xcd", 2);
	assert_int_equal(json_hex(parse("\"abc\""), b, 2), -1);
	assert_int_equal(json_hex(parse("\"abcdef\""), b, 2), -1);
	assert_int_equal(json_hex(parse("\"abcg\""), b, 2), -1);
}

static void numbers(void **state)
{
	static const char *const no[] = { "-1", "1.0", "1e3", "18446744073709551616", "\"1\"", "null" };
	uint64_t u;
	int64_t i;
	bool b;

	(void)state;
	assert_int_equal(json_u64(parse("18446744073709551615"), UINT64_MAX, &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(json_u64(parse("256"), 255, &u), -1);
	for (size_t k = 0; k < sizeof no / sizeof *no; k++)
		assert_int_equal(json_u64(parse(no[k]), UINT64_MAX, &u), -1);
	assert_int_equal(json_i64(parse("-9223372036854775808"), &i), 0);
	assert_true(i == INT64_MIN);
	assert_int_equal(json_i64(parse("9223372036854775808"), &i), -1);
	assert_int_equal(json_bool(parse("true"), &b), 0);
	assert_true(b);
	assert_int_equal(json_bool(parse("0"), &b), -1);
}

static void writes(void **state)
{
	char out[64];
	struct wr w = wr_to(out, sizeof out);

	(void)state;
	wr_json(&w, span_str("a\"\\\n\x01\xc3\xa9\xff"));
	assert_false(w.bad);
	assert_true(span_is(span_of(out, w.n), "\"a\\\"\\\\\\n\\u0001\xc3\xa9\xef\xbf\xbd\""));
	w = wr_to(out, sizeof out);
	wr_json_hex(&w, "\x0a\xff", 2);
	wr_dec(&w, 0);
	wr_dec(&w, UINT64_MAX);
	assert_true(span_is(span_of(out, w.n), "\"0aff\"018446744073709551615"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts), cmocka_unit_test(refuses), cmocka_unit_test(limits),
		cmocka_unit_test(walks),   cmocka_unit_test(strings), cmocka_unit_test(numbers),
		cmocka_unit_test(writes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
