// seal - the encrypted environment: X25519 + AES-256-GCM, sealed by clients, opened in the guest.
//
// Bytes: ephemeral public key (32) || IV (12) || ciphertext || tag (16); the AES key is the raw X25519 shared
// secret, no associated data (spec 20 section 2.3, spec 60 section 6k). An all-zero shared secret is refused.
#pragma once
#include "base/err.h"
#include "core/codec/buf.h"

enum { SEAL_KEY = 32, SEAL_OVERHEAD = 32 + 12 + 16, SEAL_MAX = 256 * 1024 };

int seal_public(const uint8_t secret[static SEAL_KEY], uint8_t pub[static SEAL_KEY], struct err *e);
// `out` takes plain.n + SEAL_OVERHEAD bytes.
int seal_encrypt(const uint8_t pub[static SEAL_KEY], struct span plain, uint8_t *out, struct err *e)
	__attribute__((warn_unused_result));
// `out` takes box.n - SEAL_OVERHEAD bytes; wiped when the tag does not hold (code `seal.tag`). The number of
// plain bytes is box.n - SEAL_OVERHEAD.
int seal_decrypt(const uint8_t secret[static SEAL_KEY], struct span box, uint8_t *out, struct err *e)
	__attribute__((warn_unused_result));
