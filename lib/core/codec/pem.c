#include "core/codec/pem.h"

static int value_of(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
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
