#include "core/codec/utf8.h"

size_t utf8_len(const uint8_t *p, size_t left)
{
	uint8_t c = p[0];
	size_t n = c < 0x80                 ? 1
		   : c >= 0xc2 && c <= 0xdf ? 2
		   : c >= 0xe0 && c <= 0xef ? 3
		   : c >= 0xf0 && c <= 0xf4 ? 4
					    : 0;

	if (n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) || (c == 0xf0 && p[1] < 0x90) ||
	    (c == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

bool utf8_is(struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i += n) {
		n = utf8_len(s.p + i, s.n - i);
		if (!n)
			return false;
	}
	return true;
}
