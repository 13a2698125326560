// keccak - the Keccak-f[1600] sponge: SHA-3 (FIPS 202) and the original padding that Ethereum uses.
//
// Freestanding, public data only. The original padding differs from SHA-3 in one byte (0x01 for 0x06).
#pragma once
#include <stddef.h>
#include <stdint.h>

void keccak256(const void *p, size_t n, uint8_t out[static 32]);
void keccak384(const void *p, size_t n, uint8_t out[static 48]);
void keccak512(const void *p, size_t n, uint8_t out[static 64]);
void sha3_256(const void *p, size_t n, uint8_t out[static 32]);
void sha3_384(const void *p, size_t n, uint8_t out[static 48]);
void sha3_512(const void *p, size_t n, uint8_t out[static 64]);
