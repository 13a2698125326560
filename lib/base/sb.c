#include "base/sb.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/strings.h"

enum { SB_MAX = 64 << 20, SB_FIRST = 256 };

void sb_free(struct sb *b)
{
	if (b->p)
		sodium_memzero(b->p, b->cap);
	free(b->p);
	*b = (struct sb){ 0 };
}

char *sb_take(struct sb *b)
{
	if (b->bad) {
		sb_free(b);
		return NULL;
	}
	char *p = b->p ? b->p : calloc(1, 1);
	*b = (struct sb){ 0 };
	return p;
}

// Room for n bytes and the NUL. The old block is wiped: texts of replies hold keys.
static bool room(struct sb *b, size_t n)
{
	size_t max = b->max ? b->max : SB_MAX;

	if (b->bad || n > max || b->n > max - n) {
		b->bad = true;
		return false;
	}
	if (b->n + n < b->cap)
		return true;
	size_t cap = b->cap ? b->cap : SB_FIRST;
	while (cap <= b->n + n)
		cap *= 2;
	char *p = malloc(cap);
	if (!p) {
		b->bad = true;
		return false;
	}
	if (b->p) {
		memcpy(p, b->p, b->n);
		sodium_memzero(b->p, b->cap);
		free(b->p);
	}
	b->p = p;
	b->cap = cap;
	return true;
}

void sb_put(struct sb *b, const void *p, size_t n)
{
	if (!room(b, n))
		return;
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	b->p[b->n] = 0;
}

void sb_str(struct sb *b, const char *s)
{
	sb_put(b, s, strlen(s));
}

void sb_chr(struct sb *b, char c)
{
	sb_put(b, &c, 1);
}

void sb_fmt(struct sb *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !room(b, (size_t)n)) {
		b->bad = true;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
}

void sb_hex(struct sb *b, const void *p, size_t n)
{
	if (n > SB_MAX || !room(b, 2 * n))
		return;
	hex_encode(b->p + b->n, p, n);
	b->n += 2 * n;
}

void sb_base64(struct sb *b, const void *p, size_t n)
{
	if (n > SB_MAX)
		b->bad = true;
	if (b->bad)
		return;
	size_t len = sodium_base64_ENCODED_LEN(n, sodium_base64_VARIANT_ORIGINAL);
	if (!room(b, len))
		return;
	sodium_bin2base64(b->p + b->n, len, p, n, sodium_base64_VARIANT_ORIGINAL);
	b->n += strlen(b->p + b->n);
}

static uint32_t code_point(const uint8_t *p, size_t len)
{
	uint32_t c = len == 2 ? p[0] & 0x1fu : len == 3 ? p[0] & 0x0fu : p[0] & 0x07u;

	for (size_t i = 1; i < len; i++)
		c = c << 6 | (p[i] & 0x3fu);
	return c;
}

static void escaped(struct sb *b, uint32_t c)
{
	if (c > 0xffff) {
		c -= 0x10000;
		sb_fmt(b, "\\u%04x\\u%04x", 0xd800 + (c >> 10), 0xdc00 + (c & 0x3ff));
	} else {
		sb_fmt(b, "\\u%04x", c);
	}
}

void sb_json_str_n(struct sb *b, const void *p, size_t n)
{
	const uint8_t *s = p;
	size_t plain = 0; // start of the run not yet copied

	sb_chr(b, '"');
	for (size_t i = 0; i < n && !b->bad;) {
		if (s[i] >= 0x20 && s[i] < 0x7f && s[i] != '"' && s[i] != '\\') {
			i++;
			continue;
		}
		sb_put(b, s + plain, i - plain);
		size_t len = str_utf8_next(s + i, n - i);
		const char *at = s[i] ? strchr("\"\"\\\\\nn\rr\tt\bb\ff", s[i]) : NULL;
		if (at)
			sb_put(b, (const char[]){ '\\', at[1] }, 2);
		else
			escaped(b, !len ? 0xfffd : len == 1 ? s[i] : code_point(s + i, len));
		i += len ? len : 1;
		plain = i;
	}
	if (!b->bad)
		sb_put(b, s + plain, n - plain);
	sb_chr(b, '"');
}

void sb_json_str(struct sb *b, const char *s)
{
	sb_json_str_n(b, s, strlen(s));
}

void sb_json_next(struct sb *b)
{
	if (b->n && !b->bad && !strchr("{[,:", b->p[b->n - 1]))
		sb_chr(b, ',');
}

void sb_json_key(struct sb *b, const char *key)
{
	sb_json_next(b);
	sb_json_str(b, key);
	sb_chr(b, ':');
}
