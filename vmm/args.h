// args - a command line that is being put together.
//
// Failure (out of memory, too many) is sticky: add straight down, test `bad` once.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { ARGS_MAX = 256 };

struct args {
	char *v[ARGS_MAX + 1]; // NULL-terminated, owned
	size_t n;
	bool bad;
};

void args_add(struct args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void args_pair(struct args *a, const char *option, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void args_free(struct args *a);
#define auto_args __attribute__((cleanup(args_free))) struct args
// As a shell would take it; `each` puts every option on a line of its own.
void args_print(FILE *to, const struct args *a, bool each);
