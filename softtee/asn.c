#include "asn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void asn_raw(struct asn *d, const void *p, size_t n)
{
	if (n > ASN_CAP - d->n) {
		d->bad = true;
		return;
	}
	if (n)
		memcpy(d->b + d->n, p, n);
	d->n += n;
}

size_t asn_open(struct asn *d, int tag)
{
	uint8_t t = (uint8_t)tag;

	asn_raw(d, &t, 1);
	return d->n;
}

// The length is known only now: make room for it in front of the content.
void asn_close(struct asn *d, size_t at)
{
	uint8_t head[3];
	size_t n = d->n - at, headn = n < 128 ? 1 : n < 256 ? 2 : 3;

	if (d->bad || headn > ASN_CAP - d->n) {
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

void asn_value(struct asn *d, int tag, const void *p, size_t n)
{
	size_t at = asn_open(d, tag);

	asn_raw(d, p, n);
	asn_close(d, at);
}

void asn_text(struct asn *d, int tag, const char *s)
{
	asn_value(d, tag, s, strlen(s));
}

void asn_oid(struct asn *d, const char *dotted)
{
	size_t at = asn_open(d, ASN_OID);
	char *end;
	unsigned long first = strtoul(dotted, &end, 10), arc = strtoul(end + 1, &end, 10) + first * 40;

	for (;;) {
		uint8_t digits[10];
		size_t n = sizeof digits;

		digits[--n] = arc & 127;
		while (arc >>= 7)
			digits[--n] = (arc & 127) | 128;
		asn_raw(d, digits + n, sizeof digits - n);
		if (*end != '.')
			break;
		arc = strtoul(end + 1, &end, 10);
	}
	asn_close(d, at);
}

void asn_integer(struct asn *d, const uint8_t *p, size_t n)
{
	size_t at = asn_open(d, ASN_INTEGER);

	while (n > 1 && *p == 0) {
		p++;
		n--;
	}
	if (n && *p & 0x80)
		asn_raw(d, "", 1);
	asn_raw(d, p, n);
	asn_close(d, at);
}

void asn_uint(struct asn *d, uint64_t v)
{
	uint8_t b[8];

	for (int i = 0; i < 8; i++)
		b[7 - i] = (uint8_t)(v >> 8 * i);
	asn_integer(d, b, sizeof b);
}

void asn_bits(struct asn *d, const void *p, size_t n)
{
	size_t at = asn_open(d, ASN_BITS);

	asn_raw(d, "", 1);
	asn_raw(d, p, n);
	asn_close(d, at);
}

void asn_bool(struct asn *d, bool v)
{
	asn_value(d, ASN_BOOLEAN, v ? "\377" : "", 1);
}

void asn_time(struct asn *d, int64_t t)
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
	asn_text(d, is_short ? ASN_UTCTIME : ASN_GENERALIZED, text);
}
