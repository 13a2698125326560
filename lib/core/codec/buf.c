#include "core/codec/buf.h"

struct span span_str(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return span_of(s, n);
}

bool span_eq(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (a.p[i] != b.p[i])
			return false;
	return true;
}

bool span_is(struct span a, const char *s)
{
	return span_eq(a, span_str(s));
}

struct span span_sub(struct span a, size_t at, size_t n)
{
	if (at > a.n || n > a.n - at)
		return (struct span){ 0 };
	return span_of(a.p + at, n);
}

struct rd rd_from(const void *p, size_t n)
{
	const uint8_t *b = p;
	return (struct rd){ b, n ? b + n : b, false };
}

struct rd rd_span(struct span s)
{
	return rd_from(s.p, s.n);
}

struct rd rd_take(struct rd *r, size_t n)
{
	struct rd sub = rd_span(rd_bytes(r, n));

	sub.bad = r->bad;
	return sub;
}

void rd_copy(struct rd *r, void *out, size_t n)
{
	struct span s = rd_bytes(r, n);
	uint8_t *to = out;

	for (size_t i = 0; i < n; i++)
		to[i] = r->bad ? 0 : s.p[i];
}

static uint64_t read_int(struct rd *r, size_t n, bool big)
{
	struct span s = rd_bytes(r, n);
	uint64_t v = 0;

	if (r->bad)
		return 0;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | s.p[big ? i : n - 1 - i];
	return v;
}

uint16_t rd_be16(struct rd *r)
{
	return (uint16_t)read_int(r, 2, true);
}

uint32_t rd_be32(struct rd *r)
{
	return (uint32_t)read_int(r, 4, true);
}

uint64_t rd_be64(struct rd *r)
{
	return read_int(r, 8, true);
}

uint16_t rd_le16(struct rd *r)
{
	return (uint16_t)read_int(r, 2, false);
}

uint32_t rd_le32(struct rd *r)
{
	return (uint32_t)read_int(r, 4, false);
}

uint64_t rd_le64(struct rd *r)
{
	return read_int(r, 8, false);
}

struct wr wr_to(void *p, size_t cap)
{
	return (struct wr){ p, 0, cap, false };
}

struct span wr_done(const struct wr *w)
{
	return w->bad ? (struct span){ 0 } : span_of(w->p, w->n);
}

void wr_put(struct wr *w, const void *p, size_t n)
{
	const uint8_t *from = p;

	if (w->n > w->cap || n > w->cap - w->n)
		w->bad = true;
	for (size_t i = 0; i < n && !w->bad; i++)
		w->p[w->n + i] = from[i];
	w->n += n;
}

static void write_int(struct wr *w, uint64_t v, size_t n, bool big)
{
	uint8_t b[8];

	for (size_t i = 0; i < n; i++)
		b[big ? n - 1 - i : i] = (uint8_t)(v >> 8 * i);
	wr_put(w, b, n);
}

void wr_u8(struct wr *w, uint8_t v)
{
	wr_put(w, &v, 1);
}

void wr_be16(struct wr *w, uint16_t v)
{
	write_int(w, v, 2, true);
}

void wr_be32(struct wr *w, uint32_t v)
{
	write_int(w, v, 4, true);
}

void wr_be64(struct wr *w, uint64_t v)
{
	write_int(w, v, 8, true);
}

void wr_le16(struct wr *w, uint16_t v)
{
	write_int(w, v, 2, false);
}

void wr_le32(struct wr *w, uint32_t v)
{
	write_int(w, v, 4, false);
}

void wr_le64(struct wr *w, uint64_t v)
{
	write_int(w, v, 8, false);
}

void wr_span(struct wr *w, struct span s)
{
	wr_put(w, s.p, s.n);
}

void wr_str(struct wr *w, const char *s)
{
	wr_span(w, span_str(s));
}

void wr_hex(struct wr *w, const void *p, size_t n)
{
	static const char digit[] = "0123456789abcdef";
	const uint8_t *from = p;

	for (size_t i = 0; i < n; i++) {
		const uint8_t pair[2] = { (uint8_t)digit[from[i] >> 4], (uint8_t)digit[from[i] & 15] };
		wr_put(w, pair, 2);
	}
}

void wr_dec(struct wr *w, uint64_t v)
{
	char text[20];
	size_t n = sizeof text;

	do
		text[--n] = (char)('0' + v % 10);
	while (v /= 10);
	wr_put(w, text + n, sizeof text - n);
}
