// asn - ASN.1 values written in DER (X.690), inside out: open a value, write its content, close it.
//
// Only for what the development PKI needs. Overflow and misuse are sticky in `bad`, tested once at the end.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/codec/buf.h"

enum {
	ASN_BOOLEAN = 1,
	ASN_INTEGER = 2,
	ASN_BITS = 3,
	ASN_OCTETS = 4,
	ASN_OID = 6,
	ASN_ENUMERATED = 10,
	ASN_UTF8 = 12,
	ASN_PRINTABLE = 19,
	ASN_UTCTIME = 23,
	ASN_GENERALIZED = 24,
	ASN_SEQUENCE = 0x30,
	ASN_SET = 0x31,
	ASN_CONTEXT = 0xA0, // constructed; ASN_CONTEXT_PLAIN | n is primitive
	ASN_CONTEXT_PLAIN = 0x80,
};

enum { ASN_CAP = 4096 };

struct asn {
	uint8_t b[ASN_CAP];
	size_t n;
	bool bad;
};

size_t asn_open(struct asn *d, int tag); // give the result to asn_close
void asn_close(struct asn *d, size_t at);

void asn_value(struct asn *d, int tag, const void *p, size_t n);
void asn_raw(struct asn *d, const void *p, size_t n); // DER made elsewhere
void asn_text(struct asn *d, int tag, const char *s);
void asn_oid(struct asn *d, const char *dotted);
void asn_uint(struct asn *d, uint64_t v);
void asn_integer(struct asn *d, const uint8_t *p, size_t n); // big-endian, not negative
void asn_bits(struct asn *d, const void *p, size_t n);       // no unused bits
void asn_bool(struct asn *d, bool v);
void asn_time(struct asn *d, int64_t t); // UTCTime before 2050, else GeneralizedTime
