#include "der.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void der_raw(struct der *d, const void *p, size_t n)
{
	if (n > DER_CAP - d->n) {
		d->bad = true;
		return;
	}
	if (n)
		memcpy(d->b + d->n, p, n);
	d->n += n;
}

size_t der_open(struct der *d, int tag)
{
	uint8_t t = (uint8_t)tag;

	der_raw(d, &t, 1);
	return d->n;
}

// The length is known only now: make room for it in front of the content.
void der_close(struct der *d, size_t at)
{
	uint8_t head[3];
	size_t n = d->n - at, headn = n < 128 ? 1 : n < 256 ? 2 : 3;

	if (d->bad || headn > DER_CAP - d->n) {
		d->bad = true;
		return;
	}
	if (headn == 1) {
		head[0] = (uint8_t)n;
	} else if (headn == 2) {
		head[0] = 0x81;
		head[1] = (uint8_t)n;
	} else {
		head[0] = 0x82;
		head[1] = (uint8_t)(n >> 8);
		head[2] = (uint8_t)n;
	}
	memmove(d->b + at + headn, d->b + at, n);
	memcpy(d->b + at, head, headn);
	d->n += headn;
}

void der_value(struct der *d, int tag, const void *p, size_t n)
{
	size_t at = der_open(d, tag);

	der_raw(d, p, n);
	der_close(d, at);
}

void der_text(struct der *d, int tag, const char *s)
{
	der_value(d, tag, s, strlen(s));
}

void der_oid(struct der *d, const char *dotted)
{
	size_t at = der_open(d, DER_OID);
	char *end;
	unsigned long first = strtoul(dotted, &end, 10), arc = strtoul(end + 1, &end, 10) + first * 40;

	for (;;) {
		uint8_t digits[10];
		size_t n = sizeof digits;

		digits[--n] = arc & 127;
		while (arc >>= 7)
			digits[--n] = (arc & 127) | 128;
		der_raw(d, digits + n, sizeof digits - n);
		if (*end != '.')
			break;
		arc = strtoul(end + 1, &end, 10);
	}
	der_close(d, at);
}

void der_integer(struct der *d, const uint8_t *p, size_t n)
{
	size_t at = der_open(d, DER_INTEGER);

	while (n > 1 && *p == 0) {
		p++;
		n--;
	}
	if (*p & 0x80)
		der_raw(d, "", 1);
	der_raw(d, p, n);
	der_close(d, at);
}

void der_uint(struct der *d, uint64_t v)
{
	uint8_t b[8];

	for (int i = 0; i < 8; i++)
		b[7 - i] = (uint8_t)(v >> 8 * i);
	der_integer(d, b, sizeof b);
}

void der_bits(struct der *d, const void *p, size_t n)
{
	size_t at = der_open(d, DER_BITS);

	der_raw(d, "", 1);
	der_raw(d, p, n);
	der_close(d, at);
}

void der_bool(struct der *d, bool v)
{
	der_value(d, DER_BOOLEAN, v ? "\377" : "", 1);
}

void der_time(struct der *d, int64_t t)
{
	struct tm tm;
	time_t at = (time_t)t;
	char text[80];

	if (!gmtime_r(&at, &tm)) {
		d->bad = true;
		return;
	}
	bool is_short = tm.tm_year + 1900 < 2050;
	int year = is_short ? tm.tm_year % 100 : tm.tm_year + 1900;
	snprintf(text, sizeof text, is_short ? "%02d%02d%02d%02d%02d%02dZ" : "%04d%02d%02d%02d%02d%02dZ",
		 year, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	der_text(d, is_short ? DER_UTCTIME : DER_GENERALIZED, text);
}
