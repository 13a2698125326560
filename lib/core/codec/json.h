// json - a strict reader for RFC 8259 texts that keeps exact bytes: a value is a span of the text it came
// from.
//
// Signed documents are hashed as received, so nothing here re-serialises. json_parse checks the whole text
// once (grammar, UTF-8, surrogates, depth, duplicate member names after unescaping); every other call works
// on a value that came out of it and cannot run past it. Freestanding: no heap, no recursion.
#pragma once
#include "core/codec/buf.h"

enum {
	JSON_DEPTH_MAX = 64,  // nested arrays and objects
	JSON_OPEN_MAX = 1024, // members of all objects that enclose one point of the text, together
};

enum json_kind { JSON_NONE, JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
	struct span text; // exactly the value, no blanks around it; empty = no value
};

struct json_fault {
	size_t at; // offset in the text
	const char *what;
};

// The whole text must be one value. `f` may be NULL.
MUST_USE int json_parse(struct json *out, struct span text, struct json_fault *f);
enum json_kind json_kind(struct json v);

// Walk an array or an object: `for (struct json_iter it = json_iter(v); json_next(&it, &key, &val);)`.
// `key` is the member's name as a string value (use json_is, json_cstr); NULL is allowed, arrays leave it
// empty. Other kinds have no elements.
struct json_iter {
	struct rd in;
	bool object;
};
struct json_iter json_iter(struct json v);
bool json_next(struct json_iter *it, struct json *key, struct json *val);
size_t json_count(struct json v);

// The member `name`; false when `obj` is no object or has none (then `val` is JSON_NONE).
bool json_get(struct json obj, const char *name, struct json *val);
// Several members in one reading: val[i] is the one called name[i], JSON_NONE where there is none. How many
// there are.
size_t json_pick(struct json obj, const char *const *name, struct json *val, size_t n);

// Strings. All -1 when `v` is no string or does not fit.
MUST_USE int json_string(struct json v, void *out, size_t cap, size_t *n); // unescaped UTF-8, no NUL appended
MUST_USE int json_cstr(struct json v, char *out, size_t cap);              // with NUL; refuses \u0000 inside
MUST_USE int json_plain(struct json v, struct span *out);     // the bytes themselves; refuses escapes
MUST_USE int json_hex(struct json v, uint8_t *out, size_t n); // exactly n bytes, either case
size_t json_string_size(struct json v);                       // bytes json_string would write
bool json_is(struct json v, const char *s);                   // a string equal to s after unescaping

// Numbers: plain integers only; signs (but for i64), fractions, exponents and leading zeros are refused.
MUST_USE int json_u64(struct json v, uint64_t max, uint64_t *out);
MUST_USE int json_i64(struct json v, int64_t *out);
MUST_USE int json_bool(struct json v, bool *out);

// Writing: a string with its quotes, control characters escaped; bytes that are no UTF-8 become U+FFFD.
void wr_json(struct wr *w, struct span s);
void wr_json_hex(struct wr *w, const void *p, size_t n); // bytes as a quoted hex string
