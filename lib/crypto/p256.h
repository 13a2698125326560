// p256 - NIST P-256 keys: make, derive, sign, verify, and their exact encodings.
//
// A scalar is 32 big-endian bytes. Every secret output is the caller's to wipe (OPENSSL_cleanse); copies made
// here are wiped. FIPS 186-4, RFC 5480 (SPKI), RFC 5958 and 5915 (PKCS#8 in the 138-byte form with public
// key).
#pragma once
#include <openssl/evp.h>

#include "base/err.h"
#include "core/codec/buf.h"

enum {
	P256_SCALAR = 32,
	P256_POINT = 65,
	P256_SPKI = 91,
	P256_PKCS8 = 138,
	P256_SIG_MAX = 72,
	P256_PEM_MAX = 320
};

EVP_PKEY *p256_new(struct err *e);
EVP_PKEY *p256_from_scalar(const uint8_t d[static P256_SCALAR], struct err *e); // 0 and >= n are refused
EVP_PKEY *p256_from_spki(struct span spki, struct err *e);                      // ERR_INPUT unless P-256
EVP_PKEY *p256_from_pem(struct span pem, struct err *e);                        // "PRIVATE KEY" (PKCS#8)

int p256_scalar(const EVP_PKEY *k, uint8_t d[static P256_SCALAR], struct err *e);
int p256_spki(const EVP_PKEY *k, uint8_t spki[static P256_SPKI], struct err *e);
int p256_pkcs8(const uint8_t d[static P256_SCALAR], uint8_t out[static P256_PKCS8], struct err *e);
// PKCS#8 PEM with final newline and NUL.
int p256_to_pem(const EVP_PKEY *k, char out[static P256_PEM_MAX], struct err *e);

// The child scalar. A result of 0 or >= n (2^-32) is an error, never retried: the wire fixes it so.
int p256_derive(const uint8_t root[static P256_SCALAR], const struct span *parts, size_t n_parts,
		uint8_t child[static P256_SCALAR], struct err *e) __attribute__((warn_unused_result));
// SHA-256 of the child's PKCS#8 bytes: a 32-byte secret (upstream calls it a DH secret).
int p256_derive_secret(const uint8_t root[static P256_SCALAR], const struct span *parts, size_t n_parts,
		       uint8_t secret[static 32], struct err *e) __attribute__((warn_unused_result));

// ECDSA with SHA-256, DER signatures.
int p256_sign(EVP_PKEY *k, struct span msg, uint8_t sig[static P256_SIG_MAX], size_t *sig_len, struct err *e);
int p256_sign_digest(EVP_PKEY *k, const uint8_t digest[static 32], uint8_t sig[static P256_SIG_MAX],
		     size_t *sig_len, struct err *e);
int p256_verify(EVP_PKEY *k, struct span msg, struct span sig,
		struct err *e); // ERR_UNTRUSTED when it does not hold
