// der - strict DER (X.690 section 10): definite, minimal lengths; tags below 31; nothing that has two
// encodings.
//
// Elements are read straight down a struct rd; a wrong one marks it bad, so the caller tests once at the end.
#pragma once
#include "core/codec/buf.h"

enum {
	DER_BOOLEAN = 0x01,
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_OCTET_STRING = 0x04,
	DER_OID = 0x06,
	DER_ENUMERATED = 0x0a,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
};

struct der {
	uint8_t tag;
	struct span body, whole; // contents; with tag and length
};

struct der der_any(struct rd *r);
struct span der_take(struct rd *r, uint8_t tag);    // contents; bad unless the next element has this tag
struct rd der_enter(struct rd *r, uint8_t tag);     // the same as a reader; both bad
bool der_at(const struct rd *r, uint8_t tag);       // the next element has this tag
bool der_true(struct rd *r);                        // an optional BOOLEAN DEFAULT FALSE: is it there?
uint32_t der_u32(struct rd *r, uint32_t max);       // an INTEGER of 0..max
struct span der_unsigned(struct rd *r, size_t max); // a non-negative INTEGER as minimal big-endian bytes
void der_literal(struct rd *r, struct span bytes);  // exactly these bytes come next
uint64_t der_time(struct rd *r);
void der_end(struct rd *r); // bad unless all is read
// SEQUENCE { r, s } of ECDSA as 32 + 32 bytes.
MUST_USE int der_ecdsa_p256(struct span s, uint8_t out[static 64]);
