#include "core/sig/mont.h"

void limbs_read(uint32_t *r, size_t n, const uint8_t *be)
{
	for (size_t i = 0; i < n; i++) {
		const uint8_t *p = be + 4 * (n - 1 - i);

		r[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	}
}

void limbs_write(uint8_t *be, const uint32_t *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < 4; k++)
			be[4 * (n - 1 - i) + k] = (uint8_t)(a[i] >> (24 - 8 * k));
}

void limbs_set(uint32_t *r, const uint32_t *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		r[i] = a[i];
}

int limbs_cmp(const uint32_t *a, const uint32_t *b, size_t n)
{
	while (n--)
		if (a[n] != b[n])
			return a[n] < b[n] ? -1 : 1;
	return 0;
}

bool limbs_zero(const uint32_t *a, size_t n)
{
	uint32_t any = 0;

	for (size_t i = 0; i < n; i++)
		any |= a[i];
	return !any;
}

uint32_t limbs_add(uint32_t *r, const uint32_t *a, const uint32_t *b, size_t n)
{
	uint64_t c = 0;

	for (size_t i = 0; i < n; i++) {
		c += (uint64_t)a[i] + b[i];
		r[i] = (uint32_t)c;
		c >>= 32;
	}
	return (uint32_t)c;
}

uint32_t limbs_sub(uint32_t *r, const uint32_t *a, const uint32_t *b, size_t n)
{
	uint64_t borrow = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t v = (uint64_t)a[i] - b[i] - borrow;

		r[i] = (uint32_t)v;
		borrow = v >> 63;
	}
	return (uint32_t)borrow;
}

void mont_add(uint32_t *r, const uint32_t *a, const uint32_t *b, const struct modulus *m)
{
	if (limbs_add(r, a, b, m->n) || limbs_cmp(r, m->m, m->n) >= 0)
		limbs_sub(r, r, m->m, m->n);
}

void mont_sub(uint32_t *r, const uint32_t *a, const uint32_t *b, const struct modulus *m)
{
	if (limbs_sub(r, a, b, m->n))
		limbs_add(r, r, m->m, m->n);
}

// Coarsely integrated operand scanning: Koc, Acar, Kaliski, "Analyzing and comparing Montgomery
// multiplication algorithms", 1996, section 5.
void mont_mul(uint32_t *r, const uint32_t *a, const uint32_t *b, const struct modulus *m)
{
	uint32_t t[MONT_LIMBS + 2];
	size_t n = m->n;

	for (size_t i = 0; i < n + 2; i++)
		t[i] = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t c = 0;

		for (size_t j = 0; j < n; j++) {
			c += (uint64_t)a[j] * b[i] + t[j];
			t[j] = (uint32_t)c;
			c >>= 32;
		}
		c += t[n];
		t[n] = (uint32_t)c;
		t[n + 1] = (uint32_t)(c >> 32);
		uint32_t q = t[0] * m->m0;
		c = ((uint64_t)q * m->m[0] + t[0]) >> 32;
		for (size_t j = 1; j < n; j++) {
			c += (uint64_t)q * m->m[j] + t[j];
			t[j - 1] = (uint32_t)c;
			c >>= 32;
		}
		c += t[n];
		t[n - 1] = (uint32_t)c;
		t[n] = t[n + 1] + (uint32_t)(c >> 32);
	}
	if (t[n] || limbs_cmp(t, m->m, n) >= 0)
		limbs_sub(r, t, m->m, n);
	else
		limbs_set(r, t, n);
}

void mont_in(uint32_t *r, const uint32_t *a, const struct modulus *m)
{
	mont_mul(r, a, m->rr, m);
}

// Fermat: a^(m-2).
void mont_invert(uint32_t *r, const uint32_t *a, const struct modulus *m)
{
	uint32_t e[MONT_LIMBS], two[MONT_LIMBS] = { 2 }, x[MONT_LIMBS];

	limbs_sub(e, m->m, two, m->n);
	limbs_set(x, m->one, m->n);
	for (size_t i = 32 * m->n; i--;) {
		mont_mul(x, x, x, m);
		if (e[i / 32] >> i % 32 & 1)
			mont_mul(x, x, a, m);
	}
	limbs_set(r, x, m->n);
}

// Newton: each step doubles the bits that are right, and an odd number is its own inverse modulo 8.
uint32_t mont_m0(uint32_t low)
{
	uint32_t x = low;

	for (int i = 0; i < 4; i++)
		x *= 2 - low * x;
	return 0 - x;
}
