#include "core/codec/base64.h"

static int value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(struct wr *out, struct span text)
{
	if (text.n % 4)
		return -1;
	for (size_t i = 0; i < text.n; i += 4) {
		bool last = i + 4 == text.n;
		unsigned pad = last && text.p[i + 3] == '=' ? text.p[i + 2] == '=' ? 2 : 1 : 0;
		uint32_t v = 0;

		for (unsigned k = 0; k < 4; k++) {
			int d = k >= 4 - pad ? 0 : value(text.p[i + k]);

			if (d < 0)
				return -1;
			v = v << 6 | (uint32_t)d;
		}
		if (pad && v & (pad == 2 ? 0xffffu : 0xffu))
			return -1;
		for (unsigned k = 0; k < 3 - pad; k++)
			wr_u8(out, (uint8_t)(v >> (16 - 8 * k)));
	}
	return out->bad ? -1 : 0;
}

void wr_base64(struct wr *w, struct span s)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < s.n; i += 3) {
		size_t n = s.n - i < 3 ? s.n - i : 3;
		uint32_t v = (uint32_t)s.p[i] << 16;

		if (n > 1)
			v |= (uint32_t)s.p[i + 1] << 8;
		if (n > 2)
			v |= s.p[i + 2];
		for (unsigned k = 0; k < 4; k++)
			wr_u8(w, (uint8_t)(k > n ? '=' : digit[v >> (18 - 6 * k) & 63]));
	}
}
