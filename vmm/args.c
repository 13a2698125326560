#include "args.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 2, 0))) static void add(struct args *a, const char *fmt, va_list ap)
{
	if (a->n == ARGS_MAX || vasprintf(&a->v[a->n], fmt, ap) < 0) {
		a->v[a->n] = NULL;
		a->bad = true;
		return;
	}
	a->v[++a->n] = NULL;
}

void args_add(struct args *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(a, fmt, ap);
	va_end(ap);
}

void args_pair(struct args *a, const char *option, const char *fmt, ...)
{
	va_list ap;

	args_add(a, "%s", option);
	va_start(ap, fmt);
	add(a, fmt, ap);
	va_end(ap);
}

void args_free(struct args *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i]);
	*a = (struct args){ 0 };
}

static void print_quoted(FILE *to, const char *s)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-";

	if (*s && strspn(s, plain) == strlen(s)) {
		fputs(s, to);
		return;
	}
	fputc('\'', to);
	for (; *s; s++)
		if (*s == '\'')
			fputs("'\\''", to);
		else
			fputc(*s, to);
	fputc('\'', to);
}

void args_print(FILE *to, const struct args *a, bool each)
{
	for (size_t i = 0; i < a->n; i++) {
		if (i)
			fputs(each && a->v[i][0] == '-' ? " \\\n  " : " ", to);
		print_quoted(to, a->v[i]);
	}
	fputc('\n', to);
}
