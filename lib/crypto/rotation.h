// rotation - that a root set of a KMS follows another: said by the K256 key of the set before it, and by its
// own.
//
// Set 0 is the pair a KMS was made with; set r+1 comes from a root rotation. Whoever pins the K256 key of one
// set follows the statements to the newest. A statement proves that the holder of the key before made it, so
// after that key was stolen only the time of one that was seen before, or the evidence that is published
// with it, tells a true one from a forged one. Spec 20 section 7.2; docs/kms-roots.md. Code: roots.statement.
#pragma once
#include "base/err.h"
#include "base/sb.h"
#include "core/codec/buf.h"

enum { ROOT_SETS_MAX = 8 };

struct rotation {
	uint32_t index; // of the new set, from 1
	uint64_t time;  // Unix seconds
	uint8_t ca_spki[91], k256_pub[33];
	uint8_t signature[65], own_signature[65]; // by K of set index-1, by K of this set
};

// Signatures over Keccak-256("dstack-kms-root-rotation:" || u64be(index) || u64be(time) || ca_spki ||
// k256_pub). Fills both; the rest is the caller's.
int rotation_sign(struct rotation *r, const uint8_t before[static 32], const uint8_t own[static 32],
		  struct err *e) __attribute__((warn_unused_result));
// `before` is the public K256 key of set index-1, `index` which set this must be.
int rotation_check(const struct rotation *r, uint32_t index, const uint8_t before[static 33], struct err *e)
	__attribute__((warn_unused_result));
// The key that signed as that of the set before.
int rotation_signer(const struct rotation *r, uint8_t pub[static 33], struct err *e)
	__attribute__((warn_unused_result));
// What a root set is called: SHA-256 of its two public keys, CA first.
void rotation_id(const uint8_t ca_spki[static 91], const uint8_t k256_pub[static 33], uint8_t out[static 32]);

// What the evidence of a set's birth says (spec 20 section 2.7), of the first set, too.
void rotation_report_data(const uint8_t ca_spki[static 91], const uint8_t k256_pub[static 33],
			  uint8_t out[static 64]);

// As text: the JSON of kms.RootRotation without the certificate. `attestation`: evidence of the set's birth.
void rotation_write(struct sb *b, const struct rotation *r, struct span attestation);
int rotation_read(struct rotation *r, struct span text, struct err *e) __attribute__((warn_unused_result));
