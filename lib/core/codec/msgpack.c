#include "core/codec/msgpack.h"

enum mp_kind mp_peek(const struct rd *r)
{
	if (!rd_left(r))
		return MP_NONE;
	uint8_t t = *r->p;

	if (t < 0x80 || (t >= 0xcc && t <= 0xcf))
		return MP_UINT;
	if (t < 0x90 || t == 0xde || t == 0xdf)
		return MP_MAP;
	if (t < 0xa0 || t == 0xdc || t == 0xdd)
		return MP_ARRAY;
	if (t < 0xc0 || (t >= 0xd9 && t <= 0xdb))
		return MP_STR;
	if (t == 0xc0)
		return MP_NIL;
	if (t == 0xc2 || t == 0xc3)
		return MP_BOOL;
	if (t >= 0xc4 && t <= 0xc6)
		return MP_BIN;
	return MP_OTHER;
}

// A length in 1, 2 or 4 bytes, as the low bits of its tag say.
static uint32_t length(struct rd *r, unsigned width)
{
	return width == 0 ? rd_u8(r) : width == 1 ? rd_be16(r) : rd_be32(r);
}

// Every element takes at least `least` bytes: a count that the input cannot hold is refused before any loop.
static uint32_t counted(struct rd *r, uint32_t n, size_t least)
{
	if (n > rd_left(r) / least)
		r->bad = true;
	return r->bad ? 0 : n;
}

static bool expect(struct rd *r, enum mp_kind kind)
{
	if (r->bad || mp_peek(r) != kind)
		r->bad = true;
	return !r->bad;
}

uint32_t mp_rd_map(struct rd *r)
{
	if (!expect(r, MP_MAP))
		return 0;
	uint8_t t = rd_u8(r);

	return counted(r, t < 0x90 ? t & 15u : length(r, t - 0xdeu + 1), 2);
}

uint32_t mp_rd_array(struct rd *r)
{
	if (!expect(r, MP_ARRAY))
		return 0;
	uint8_t t = rd_u8(r);

	return counted(r, t < 0xa0 ? t & 15u : length(r, t - 0xdcu + 1), 1);
}

struct span mp_rd_str(struct rd *r)
{
	if (!expect(r, MP_STR))
		return (struct span){ 0 };
	uint8_t t = rd_u8(r);

	return rd_bytes(r, t < 0xc0 ? t & 31u : length(r, t - 0xd9u));
}

uint64_t mp_rd_uint(struct rd *r, uint64_t max)
{
	if (!expect(r, MP_UINT))
		return 0;
	uint64_t v = rd_u8(r);

	if (v == 0xcc)
		v = rd_u8(r);
	else if (v == 0xcd)
		v = rd_be16(r);
	else if (v == 0xce)
		v = rd_be32(r);
	else if (v == 0xcf)
		v = rd_be64(r);
	if (v > max)
		r->bad = true;
	return r->bad ? 0 : v;
}

void mp_rd_nil(struct rd *r)
{
	if (expect(r, MP_NIL))
		rd_u8(r);
}

struct span mp_rd_bytes(struct rd *r, struct wr *scratch)
{
	if (mp_peek(r) == MP_BIN) {
		uint8_t t = rd_u8(r);

		return rd_bytes(r, length(r, t - 0xc4u));
	}
	uint32_t n = mp_rd_array(r);
	size_t at = scratch->n;

	for (uint32_t i = 0; i < n && !r->bad; i++)
		wr_u8(scratch, (uint8_t)mp_rd_uint(r, 255));
	if (scratch->bad)
		r->bad = true;
	return r->bad || !n ? (struct span){ 0 } : span_of(scratch->p + at, n);
}

// Size of what follows the tag of a value that has no elements; maps and arrays add to `todo` instead.
static void skip_one(struct rd *r, uint64_t *todo)
{
	static const uint8_t fixed[] = { [0x0a] = 4, [0x0b] = 8, [0x0c] = 1, [0x0d] = 2, [0x0e] = 4,
					 [0x0f] = 8, [0x10] = 1, [0x11] = 2, [0x12] = 4, [0x13] = 8,
					 [0x14] = 2, [0x15] = 3, [0x16] = 5, [0x17] = 9, [0x18] = 17 };

	switch (mp_peek(r)) {
	case MP_MAP:
		*todo += 2ull * mp_rd_map(r);
		return;
	case MP_ARRAY:
		*todo += mp_rd_array(r);
		return;
	case MP_STR:
		mp_rd_str(r);
		return;
	default:
		break;
	}
	uint8_t t = rd_u8(r);

	if (t >= 0xc4 && t <= 0xc6)
		rd_bytes(r, length(r, t - 0xc4u));
	else if (t >= 0xc7 && t <= 0xc9)
		rd_bytes(r, (size_t)length(r, t - 0xc7u) + 1);
	else if (t >= 0xca && t <= 0xd8)
		rd_bytes(r, fixed[t - 0xc0]);
	else if (t == 0xc1)
		r->bad = true;
}

void mp_skip(struct rd *r)
{
	if (!rd_left(r))
		r->bad = true;
	for (uint64_t todo = 1, done = 0; todo && !r->bad; todo--) {
		if (done++ == MP_SKIP_MAX)
			r->bad = true;
		skip_one(r, &todo);
	}
}

// Tags come in three widths after the short form: `t8` is 0 where the 8-bit one does not exist.
static void head(struct wr *w, size_t n, uint8_t fix, size_t fix_max, uint8_t t8, uint8_t t16)
{
	if (n <= fix_max && fix) {
		wr_u8(w, (uint8_t)(fix | n));
	} else if (n < 1 << 8 && t8) {
		wr_u8(w, t8);
		wr_u8(w, (uint8_t)n);
	} else if (n < 1 << 16) {
		wr_u8(w, t16);
		wr_be16(w, (uint16_t)n);
	} else {
		if (n > UINT32_MAX)
			w->bad = true;
		wr_u8(w, (uint8_t)(t16 + 1));
		wr_be32(w, (uint32_t)n);
	}
}

void mp_wr_map(struct wr *w, size_t n)
{
	head(w, n, 0x80, 15, 0, 0xde);
}

void mp_wr_array(struct wr *w, size_t n)
{
	head(w, n, 0x90, 15, 0, 0xdc);
}

void mp_wr_str(struct wr *w, struct span s)
{
	head(w, s.n, 0xa0, 31, 0xd9, 0xda);
	wr_span(w, s);
}

void mp_wr_key(struct wr *w, const char *s)
{
	mp_wr_str(w, span_str(s));
}

void mp_wr_bin(struct wr *w, struct span s)
{
	head(w, s.n, 0, 0, 0xc4, 0xc5);
	wr_span(w, s);
}

void mp_wr_uint(struct wr *w, uint64_t v)
{
	if (v < 0x80) {
		wr_u8(w, (uint8_t)v);
	} else if (v < 1 << 8) {
		wr_u8(w, 0xcc);
		wr_u8(w, (uint8_t)v);
	} else if (v < 1 << 16) {
		wr_u8(w, 0xcd);
		wr_be16(w, (uint16_t)v);
	} else if (v <= UINT32_MAX) {
		wr_u8(w, 0xce);
		wr_be32(w, (uint32_t)v);
	} else {
		wr_u8(w, 0xcf);
		wr_be64(w, v);
	}
}

void mp_wr_nil(struct wr *w)
{
	wr_u8(w, 0xc0);
}

void mp_wr_ints(struct wr *w, struct span s)
{
	mp_wr_array(w, s.n);
	for (size_t i = 0; i < s.n; i++)
		mp_wr_uint(w, s.p[i]);
}
