// arena - memory of one request: allocated piece by piece, freed in one go, with a cap.
//
// Everything is zeroed when given out and wiped when freed. An exhausted arena gives NULL and stays `bad`.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct arena;

struct arena *arena_new(size_t max); // NULL when out of memory; max 0: 64 MiB
void arena_free(struct arena *a);
void *arena_alloc(struct arena *a, size_t n); // zeroed, aligned for any type
void *arena_array(struct arena *a, size_t count, size_t size);
void *arena_dup(struct arena *a, const void *p, size_t n); // with a NUL behind
char *arena_str(struct arena *a, const char *s);
char *arena_hex(struct arena *a, const void *p, size_t n);
char *arena_fmt(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool arena_bad(const struct arena *a); // an allocation failed since arena_new

static inline void arena_cleanup(struct arena **a)
{
	arena_free(*a);
}
#define auto_arena __attribute__((cleanup(arena_cleanup))) struct arena

// Sizes from elsewhere: false on overflow.
static inline bool size_add(size_t a, size_t b, size_t *out)
{
	return !__builtin_add_overflow(a, b, out);
}

static inline bool size_mul(size_t a, size_t b, size_t *out)
{
	return !__builtin_mul_overflow(a, b, out);
}
