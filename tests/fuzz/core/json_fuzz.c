// The JSON reader: what it takes can be walked and read in full without leaving the text.
#include "core/codec/json.h"

static uint8_t out[1 << 16];

static void walk(struct json v, struct span text, int depth)
{
	struct json key, x;
	struct span s;
	uint64_t u;
	int64_t i;
	size_t n;
	bool b;

	if (v.text.p < text.p || v.text.p + v.text.n > text.p + text.n || depth > JSON_DEPTH_MAX ||
	    json_kind(v) == JSON_NONE)
		__builtin_trap();
	if (!json_string(v, out, sizeof out, &n) && n != json_string_size(v))
		__builtin_trap();
	if (!json_plain(v, &s) && (s.n != json_string_size(v)))
		__builtin_trap();
	if (!json_u64(v, UINT64_MAX, &u) && u <= INT64_MAX && (json_i64(v, &i) || (uint64_t)i != u))
		__builtin_trap();
	(void)!json_bool(v, &b);
	for (struct json_iter it = json_iter(v); json_next(&it, &key, &x);) {
		if (key.text.n)
			walk(key, text, depth + 1);
		walk(x, text, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct json v, again;
	struct json_fault f;
	static uint8_t copy[1 << 18];

	if (json_parse(&v, span_of(data, n), &f)) {
		if (f.at > n || !f.what)
			__builtin_trap();
		return 0;
	}
	walk(v, span_of(data, n), 0);
	// A string that is written again reads as the same.
	struct wr w = wr_to(copy, sizeof copy);
	if (json_kind(v) == JSON_STRING && !json_string(v, out, sizeof out, &n)) {
		wr_json(&w, span_of(out, n));
		if (!w.bad && json_parse(&again, span_of(copy, w.n), NULL))
			__builtin_trap();
	}
	return 0;
}
