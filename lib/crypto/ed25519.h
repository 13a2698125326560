// ed25519 - EdDSA signatures over Curve25519, RFC 8032 section 5.1.
//
// Verification is the plain equation without cofactor, with s below the order of the group. A public key that
// is no point of the curve is told apart from a signature that does not hold.
#pragma once
#include "base/err.h"
#include "core/codec/buf.h"

enum { ED25519_SEED = 32, ED25519_PUB = 32, ED25519_SIG = 64 };

int ed25519_public(const uint8_t seed[static ED25519_SEED], uint8_t pub[static ED25519_PUB], struct err *e);
int ed25519_sign(const uint8_t seed[static ED25519_SEED], struct span msg, uint8_t sig[static ED25519_SIG],
		 struct err *e);
bool ed25519_is_point(const uint8_t pub[static ED25519_PUB]);
// A point of the large group, canonically encoded: what a key pair of ours has. Of a point of low order
// anybody makes signatures.
bool ed25519_is_key(const uint8_t pub[static ED25519_PUB]);
int ed25519_verify(const uint8_t pub[static ED25519_PUB], struct span msg,
		   const uint8_t sig[static ED25519_SIG], bool *valid, struct err *e);
