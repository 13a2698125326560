#include "crypto/ssl.h"

#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>

int err_ssl(struct err *e, enum err_class c, const char *fmt, ...)
{
	unsigned long first = ERR_get_error();
	const char *reason = first ? ERR_reason_error_string(first) : NULL;
	char head[256];
	va_list ap;

	ERR_clear_error();
	va_start(ap, fmt);
	vsnprintf(head, sizeof head, fmt, ap);
	va_end(ap);
	return err_set(e, c, "%s: %s", head, reason ? reason : "refused by OpenSSL");
}
