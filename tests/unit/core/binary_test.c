// CBOR, MessagePack and SCALE: the examples of their specifications, one form for each value, and counts that
// the input cannot hold.
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/codec/cbor.h"
#include "core/codec/hex.h"
#include "core/codec/msgpack.h"
#include "core/codec/scale.h"

#define S(text) span_of(text, sizeof text - 1)

// Exactly as long as it is, on the heap, so that a sanitizer sees a read past its end.
static struct span from_hex(const char *digits)
{
	static uint8_t *last;
	size_t n = strlen(digits) / 2;

	free(last);
	last = malloc(n ? n : 1);
	assert_non_null(last);
	assert_int_equal(hex_decode(last, n, span_str(digits)), 0);
	return span_of(last, n);
}

static void is_hex(const struct wr *w, const char *want)
{
	struct span s = from_hex(want);

	assert_false(w->bad);
	assert_int_equal(w->n, s.n);
	assert_memory_equal(w->p, s.p, s.n);
}

static const struct {
	uint64_t value;
	const char *cbor, *msgpack;
} numbers[] = {
	// RFC 8949 appendix A; the MessagePack specification's "int format family"
	{ 0, "00", "00" },
	{ 1, "01", "01" },
	{ 10, "0a", "0a" },
	{ 23, "17", "17" },
	{ 24, "1818", "18" },
	{ 100, "1864", "64" },
	{ 127, "187f", "7f" },
	{ 128, "1880", "cc80" },
	{ 255, "18ff", "ccff" },
	{ 256, "190100", "cd0100" },
	{ 1000, "1903e8", "cd03e8" },
	{ 65535, "19ffff", "cdffff" },
	{ 65536, "1a00010000", "ce00010000" },
	{ 1000000, "1a000f4240", "ce000f4240" },
	{ 4294967295, "1affffffff", "ceffffffff" },
	{ 4294967296, "1b0000000100000000", "cf0000000100000000" },
	{ 1000000000000, "1b000000e8d4a51000", "cf000000e8d4a51000" },
	{ UINT64_MAX, "1bffffffffffffffff", "cfffffffffffffffff" },
};

static void integers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		uint8_t out[16];
		struct wr w = wr_to(out, sizeof out);
		struct rd r = rd_span(from_hex(numbers[i].cbor));

		assert_true(cbor_rd_uint(&r) == numbers[i].value && !r.bad && !rd_left(&r));
		cbor_wr_uint(&w, numbers[i].value);
		is_hex(&w, numbers[i].cbor);
		r = rd_span(from_hex(numbers[i].msgpack));
		assert_int_equal(mp_peek(&r), MP_UINT);
		assert_true(mp_rd_uint(&r, UINT64_MAX) == numbers[i].value && !r.bad && !rd_left(&r));
		w = wr_to(out, sizeof out);
		mp_wr_uint(&w, numbers[i].value);
		is_hex(&w, numbers[i].msgpack);
		r = rd_span(from_hex(numbers[i].msgpack));
		if (numbers[i].value) {
			assert_int_equal(mp_rd_uint(&r, numbers[i].value - 1), 0);
			assert_true(r.bad);
		}
		struct span s = from_hex(numbers[i].msgpack);
		for (size_t n = 0; n < s.n; n++) {
			r = rd_span(span_sub(s, 0, n));
			assert_int_equal(mp_rd_uint(&r, UINT64_MAX), 0);
			assert_true(r.bad);
		}
	}
}

// ---- CBOR

static bool cbor_skips(const char *digits)
{
	struct rd r = rd_span(from_hex(digits));

	cbor_skip(&r);
	return !r.bad && !rd_left(&r);
}

static void cbor_values(void **state)
{
	// RFC 8949 appendix A, as far as measurement files may use it
	static const char *const good[] = {
		"20",                 // -1
		"3903e7",             // -1000
		"3bffffffffffffffff", // -18446744073709551616
		"f4",
		"f5",
		"f6", // false, true, null
		"40",
		"4401020304", // h'', h'01020304'
		"60",
		"6161",
		"6449455446", // "", "a", "IETF"
		"62c3bc",
		"63e6b0b4", // u umlaut, water
		"80",
		"83010203",                                                   // [], [1, 2, 3]
		"8301820203820405",                                           // [1, [2, 3], [4, 5]]
		"98190102030405060708090a0b0c0d0e0f101112131415161718181819", // [1..25]
		"a0",
		"a201020304",         // {}, {1: 2, 3: 4}
		"a26161016162820203", // {"a": 1, "b": [2, 3]}
		"826161a161626163",   // ["a", {"b": "c"}]
	};
	static const char *const bad[] = {
		"",
		"1817",
		"190018",
		"1a0000ffff",
		"1b00000000ffffffff", // not the shortest
		"5801ff",
		"7800",
		"9800", // the same of lengths
		"18",
		"19ff",
		"1affffff",
		"1bffffffffffffff", // cut
		"1c",
		"1d",
		"1e",
		"1f", // reserved, indefinite
		"f7",
		"f0",
		"f820",
		"f93c00",
		"fa47c35000", // undefined, unassigned, floats
		"f814",
		"f818",                                         // simple values in two bytes
		"c074323031332d30332d32315432303a30343a30305a", // tag 0
		"5f42010243030405ff",
		"7f657374726561646d696e67ff", // strings in pieces
		"9f0102ff",
		"bf6161019fff",
		"ff", // no end in sight
		"82",
		"8201",
		"a1",
		"a101",
		"a20102", // fewer than announced
		"41",
		"62c3",
		"9affffffff",
		"bbffffffffffffffff", // longer than the input
		"8181818181818181",
		"5b8000000000000000",
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (!cbor_skips(good[i]))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (cbor_skips(bad[i]))
			fail_msg("accepted: %s", bad[i]);
}

static void cbor_types_are_told_apart(void **state)
{
	struct rd r = rd_span(from_hex("a16161440102030400"));

	(void)state;
	assert_int_equal(cbor_rd_map(&r), 1);
	assert_true(span_is(cbor_rd_text(&r), "a"));
	assert_true(span_eq(cbor_rd_bytes(&r), S("\1\2\3\4")));
	assert_int_equal(cbor_rd_uint(&r), 0);
	assert_false(r.bad || rd_left(&r));
	r = rd_span(from_hex("20")); // -1 is no unsigned number
	assert_int_equal(cbor_rd_uint(&r), 0);
	assert_true(r.bad);
	r = rd_span(from_hex("6161")); // nor is text bytes
	assert_int_equal(cbor_rd_bytes(&r).n, 0);
	assert_true(r.bad);
	r = rd_span(from_hex("ba7fffffff0102")); // a count the input cannot hold
	assert_int_equal(cbor_rd_map(&r), 0);
	assert_true(r.bad);
}

static void cbor_writes_the_shortest(void **state)
{
	uint8_t out[400], many[300] = { 0 };
	struct wr w = wr_to(out, sizeof out);

	(void)state;
	cbor_wr_map(&w, 1);
	cbor_wr_text(&w, "a");
	cbor_wr_bytes(&w, S("\1\2\3\4"));
	is_hex(&w, "a161614401020304");
	w = wr_to(out, sizeof out);
	cbor_wr_bytes(&w, span_of(many, sizeof many));
	assert_int_equal(w.n, 303);
	assert_memory_equal(out, "\x59\x01\x2c", 3);
	struct rd r = rd_from(out, w.n);
	assert_int_equal(cbor_rd_bytes(&r).n, 300);
	w = wr_to(out, sizeof out);
	cbor_wr_map(&w, 70000);
	is_hex(&w, "ba00011170");
}

// ---- MessagePack

static void mp_kinds(void **state)
{
	static const struct {
		uint8_t tag;
		enum mp_kind kind;
	} tags[] = {
		// the table "Formats" of the specification: first and last of each
		{ 0x00, MP_UINT },  { 0x7f, MP_UINT },  { 0x80, MP_MAP },   { 0x8f, MP_MAP },
		{ 0x90, MP_ARRAY }, { 0x9f, MP_ARRAY }, { 0xa0, MP_STR },   { 0xbf, MP_STR },
		{ 0xc0, MP_NIL },   { 0xc1, MP_OTHER }, { 0xc2, MP_BOOL },  { 0xc3, MP_BOOL },
		{ 0xc4, MP_BIN },   { 0xc6, MP_BIN },   { 0xc7, MP_OTHER }, { 0xc9, MP_OTHER },
		{ 0xca, MP_OTHER }, { 0xcb, MP_OTHER }, { 0xcc, MP_UINT },  { 0xcf, MP_UINT },
		{ 0xd0, MP_OTHER }, { 0xd3, MP_OTHER }, { 0xd4, MP_OTHER }, { 0xd8, MP_OTHER },
		{ 0xd9, MP_STR },   { 0xdb, MP_STR },   { 0xdc, MP_ARRAY }, { 0xdd, MP_ARRAY },
		{ 0xde, MP_MAP },   { 0xdf, MP_MAP },   { 0xe0, MP_OTHER }, { 0xff, MP_OTHER },
	};
	struct rd r = rd_from(NULL, 0);

	(void)state;
	assert_int_equal(mp_peek(&r), MP_NONE);
	for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
		r = rd_from(&tags[i].tag, 1);
		assert_int_equal(mp_peek(&r), tags[i].kind);
		assert_int_equal(rd_left(&r), 1);
	}
}

static void mp_every_width(void **state)
{
	struct rd r;

	(void)state;
	static const char *const strings[] = { "a161", "d90161", "da000161", "db0000000161" };
	static const char *const bins[] = {
		"c40161",   "c5000161",     "c60000000161", "9161",
		"dc000161", "dd0000000161", "91cc61",       "91cf0000000000000061"
	};
	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
		r = rd_span(from_hex(strings[i]));
		assert_true(span_is(mp_rd_str(&r), "a") && !r.bad && !rd_left(&r));
	}
	for (size_t i = 0; i < sizeof bins / sizeof *bins; i++) {
		uint8_t room[4];
		struct wr scratch = wr_to(room, sizeof room);

		r = rd_span(from_hex(bins[i]));
		assert_true(span_is(mp_rd_bytes(&r, &scratch), "a") && !r.bad && !rd_left(&r));
	}
	static const char *const maps[] = { "81c0c0", "de0001c0c0", "df00000001c0c0" };
	for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
		r = rd_span(from_hex(maps[i]));
		assert_int_equal(mp_rd_map(&r), 1);
		mp_rd_nil(&r);
		mp_rd_nil(&r);
		assert_false(r.bad || rd_left(&r));
	}
}

static void mp_wrong_types(void **state)
{
	uint8_t room[2];
	struct wr scratch = wr_to(room, sizeof room);
	struct rd r = rd_span(from_hex("c2"));

	(void)state;
	mp_rd_nil(&r);
	assert_true(r.bad);
	mp_rd_nil(&r); // stays bad, takes nothing
	r = rd_span(from_hex("c0"));
	assert_int_equal(mp_rd_array(&r), 0);
	assert_true(r.bad);
	r = rd_span(from_hex("c0"));
	assert_int_equal(mp_rd_map(&r), 0);
	assert_true(r.bad);
	r = rd_span(from_hex("c40161"));
	assert_int_equal(mp_rd_str(&r).n, 0);
	assert_true(r.bad);
	r = rd_span(from_hex("d0ff")); // a signed number
	assert_int_equal(mp_rd_uint(&r, UINT64_MAX), 0);
	assert_true(r.bad);
	r = rd_span(from_hex("9201cd0100")); // 256 is no byte
	assert_int_equal(mp_rd_bytes(&r, &scratch).n, 0);
	assert_true(r.bad);
	scratch = wr_to(room, sizeof room);
	r = rd_span(from_hex("93cd01000203")); // nor is what follows it read
	assert_int_equal(mp_rd_bytes(&r, &scratch).n, 0);
	assert_true(r.bad);
	scratch = wr_to(room, sizeof room);
	r = rd_span(from_hex("93010203")); // no room for three
	assert_int_equal(mp_rd_bytes(&r, &scratch).n, 0);
	assert_true(r.bad);
	scratch = wr_to(room, sizeof room);
	r = rd_span(from_hex("90")); // none at all
	assert_null(mp_rd_bytes(&r, &scratch).p);
	assert_false(r.bad);
}

static void mp_skips(void **state)
{
	static const char *const good[] = {
		"c0",
		"c2",
		"c3",
		"7f",
		"e0",
		"ff",
		"ccff",
		"cdffff",
		"ceffffffff",
		"cfffffffffffffffff",
		"d0ff",
		"d1ffff",
		"d2ffffffff",
		"d3ffffffffffffffff",
		"ca40490fdb",
		"cb400921fb54442d18",
		"a3616263",
		"d90161",
		"c40161",
		"c5000161",
		"c60000000161",
		"d40100",
		"d5010000",
		"d60100000000",
		"d7010000000000000000",                 // fixext 1 to 8
		"d80100000000000000000000000000000000", // fixext 16
		"c70001",
		"c7010100",
		"c800010100",
		"c9000000010100", // ext 8, 16, 32
		"93c0c2c3",
		"82a161c0a16290",
		"dc0001c0",
		"9191919180",
	};
	static const char *const bad[] = {
		"",           "c1",         "cc",           "cd00",       "d3",   "ca",   "a361",
		"c402",       "c5",         "c9ffffffff01", "d801",       "92c0", "81c0", "de0001",
		"ddffffffff", "dfffffffff", "dbffffffff",   "c6ffffffff", "91c1", "c7ff",
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct rd r = rd_span(from_hex(good[i]));
		mp_skip(&r);
		if (r.bad || rd_left(&r))
			fail_msg("refused: %s", good[i]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct rd r = rd_span(from_hex(bad[i]));
		mp_skip(&r);
		if (!r.bad)
			fail_msg("accepted: %s", bad[i]);
	}
}

static void mp_heads(void **state)
{
	static uint8_t out[70000], bytes[65536];
	static const struct {
		size_t n;
		const char *str, *bin, *array, *map;
	} heads[] = {
		{ 0, "a0", "c400", "90", "80" },
		{ 15, "af", "c40f", "9f", "8f" },
		{ 16, "b0", "c410", "dc0010", "de0010" },
		{ 31, "bf", "c41f", "dc001f", "de001f" },
		{ 32, "d920", "c420", "dc0020", "de0020" },
		{ 255, "d9ff", "c4ff", "dc00ff", "de00ff" },
		{ 256, "da0100", "c50100", "dc0100", "de0100" },
		{ 65535, "daffff", "c5ffff", "dcffff", "deffff" },
		{ 65536, "db00010000", "c600010000", "dd00010000", "df00010000" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		struct wr w = wr_to(out, sizeof out);
		mp_wr_str(&w, span_of(bytes, heads[i].n));
		assert_int_equal(w.n, strlen(heads[i].str) / 2 + heads[i].n);
		w.n -= heads[i].n;
		is_hex(&w, heads[i].str);
		w = wr_to(out, sizeof out);
		mp_wr_bin(&w, span_of(bytes, heads[i].n));
		w.n -= heads[i].n;
		is_hex(&w, heads[i].bin);
		w = wr_to(out, sizeof out);
		mp_wr_array(&w, heads[i].n);
		is_hex(&w, heads[i].array);
		w = wr_to(out, sizeof out);
		mp_wr_map(&w, heads[i].n);
		is_hex(&w, heads[i].map);
	}
	// The front page of msgpack.org: {"compact":true,"schema":0} without the boolean.
	struct wr w = wr_to(out, sizeof out);
	mp_wr_map(&w, 2);
	mp_wr_key(&w, "compact");
	mp_wr_nil(&w);
	mp_wr_key(&w, "schema");
	mp_wr_uint(&w, 0);
	is_hex(&w, "82a7636f6d70616374c0a6736368656d6100");
	w = wr_to(out, sizeof out);
	mp_wr_ints(&w, S("\x00\x7f\x80\xff"));
	is_hex(&w, "94007fcc80ccff");
	w = wr_to(out, sizeof out);
	mp_wr_array(&w, (size_t)UINT32_MAX + 1);
	assert_true(w.bad);
}

// ---- SCALE

static void scale_compact(void **state)
{
	// The examples of the SCALE codec's documentation, and the ends of each width.
	static const struct {
		uint32_t value;
		const char *digits;
	} known[] = {
		{ 0, "00" },           { 1, "04" },
		{ 42, "a8" },          { 63, "fc" },
		{ 64, "0101" },        { 69, "1501" },
		{ 16383, "fdff" },     { 16384, "02000100" },
		{ 65535, "feff0300" }, { 1073741823, "feffffff" },
	};
	static const char *const bad[] = {
		"",
		"0b00407a10f35a", // 100000000000000: longer than anything here
		"0300000040",     // 2^30
		"0100",
		"fd00",
		"02000000",
		"feff0000", // not the shortest
		"01",
		"02",
		"020001", // cut
	};
	uint8_t out[8];
	struct wr w;
	struct rd r;

	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		r = rd_span(from_hex(known[i].digits));
		assert_int_equal(scale_rd_compact(&r), known[i].value);
		assert_false(r.bad || rd_left(&r));
		w = wr_to(out, sizeof out);
		scale_wr_compact(&w, known[i].value);
		is_hex(&w, known[i].digits);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		r = rd_span(from_hex(bad[i]));
		assert_int_equal(scale_rd_compact(&r), 0);
		if (!r.bad)
			fail_msg("accepted: %s", bad[i]);
	}
	w = wr_to(out, sizeof out);
	scale_wr_compact(&w, 1 << 30);
	assert_true(w.bad);
}

static void scale_values(void **state)
{
	uint8_t out[32];
	struct wr w = wr_to(out, sizeof out);
	struct rd r = rd_span(from_hex("1048616d6c")); // "Haml"

	(void)state;
	assert_true(span_is(scale_rd_bytes(&r), "Haml") && !r.bad);
	scale_wr_bytes(&w, S("Haml"));
	is_hex(&w, "1048616d6c");
	r = rd_span(from_hex("1448616d6c"));
	assert_int_equal(scale_rd_bytes(&r).n, 0);
	assert_true(r.bad);
	r = rd_span(from_hex("000102"));
	assert_false(scale_rd_bool(&r));
	assert_true(scale_rd_bool(&r) && !r.bad);
	assert_false(scale_rd_bool(&r));
	assert_true(r.bad);
	r = rd_from(NULL, 0);
	assert_false(scale_rd_bool(&r));
	assert_true(r.bad);
	r = rd_span(from_hex("0c"));
	assert_int_equal(scale_rd_count(&r, 3), 3);
	r = rd_span(from_hex("0c"));
	assert_int_equal(scale_rd_count(&r, 2), 0);
	assert_true(r.bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers),
		cmocka_unit_test(cbor_values),
		cmocka_unit_test(cbor_types_are_told_apart),
		cmocka_unit_test(cbor_writes_the_shortest),
		cmocka_unit_test(mp_kinds),
		cmocka_unit_test(mp_every_width),
		cmocka_unit_test(mp_wrong_types),
		cmocka_unit_test(mp_skips),
		cmocka_unit_test(mp_heads),
		cmocka_unit_test(scale_compact),
		cmocka_unit_test(scale_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
