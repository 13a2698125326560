#include "base/strings.h"
#include "core/codec/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool str_u64_n(const char *s, size_t n, uint64_t *out)
{
	uint64_t v = 0;

	if (!n || (n > 1 && s[0] == '0'))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s[i] - '0'), &v))
			return false;
	}
	*out = v;
	return true;
}

bool str_u64(const char *s, uint64_t *out)
{
	return str_u64_n(s, strlen(s), out);
}

bool str_uint(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v;

	if (!str_u64(s, &v) || v < min || v > max)
		return false;
	*out = v;
	return true;
}

struct unit {
	char suffix;
	uint64_t factor;
};

static bool with_unit(const char *s, const struct unit *units, size_t n_units, uint64_t *out)
{
	size_t n = strlen(s);
	uint64_t factor = 1;

	for (size_t i = 0; n && i < n_units; i++) {
		if (s[n - 1] == units[i].suffix) {
			factor = units[i].factor;
			n--;
			break;
		}
	}
	uint64_t v;
	return str_u64_n(s, n, &v) && !__builtin_mul_overflow(v, factor, out);
}

bool str_seconds(const char *s, uint64_t *out)
{
	static const struct unit units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	return with_unit(s, units, sizeof units / sizeof *units, out);
}

bool str_bytes(const char *s, uint64_t *out)
{
	static const struct unit units[] = {
		{ 'K', 1ull << 10 }, { 'M', 1ull << 20 }, { 'G', 1ull << 30 }, { 'T', 1ull << 40 }
	};
	return with_unit(s, units, sizeof units / sizeof *units, out);
}

bool str_starts(const char *s, const char *head)
{
	return !strncmp(s, head, strlen(head));
}

bool str_ends(const char *s, const char *tail)
{
	size_t n = strlen(s), t = strlen(tail);
	return n >= t && !memcmp(s + n - t, tail, t);
}

// The length of the well-formed sequence at p, 0 if none: RFC 3629 (no overlong forms, no surrogates).
size_t str_utf8_next(const void *p, size_t n)
{
	return n ? utf8_len(p, n) : 0;
}

bool str_is_utf8(const void *p, size_t n)
{
	return utf8_is(span_of(p, n));
}

char *str_format(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;

	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : s;
}

char *str_dup_n(const void *p, size_t n)
{
	char *s = n < SIZE_MAX ? malloc(n + 1) : NULL;

	if (!s)
		return NULL;
	if (n)
		memcpy(s, p, n);
	s[n] = 0;
	return s;
}

char *str_quote(char *out, size_t cap, const void *p, size_t n)
{
	const uint8_t *s = p;
	size_t at = 0;

	if (cap < 6) {
		if (cap)
			out[0] = 0;
		return out;
	}
	out[at++] = '"';
	for (size_t i = 0; i < n; i++) {
		char piece[5] = { (char)s[i], 0 };
		if (s[i] == '"' || s[i] == '\\')
			snprintf(piece, sizeof piece, "\\%c", s[i]);
		else if (s[i] < 0x20 || s[i] > 0x7e)
			snprintf(piece, sizeof piece, "\\x%02x", s[i]);
		size_t len = strlen(piece), tail = i + 1 < n ? 5 : 2; // what must still fit: ..." or "
		if (at + len + tail > cap) {
			memcpy(out + at, "...", 3);
			at += 3;
			break;
		}
		memcpy(out + at, piece, len);
		at += len;
	}
	out[at++] = '"';
	out[at] = 0;
	return out;
}

// Without a table or a branch: keys come through here.
static char hex_char(int v)
{
	return (char)(v + '0' + ((9 - v) >> 8 & 39));
}

void hex_encode(char *out, const void *p, size_t n)
{
	const uint8_t *s = p;

	for (size_t i = 0; i < n; i++) {
		*out++ = hex_char(s[i] >> 4);
		*out++ = hex_char(s[i] & 15);
	}
	*out = 0;
}

// 0-15, or 16 and more for a character that is no digit. No branch or table depends on the character: keys
// come through here.
static unsigned digit(uint8_t c)
{
	unsigned num = c ^ 48u, alpha = (c & ~32u) - 55u;
	unsigned is_num = ((num - 10u) >> 8) & 0xffu,
		 is_alpha = (((alpha - 10u) ^ (alpha - 16u)) >> 8) & 0xffu;

	return (is_num & num) | (is_alpha & alpha) | (~(is_num | is_alpha) & 0x10u);
}

int hex_read(void *out, size_t cap, const char *s, size_t n, size_t *len)
{
	uint8_t *o = out;
	unsigned bad = 0;

	if (n % 2 || n / 2 > cap)
		return -1;
	for (size_t i = 0; i < n / 2; i++) {
		unsigned hi = digit((uint8_t)s[2 * i]), lo = digit((uint8_t)s[2 * i + 1]);
		bad |= (hi | lo) & 0x10u;
		o[i] = (uint8_t)(hi << 4 | (lo & 15u));
	}
	*len = n / 2;
	return bad ? -1 : 0;
}

bool hex_exact(void *out, size_t want, const char *s)
{
	size_t n;
	return strlen(s) == 2 * want && !hex_read(out, want, s, 2 * want, &n);
}

char *hex_dup(const void *p, size_t n)
{
	char *s = n < SIZE_MAX / 2 ? malloc(2 * n + 1) : NULL;

	if (s)
		hex_encode(s, p, n);
	return s;
}

char *str_hex(char *out, const void *p, size_t n)
{
	hex_encode(out, p, n);
	return out;
}
