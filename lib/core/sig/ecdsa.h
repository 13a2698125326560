// ecdsa - ECDSA verification of the core's own: P-256 with SHA-256 and P-384 with SHA-384 (FIPS 186-4).
//
// For public values only; time depends on them. It is the engine of the page (web/), and natively it is run
// against OpenSSL by the tests. Everything that is not a proper key or signature is refused: coordinates not
// below p, points off the curve, r or s of 0 or not below n. Freestanding, no state, no allocation.
#pragma once
#include "core/codec/buf.h"

// `key` is X || Y, `sig` is r || s, each big-endian at the curve's full width.
bool ecdsa_p256(const uint8_t key[static 64], const uint8_t digest[static 32], const uint8_t sig[static 64]);
bool ecdsa_p384(const uint8_t key[static 96], const uint8_t digest[static 48], const uint8_t sig[static 96]);
// The same over a message, hashed here.
bool ecdsa_p256_sha256(const uint8_t key[static 64], struct span msg, const uint8_t sig[static 64]);
bool ecdsa_p384_sha384(const uint8_t key[static 96], struct span msg, const uint8_t sig[static 96]);
