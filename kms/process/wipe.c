#include "wipe.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool on;

void wipe_begin(void)
{
	on = true;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_FREE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define OWN_FREE 0
#endif
#endif

#ifndef OWN_FREE
void __libc_free(void *p); // NOLINT: glibc's names
void *__libc_realloc(void *p, size_t n);

// A block with a mapping of its own goes back to the kernel as it is: nobody gets it before it is zeroed.
static bool is_mapped(const void *p)
{
	return ((const size_t *)p)[-1] & 2;
}

void free(void *p)
{
	if (on && p && !is_mapped(p))
		explicit_bzero(p, malloc_usable_size(p));
	__libc_free(p);
}

void *realloc(void *p, size_t n)
{
	size_t has = p ? malloc_usable_size(p) : 0;

	if (!on || !p || !n || is_mapped(p))
		return __libc_realloc(p, n);
	if (n <= has && n >= has / 2)
		return p;
	void *fresh = malloc(n);
	if (!fresh)
		return NULL;
	memcpy(fresh, p, n < has ? n : has);
	free(p);
	return fresh;
}
#endif
