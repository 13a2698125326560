#include "core/codec/der.h"

#include "core/codec/utc.h"

struct der der_any(struct rd *r)
{
	struct der d = { 0 };
	const uint8_t *from = r->p;
	uint8_t first;
	size_t len;

	d.tag = rd_u8(r);
	first = rd_u8(r);
	len = first;
	if ((d.tag & 31) == 31)
		r->bad = true;
	if (first & 0x80) {
		size_t bytes = first & 0x7f;
		len = 0;
		if (bytes < 1 || bytes > 3)
			r->bad = true;
		for (size_t i = 0; i < bytes && !r->bad; i++) {
			len = len << 8 | rd_u8(r);
			if (!len)
				r->bad = true;
		}
		if (len < 128)
			r->bad = true;
	}
	d.body = rd_bytes(r, len);
	if (r->bad)
		return (struct der){ 0 };
	d.whole = span_of(from, (size_t)(r->p - from));
	return d;
}

bool der_at(const struct rd *r, uint8_t tag)
{
	return rd_left(r) && r->p[0] == tag;
}

struct span der_take(struct rd *r, uint8_t tag)
{
	if (!der_at(r, tag))
		r->bad = true;
	return der_any(r).body;
}

struct rd der_enter(struct rd *r, uint8_t tag)
{
	struct rd in = rd_span(der_take(r, tag));

	in.bad = r->bad;
	return in;
}

bool der_true(struct rd *r)
{
	if (!der_at(r, DER_BOOLEAN))
		return false;
	struct span v = der_take(r, DER_BOOLEAN);
	if (v.n != 1 || v.p[0] != 0xff)
		r->bad = true;
	return !r->bad;
}

struct span der_unsigned(struct rd *r, size_t max)
{
	struct span v = der_take(r, DER_INTEGER);

	if (!v.n || v.p[0] & 0x80 || (v.n > 1 && !v.p[0] && !(v.p[1] & 0x80))) {
		r->bad = true;
		return (struct span){ 0 };
	}
	if (v.n > 1 && !v.p[0])
		v = span_of(v.p + 1, v.n - 1);
	if (v.n > max)
		r->bad = true;
	return r->bad ? (struct span){ 0 } : v;
}

uint32_t der_u32(struct rd *r, uint32_t max)
{
	struct span v = der_unsigned(r, 4);
	uint32_t n = 0;

	for (size_t i = 0; i < v.n; i++)
		n = n << 8 | v.p[i];
	if (n > max)
		r->bad = true;
	return r->bad ? 0 : n;
}

void der_literal(struct rd *r, struct span bytes)
{
	struct span s = rd_bytes(r, bytes.n);

	if (!span_eq(s, bytes))
		r->bad = true;
}

uint64_t der_time(struct rd *r)
{
	struct der d = der_any(r);
	uint64_t t = 0;

	if (r->bad || utc_asn1(d.tag, d.body, &t))
		r->bad = true;
	return t;
}

void der_end(struct rd *r)
{
	if (r->bad || r->p != r->end)
		r->bad = true;
}

int der_ecdsa_p256(struct span s, uint8_t out[static 64])
{
	struct rd r = rd_span(s), in = der_enter(&r, DER_SEQUENCE);

	der_end(&r);
	for (int half = 0; half < 2; half++) {
		struct span v = der_unsigned(&in, 32);
		for (size_t i = 0; i < 32; i++)
			out[32 * half + (int)i] = i < 32 - v.n ? 0 : v.p[i - (32 - v.n)];
	}
	der_end(&in);
	return r.bad || in.bad ? -1 : 0;
}
