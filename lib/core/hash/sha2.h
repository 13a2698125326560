// sha2 - SHA-256, SHA-384, SHA-512 (FIPS 180-4) for the evidence core: small, freestanding, public data only.
//
// Bulk hashing of files and anything with a secret in it uses OpenSSL instead.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint32_t h[8];
	uint64_t total;
	uint8_t block[64];
};

struct sha512 { // also SHA-384
	uint64_t h[8];
	uint64_t total;
	uint8_t block[128];
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *p, size_t n);
void sha256_end(struct sha256 *s, uint8_t out[static 32]);
void sha384_init(struct sha512 *s);
void sha512_init(struct sha512 *s);
void sha512_add(struct sha512 *s, const void *p, size_t n); // for both
void sha384_end(struct sha512 *s, uint8_t out[static 48]);
void sha512_end(struct sha512 *s, uint8_t out[static 64]);

void sha256(const void *p, size_t n, uint8_t out[static 32]);
void sha384(const void *p, size_t n, uint8_t out[static 48]);
void sha512(const void *p, size_t n, uint8_t out[static 64]);
