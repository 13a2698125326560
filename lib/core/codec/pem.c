#include "core/codec/pem.h"

// RFC 4648 section 4: the value of a digit plus one, from ' ' on; 0 is no digit.
// clang-format off
static const uint8_t digit_value[96] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 63, 0, 0, 0, 64,
	53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 0, 0, 0, 0, 0, 0,
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
	16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 0, 0, 0, 0, 0,
	0, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41,
	42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 0, 0, 0, 0, 0,
};
// clang-format on

static int value_of(uint8_t c)
{
	return c < 32 || c >= 128 ? -1 : digit_value[c - 32] - 1;
}

static bool literal(struct rd *in, const char *text)
{
	struct span want = span_str(text);

	return span_eq(rd_bytes(in, want.n), want);
}

int pem_next(struct rd *in, uint8_t *out, size_t cap, size_t *n)
{
	uint32_t acc = 0;
	size_t digits = 0, pad = 0;

	*n = 0;
	while (rd_left(in) &&
	       (*in->p == '\n' || *in->p == '\r' || *in->p == ' ' || *in->p == '\t' || !*in->p))
		in->p++;
	if (!in->bad && !rd_left(in))
		return 0;
	if (!literal(in, "-----BEGIN CERTIFICATE-----"))
		return -1;
	for (; rd_left(in) && *in->p != '-'; in->p++) {
		int v = value_of(*in->p);
		if (*in->p == '\n' || *in->p == '\r')
			continue;
		if (*in->p == '=') {
			pad++;
			continue;
		}
		if (v < 0 || pad)
			return -1;
		acc = acc << 6 | (uint32_t)v;
		if (++digits % 4 == 1)
			continue;
		if (*n == cap)
			return -1;
		out[(*n)++] = (uint8_t)(acc >> (6 - 2 * ((digits - 1) % 4)));
	}
	// RFC 4648 sections 3.2 and 3.5: padding is there, and the bits it replaces are zero.
	size_t odd = digits % 4;
	if (!digits || odd == 1 || pad != (4 - odd) % 4 || (odd && acc & (odd == 2 ? 15u : 3u)))
		return -1;
	return literal(in, "-----END CERTIFICATE-----") ? 1 : -1;
}
