#include "core/codec/cbor.h"

enum { C_UINT, C_NEGATIVE, C_BYTES, C_TEXT, C_ARRAY, C_MAP, C_TAG, C_SIMPLE };

// Head of a value: its major type and argument, in the shortest form or bad.
static unsigned head(struct rd *r, uint64_t *v)
{
	uint8_t b = rd_u8(r);
	unsigned info = b & 31;
	uint64_t least = 0;

	*v = info;
	if (info == 24) {
		*v = rd_u8(r);
		least = 24;
	} else if (info == 25) {
		*v = rd_be16(r);
		least = 1 << 8;
	} else if (info == 26) {
		*v = rd_be32(r);
		least = 1 << 16;
	} else if (info == 27) {
		*v = rd_be64(r);
		least = 1ull << 32;
	} else if (info > 27) {
		r->bad = true;
	}
	if (*v < least)
		r->bad = true;
	return b >> 5;
}

static uint64_t expect(struct rd *r, unsigned major)
{
	uint64_t v;

	if (head(r, &v) != major)
		r->bad = true;
	return r->bad ? 0 : v;
}

static struct span string(struct rd *r, uint64_t n)
{
	if (n > rd_left(r))
		r->bad = true;
	return rd_bytes(r, r->bad ? 0 : (size_t)n);
}

uint64_t cbor_rd_uint(struct rd *r)
{
	return expect(r, C_UINT);
}

struct span cbor_rd_bytes(struct rd *r)
{
	return string(r, expect(r, C_BYTES));
}

struct span cbor_rd_text(struct rd *r)
{
	return string(r, expect(r, C_TEXT));
}

uint32_t cbor_rd_map(struct rd *r)
{
	uint64_t n = expect(r, C_MAP);

	if (n > rd_left(r) / 2)
		r->bad = true;
	return r->bad ? 0 : (uint32_t)n;
}

// Each item takes a byte at least: a count the input cannot hold is refused.
static void skip_items(struct rd *r, uint64_t *todo, unsigned each, uint64_t n)
{
	if (n > rd_left(r))
		r->bad = true;
	else
		*todo += each * n;
}

void cbor_skip(struct rd *r)
{
	for (uint64_t todo = 1; todo && !r->bad; todo--) {
		uint64_t v;
		unsigned major = head(r, &v);

		if (major == C_BYTES || major == C_TEXT)
			string(r, v);
		else if (major == C_ARRAY || major == C_MAP)
			skip_items(r, &todo, major == C_MAP ? 2 : 1, v);
		else if (major == C_TAG || (major == C_SIMPLE && (v < 20 || v > 22)))
			r->bad = true;
	}
}

static void write_head(struct wr *w, unsigned major, uint64_t v)
{
	uint8_t top = (uint8_t)(major << 5);

	if (v < 24) {
		wr_u8(w, (uint8_t)(top | v));
	} else if (v < 1 << 8) {
		wr_u8(w, top | 24);
		wr_u8(w, (uint8_t)v);
	} else if (v < 1 << 16) {
		wr_u8(w, top | 25);
		wr_be16(w, (uint16_t)v);
	} else if (v <= UINT32_MAX) {
		wr_u8(w, top | 26);
		wr_be32(w, (uint32_t)v);
	} else {
		wr_u8(w, top | 27);
		wr_be64(w, v);
	}
}

void cbor_wr_uint(struct wr *w, uint64_t v)
{
	write_head(w, C_UINT, v);
}

void cbor_wr_bytes(struct wr *w, struct span s)
{
	write_head(w, C_BYTES, s.n);
	wr_span(w, s);
}

void cbor_wr_text(struct wr *w, const char *s)
{
	struct span t = span_str(s);

	write_head(w, C_TEXT, t.n);
	wr_span(w, t);
}

void cbor_wr_map(struct wr *w, uint32_t pairs)
{
	write_head(w, C_MAP, pairs);
}
