// json_text - the characters of JSON strings, shared by the reader's two halves. Private to codec/json*.c.
#pragma once
#include "core/codec/buf.h"

// Bytes of a checked string after unescaping, one at a time.
struct json_chars {
	struct span left;
	uint8_t ready[4];
	uint8_t n, at;
};

// Steps over printable ASCII that is neither quote nor backslash, eight bytes at a time: what is left to look
// at one by one begins there.
static inline const uint8_t *json_run(const uint8_t *p, const uint8_t *end)
{
	const uint64_t each = 0x0101010101010101, high = 0x8080808080808080;

	for (; end - p >= 8; p += 8) {
		uint64_t v;
		__builtin_memcpy(&v, p, 8);
		uint64_t quote = (v ^ each * '"') - each, slash = (v ^ each * '\\') - each;
		if ((v | (v - each * 0x20) | quote | slash) & high)
			break;
	}
	return p;
}

bool json_is_blank(uint8_t c);
bool json_is_digit(uint8_t c);
uint32_t json_hex4(const uint8_t *p); // of four checked digits
struct json_chars json_chars_of(struct span contents);
int json_chars_next(struct json_chars *c); // -1 at the end
