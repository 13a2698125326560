#ifndef _GNU_SOURCE
#define _GNU_SOURCE // explicit_bzero
#endif
#include "request.h"
#include "answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void dstack_buffer_free(struct dstack_buffer *b)
{
	dstack_answer_wipe_free(b->p, b->n);
	*b = (struct dstack_buffer){ 0 };
}

void dstack_put(struct dstack_buffer *b, const char *p, size_t n)
{
	if (b->over || b->no_memory || !n)
		return;
	if (n > b->max - b->n) {
		b->over = true;
		return;
	}
	if (n > b->size - b->n) { // not realloc, which leaves copies
		const size_t size = (b->n + n) * 2;
		char *bigger = malloc(size);
		if (!bigger) {
			b->no_memory = true;
			return;
		}
		if (b->n)
			memcpy(bigger, b->p, b->n);
		dstack_answer_wipe_free(b->p, b->n);
		b->p = bigger;
		b->size = size;
	}
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

void dstack_put_str(struct dstack_buffer *b, const char *s)
{
	dstack_put(b, s, strlen(s));
}

// `"name":` with the comma before it.
void dstack_put_name(struct dstack_buffer *b, const char *name)
{
	dstack_put_str(b, b->n > 1 ? ",\"" : "\"");
	dstack_put_str(b, name);
	dstack_put_str(b, "\":");
}

void dstack_put_quoted(struct dstack_buffer *b, const char *s)
{
	char hex[8];

	dstack_put_str(b, "\"");
	for (; *s; s++)
		if (*s == '"' || *s == '\\' || (unsigned char)*s < 0x20) {
			snprintf(hex, sizeof hex, "\\u%04x", (unsigned)*s);
			dstack_put_str(b, hex);
		} else {
			dstack_put(b, s, 1);
		}
	dstack_put_str(b, "\"");
}

void dstack_put_hex(struct dstack_buffer *b, const char *name, const void *data, size_t n)
{
	static const char digit[] = "0123456789abcdef";
	const uint8_t *p = data;

	dstack_put_name(b, name);
	dstack_put_str(b, "\"");
	for (size_t i = 0; i < n && !b->over && !b->no_memory; i++)
		dstack_put(b, (const char[2]){ digit[p[i] >> 4], digit[p[i] & 15] }, 2);
	dstack_put_str(b, "\"");
}

void dstack_put_bool(struct dstack_buffer *b, const char *name, bool v)
{
	dstack_put_name(b, name);
	dstack_put_str(b, v ? "true" : "false");
}

void dstack_put_time(struct dstack_buffer *b, const char *name, uint64_t v)
{
	char s[24];

	if (!v)
		return;
	dstack_put_name(b, name);
	snprintf(s, sizeof s, "%" PRIu64, v);
	dstack_put_str(b, s);
}

bool dstack_put_text(struct dstack_buffer *b, const char *name, const char *s)
{
	if (s && !dstack_answer_is_utf8(s, strlen(s)))
		return false;
	dstack_put_name(b, name);
	dstack_put_quoted(b, s ? s : "");
	return true;
}
