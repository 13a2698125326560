// cleanup - locals that own: released when they go out of scope, handed on with TAKE.
//
//     auto_free char *s = str_format("%d", n);
//     *out = TAKE(s);
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AUTO(fn) __attribute__((cleanup(fn)))

// Defines `fn_auto`, to be used as AUTO(fn_auto) on a `type` local, from a `void fn(type)` that takes NULL.
#define AUTO_DEFINE(type, fn)                                                                                \
	static inline __attribute__((unused)) void fn##_auto(type *p)                                        \
	{                                                                                                    \
		fn(*p);                                                                                      \
	}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_file(FILE *const *f)
{
	if (*f)
		fclose(*f);
}

#define auto_free  AUTO(cleanup_free)
#define auto_close AUTO(cleanup_close) // initialise with -1
#define auto_file  AUTO(cleanup_file)

// The value of an owning pointer; the owner is left NULL.
#define TAKE(p)                                                                                              \
	__extension__({                                                                                      \
		__auto_type take_ = (p);                                                                     \
		(p) = NULL;                                                                                  \
		take_;                                                                                       \
	})
static inline int take_fd(int *fd)
{
	int was = *fd;
	*fd = -1;
	return was;
}
