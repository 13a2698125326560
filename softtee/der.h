// der - ASN.1 values written in DER (X.690), inside out: open a value, write its content, close it.
//
// Only for what the development PKI needs. Overflow and misuse are sticky in `bad`, tested once at the end.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/codec/buf.h"

enum {
	DER_BOOLEAN = 1,
	DER_INTEGER = 2,
	DER_BITS = 3,
	DER_OCTETS = 4,
	DER_OID = 6,
	DER_ENUMERATED = 10,
	DER_UTF8 = 12,
	DER_PRINTABLE = 19,
	DER_UTCTIME = 23,
	DER_GENERALIZED = 24,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
	DER_CONTEXT = 0xA0, // constructed; DER_CONTEXT_PLAIN | n is primitive
	DER_CONTEXT_PLAIN = 0x80,
};

enum { DER_CAP = 4096 };

struct der {
	uint8_t b[DER_CAP];
	size_t n;
	bool bad;
};

size_t der_open(struct der *d, int tag); // give the result to der_close
void der_close(struct der *d, size_t at);

void der_value(struct der *d, int tag, const void *p, size_t n);
void der_raw(struct der *d, const void *p, size_t n); // DER made elsewhere
void der_text(struct der *d, int tag, const char *s);
void der_oid(struct der *d, const char *dotted);
void der_uint(struct der *d, uint64_t v);
void der_integer(struct der *d, const uint8_t *p, size_t n); // big-endian, not negative
void der_bits(struct der *d, const void *p, size_t n);       // no unused bits
void der_bool(struct der *d, bool v);
void der_time(struct der *d, int64_t t); // UTCTime before 2050, else GeneralizedTime
