#include "base/arena.h"

#include <sodium.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/strings.h"

enum { BLOCK = 4096, ARENA_MAX = 64 << 20 };

struct block {
	struct block *next;
	size_t n, cap;
	alignas(max_align_t) unsigned char b[];
};

struct arena {
	struct block *first;
	size_t used, max;
	bool bad;
};

struct arena *arena_new(size_t max)
{
	struct arena *a = calloc(1, sizeof *a);

	if (a)
		a->max = max ? max : ARENA_MAX;
	return a;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	for (struct block *b = a->first, *next; b; b = next) {
		next = b->next;
		sodium_memzero(b->b, b->n);
		free(b);
	}
	free(a);
}

static void *fail(struct arena *a)
{
	a->bad = true;
	return NULL;
}

void *arena_alloc(struct arena *a, size_t n)
{
	size_t whole;

	if (!size_add(n, alignof(max_align_t) - 1, &whole))
		return fail(a);
	whole &= ~(alignof(max_align_t) - 1);
	if (!whole)
		whole = alignof(max_align_t);
	if (whole > a->max || a->used > a->max - whole)
		return fail(a);

	struct block *b = a->first;
	if (!b || b->cap - b->n < whole) {
		size_t cap = whole > BLOCK / 4 ? whole : BLOCK - sizeof *b;
		struct block *fresh = calloc(1, sizeof *fresh + cap);
		if (!fresh)
			return fail(a);
		fresh->cap = cap;
		if (b && whole > BLOCK / 4) { // a block of its own; the one in use stays first
			fresh->next = b->next;
			b->next = fresh;
		} else {
			fresh->next = b;
			a->first = fresh;
		}
		b = fresh;
	}
	void *p = b->b + b->n;
	b->n += whole;
	a->used += whole;
	return p;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
	size_t n;
	return size_mul(count, size, &n) ? arena_alloc(a, n) : fail(a);
}

void *arena_dup(struct arena *a, const void *p, size_t n)
{
	size_t whole;
	char *out = size_add(n, 1, &whole) ? arena_alloc(a, whole) : fail(a);

	if (out && n)
		memcpy(out, p, n);
	return out;
}

char *arena_str(struct arena *a, const char *s)
{
	return arena_dup(a, s, strlen(s));
}

char *arena_hex(struct arena *a, const void *p, size_t n)
{
	char *out = arena_array(a, n + 1, 2);

	if (out)
		hex_encode(out, p, n);
	return out;
}

char *arena_fmt(struct arena *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *out = n < 0 ? fail(a) : arena_alloc(a, (size_t)n + 1);
	if (!out)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(out, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return out;
}

bool arena_bad(const struct arena *a)
{
	return a->bad;
}
