#include "core/codec/hex.h"

// The value of a digit plus one; 0 is no digit.
// clang-format off
static const uint8_t digit_value[256] = {
	['0'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ['A'] = 11, 12, 13, 14, 15, 16, ['a'] = 11, 12, 13, 14, 15, 16,
};
// clang-format on

static inline int value_of(uint8_t c)
{
	return digit_value[c] - 1;
}

int hex_digit(uint8_t c)
{
	return value_of(c);
}

int hex_decode(uint8_t *out, size_t n, struct span s)
{
	int bad = 0;

	if (s.n % 2 || s.n / 2 != n)
		return -1;
	for (size_t i = 0; i < s.n; i++)
		bad |= value_of(s.p[i]); // only what is no digit is negative
	if (bad < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(value_of(s.p[2 * i]) << 4 | value_of(s.p[2 * i + 1]));
	return 0;
}
