// mont - arithmetic modulo an odd number in Montgomery form, for public values only.
//
// A number is an array of 32-bit limbs, the lowest first, and below the modulus. Time depends on the values:
// nothing secret may ever come here. Freestanding; results may overlap the operands.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MONT_LIMBS = 128 }; // 4096 bits

struct modulus {
	size_t n;            // limbs
	const uint32_t *m;   // odd
	const uint32_t *one; // R mod m, with R = 2^(32 n)
	const uint32_t *rr;  // R^2 mod m
	uint32_t m0;         // -1/m mod 2^32
};

void limbs_read(uint32_t *r, size_t n, const uint8_t *be); // 4 n bytes, the highest first
void limbs_write(uint8_t *be, const uint32_t *a, size_t n);
void limbs_set(uint32_t *r, const uint32_t *a, size_t n);
int limbs_cmp(const uint32_t *a, const uint32_t *b, size_t n);
bool limbs_zero(const uint32_t *a, size_t n);
uint32_t limbs_add(uint32_t *r, const uint32_t *a, const uint32_t *b, size_t n); // the carry
uint32_t limbs_sub(uint32_t *r, const uint32_t *a, const uint32_t *b, size_t n); // the borrow

void mont_add(uint32_t *r, const uint32_t *a, const uint32_t *b, const struct modulus *m);
void mont_sub(uint32_t *r, const uint32_t *a, const uint32_t *b, const struct modulus *m);
void mont_mul(uint32_t *r, const uint32_t *a, const uint32_t *b, const struct modulus *m); // a b / R
void mont_in(uint32_t *r, const uint32_t *a, const struct modulus *m);                     // a R
void mont_invert(uint32_t *r, const uint32_t *a, const struct modulus *m); // m prime; both in Montgomery form
uint32_t mont_m0(uint32_t low);                                            // -1/low mod 2^32, low odd
