// secret - key material: on locked pages that are not dumped, between guard pages, wiped when freed.
//
// A secret is only ever passed as `const struct secret *`; what needs raw bytes uses ->b for ->n. libsodium's
// guarded heap does the work.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct secret {
	size_t n;
	uint8_t b[];
};

struct secret *secret_new(size_t n); // zeroed, NULL when out of memory
struct secret *secret_dup(const void *p, size_t n);
struct secret *secret_random(size_t n);
struct secret *secret_from_hex(const char *hex, size_t n); // NULL: not hex (or out of memory)
void secret_free(struct secret *s);
bool secret_eq(const struct secret *a, const struct secret *b); // constant time for equal lengths
void secret_wipe(void *p, size_t n);                            // for copies on the stack

// Once at the start of a process that holds keys: not dumpable, no core files.
int secret_process(struct err *e);

static inline void secret_cleanup(struct secret **s)
{
	secret_free(*s);
}
#define auto_secret __attribute__((cleanup(secret_cleanup))) struct secret
