#include "core/codec/scale.h"

enum { COMPACT_MAX = (1 << 30) - 1 };

uint32_t scale_rd_compact(struct rd *r)
{
	uint32_t v = rd_u8(r), least = 0;

	switch (v & 3) {
	case 0:
		return v >> 2;
	case 1:
		v |= (uint32_t)rd_u8(r) << 8;
		least = 1 << 6;
		break;
	case 2:
		v |= (uint32_t)rd_u8(r) << 8;
		v |= (uint32_t)rd_le16(r) << 16;
		least = 1 << 14;
		break;
	default: // big integers: nothing here is that long
		r->bad = true;
		return 0;
	}
	v >>= 2;
	if (v < least)
		r->bad = true;
	return r->bad ? 0 : v;
}

uint32_t scale_rd_count(struct rd *r, uint32_t max)
{
	uint32_t n = scale_rd_compact(r);

	if (n > max)
		r->bad = true;
	return r->bad ? 0 : n;
}

struct span scale_rd_bytes(struct rd *r)
{
	return rd_bytes(r, scale_rd_compact(r));
}

bool scale_rd_bool(struct rd *r)
{
	uint8_t v = rd_u8(r);

	if (v > 1)
		r->bad = true;
	return v == 1;
}

void scale_wr_compact(struct wr *w, size_t n)
{
	if (n < 1 << 6) {
		wr_u8(w, (uint8_t)(n << 2));
	} else if (n < 1 << 14) {
		wr_le16(w, (uint16_t)(n << 2 | 1));
	} else {
		if (n > COMPACT_MAX)
			w->bad = true;
		wr_le32(w, (uint32_t)(n << 2 | 2));
	}
}

void scale_wr_bytes(struct wr *w, struct span s)
{
	scale_wr_compact(w, s.n);
	wr_span(w, s);
}
