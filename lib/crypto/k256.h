// k256 - secp256k1 keys and recoverable signatures over Keccak-256, as Ethereum tooling checks them.
//
// Signatures are r(32) || s(32) || recovery id (0..3), s in the low half, nonce by RFC 6979: the same input
// gives the same bytes. Recovery always yields some key; only comparing it with the expected one proves
// anything. SEC 1 and spec 20 section 2.3.
#pragma once
#include "base/err.h"
#include "core/codec/buf.h"

enum { K256_SCALAR = 32, K256_PUB = 33, K256_SIG = 65, K256_STATEMENT_MAX = 512 };

int k256_new(uint8_t d[static K256_SCALAR], struct err *e);
int k256_check(const uint8_t d[static K256_SCALAR], struct err *e); // refuses 0 and >= n
int k256_public(const uint8_t d[static K256_SCALAR], uint8_t pub[static K256_PUB], struct err *e);
// The Ethereum address of a public key: the end of Keccak-256 of its two coordinates.
int k256_address(const uint8_t pub[static K256_PUB], uint8_t out[static 20], struct err *e);
int k256_sign_digest(const uint8_t d[static K256_SCALAR], const uint8_t digest[static 32],
		     uint8_t sig[static K256_SIG], struct err *e);
int k256_recover(const uint8_t digest[static 32], const uint8_t sig[static K256_SIG],
		 uint8_t pub[static K256_PUB], struct err *e);

// r || s over a digest. Key (33 or 65 bytes of SEC 1) or signature malformed: ERR_INPUT, key.public or
// key.signature; a signature with s in the high half is well-formed and does not hold.
int k256_verify_digest(struct span pub, const uint8_t digest[static 32], struct span sig, bool *valid,
		       struct err *e);

// Keccak-256(prefix || ":" || app || msg): what every statement of a KMS about an app is made of.
int k256_statement(const char *prefix, struct span app, struct span msg, uint8_t digest[static 32],
		   struct err *e);
int k256_sign(const uint8_t d[static K256_SCALAR], const char *prefix, struct span app, struct span msg,
	      uint8_t sig[static K256_SIG], struct err *e);
