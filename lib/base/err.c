#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, enum err_class c, const char *fmt, ...)
{
	va_list ap;

	e->class = c;
	e->code[0] = 0;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	return -1;
}

int err_code(struct err *e, enum err_class c, const char *code, const char *fmt, ...)
{
	va_list ap;

	e->class = c;
	snprintf(e->code, sizeof e->code, "%s", code);
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	return -1;
}

// Put a head before what `e` holds. When both do not fit it is the head that is cut: the root
// cause, at the end, is what the reader needs.
__attribute__((format(printf, 2, 0))) static int prepend(struct err *e, const char *fmt, va_list ap)
{
	char was[sizeof e->text];
	size_t tail = strlen(e->text), room = sizeof e->text - tail;

	if (room < 4)
		return -1;
	memcpy(was, e->text, tail + 1);
	vsnprintf(e->text, room - 2, fmt, ap);
	size_t head = strlen(e->text);
	memcpy(e->text + head, ": ", 2);
	memcpy(e->text + head + 2, was, tail + 1);
	return -1;
}

int err_errno(struct err *e, const char *fmt, ...)
{
	int reason = errno;
	enum err_class c = reason == EAGAIN || reason == ETIMEDOUT || reason == ECONNREFUSED ? ERR_AGAIN
			   : reason == ENOENT                                                ? ERR_ABSENT
											     : ERR_SYSTEM;
	va_list ap;

	err_set(e, c, "%s", strerror(reason));
	va_start(ap, fmt);
	prepend(e, fmt, ap);
	va_end(ap);
	return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	prepend(e, fmt, ap);
	va_end(ap);
	return -1;
}

int err_exit(const struct err *e)
{
	static const int of[] = {
		[ERR_NONE] = 0,      [ERR_INPUT] = 2, [ERR_DENIED] = 3, [ERR_ABSENT] = 4,
		[ERR_UNTRUSTED] = 5, [ERR_AGAIN] = 6, [ERR_SYSTEM] = 1, [ERR_BUG] = 70,
	};
	return of[e->class];
}

int err_http(const struct err *e)
{
	static const int of[] = {
		[ERR_NONE] = 200,      [ERR_INPUT] = 400, [ERR_DENIED] = 403, [ERR_ABSENT] = 404,
		[ERR_UNTRUSTED] = 403, [ERR_AGAIN] = 503, [ERR_SYSTEM] = 500, [ERR_BUG] = 500,
	};
	return of[e->class];
}
