// buf - bounded bytes in and out, the only way wire data is read or written.
//
// `struct span` is a borrowed run of bytes. `struct rd` reads it straight down: every read is checked, a
// failed one marks the reader bad and gives zeros, so the caller tests `bad` once at the end. `struct wr`
// writes into the caller's array with the same sticky flag. Freestanding: no libc, no allocation.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))

struct span {
	const uint8_t *p;
	size_t n;
};

struct rd {
	const uint8_t *p, *end;
	bool bad;
};

struct wr {
	uint8_t *p;
	size_t n, cap; // n counts on after an overflow, so a dry run with cap 0 gives the size needed
	bool bad;
};

static inline struct span span_of(const void *p, size_t n)
{
	return (struct span){ (const uint8_t *)p, n };
}

struct span span_str(const char *s); // without the final NUL
bool span_eq(struct span a, struct span b);
bool span_is(struct span a, const char *s);
struct span span_sub(struct span a, size_t at, size_t n); // empty when out of range

struct rd rd_from(const void *p, size_t n);
struct rd rd_span(struct span s);

static inline size_t rd_left(const struct rd *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->p);
}

// The next n bytes, or marks bad and gives an empty span.
static inline struct span rd_bytes(struct rd *r, size_t n)
{
	if (r->bad || n > (size_t)(r->end - r->p)) {
		r->bad = true;
		return (struct span){ 0 };
	}
	struct span s = span_of(r->p, n);
	if (n)
		r->p += n;
	return s;
}

static inline uint8_t rd_u8(struct rd *r)
{
	struct span s = rd_bytes(r, 1);

	return s.n ? s.p[0] : 0;
}

uint16_t rd_be16(struct rd *r);
uint32_t rd_be32(struct rd *r);
uint64_t rd_be64(struct rd *r);
uint16_t rd_le16(struct rd *r);
uint32_t rd_le32(struct rd *r);
uint64_t rd_le64(struct rd *r);
struct rd rd_take(struct rd *r, size_t n);       // the same as a reader of its own; both bad if short
void rd_copy(struct rd *r, void *out, size_t n); // zeros when short

struct wr wr_to(void *p, size_t cap);
struct span wr_done(const struct wr *w); // what was written; empty when it did not fit
void wr_u8(struct wr *w, uint8_t v);
void wr_be16(struct wr *w, uint16_t v);
void wr_be32(struct wr *w, uint32_t v);
void wr_be64(struct wr *w, uint64_t v);
void wr_le16(struct wr *w, uint16_t v);
void wr_le32(struct wr *w, uint32_t v);
void wr_le64(struct wr *w, uint64_t v);
void wr_put(struct wr *w, const void *p, size_t n);
void wr_span(struct wr *w, struct span s);
void wr_str(struct wr *w, const char *s);
void wr_hex(struct wr *w, const void *p, size_t n); // lower case
void wr_dec(struct wr *w, uint64_t v);
