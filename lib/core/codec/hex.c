#include "core/codec/hex.h"

// The value of a digit plus one, from '0' on; 0 is no digit.
// clang-format off
static const uint8_t digit_value[] = {
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0, 0, 0, 0, 0, 0, 11, 12, 13, 14, 15, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11, 12, 13, 14, 15, 16,
};
// clang-format on

static inline int value_of(uint8_t c)
{
	return c < '0' || c > 'f' ? -1 : digit_value[c - '0'] - 1;
}

int hex_digit(uint8_t c)
{
	return value_of(c);
}

int hex_decode(uint8_t *out, size_t n, struct span s)
{
	if (s.n % 2 || s.n / 2 != n)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int hi = value_of(s.p[2 * i]), lo = value_of(s.p[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return -1;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}
