#include "core/sig/rsa.h"

#include "core/hash/sha2.h"
#include "core/sig/mont.h"

enum { HASH = 48, SALT = 48, BYTES_MAX = 4 * MONT_LIMBS, BYTES_MIN = 256, PADDING = 8 };

// s^65537 mod m, in place.
static void power(uint32_t *s, const struct modulus *m)
{
	uint32_t x[MONT_LIMBS];

	mont_in(x, s, m);
	for (int i = 0; i < 16; i++)
		mont_mul(x, x, x, m);
	mont_mul(s, x, s, m); // the factor is not in Montgomery form, so the result is not either
}

// R and R^2 modulo m: 2^(32 n) - m is R mod m because the first bit of m is set; then n limbs of doublings.
static void complete(struct modulus *m, uint32_t *one, uint32_t *rr)
{
	static const uint32_t zero[MONT_LIMBS];

	m->m0 = mont_m0(m->m[0]);
	m->one = one;
	m->rr = rr;
	limbs_sub(one, zero, m->m, m->n);
	limbs_set(rr, one, m->n);
	for (size_t i = 0; i < 32 * m->n; i++)
		mont_add(rr, rr, rr, m);
}

// db ^= MGF1(seed)
static void unmask(uint8_t *db, size_t n, const uint8_t seed[HASH])
{
	uint8_t block[HASH];
	struct sha512 s;

	for (size_t i = 0; i < n; i++) {
		uint8_t at = (uint8_t)(i / HASH); // fewer than 256 blocks
		if (i % HASH == 0) {
			sha384_init(&s);
			sha512_add(&s, seed, HASH);
			sha512_add(&s, (uint8_t[]){ 0, 0, 0, at }, 4);
			sha384_end(&s, block);
		}
		db[i] ^= block[i % HASH];
	}
}

// RFC 8017, section 9.1.2, for a modulus whose first bit is set: the encoded message is one bit shorter.
static bool encodes(uint8_t *em, size_t n, const uint8_t digest[HASH])
{
	static const uint8_t padding[PADDING];
	size_t db = n - HASH - 1, zeros = db - SALT - 1;
	const uint8_t *h = em + db;
	uint8_t want[HASH];
	struct sha512 s;

	if (em[n - 1] != 0xbc || em[0] & 0x80)
		return false;
	unmask(em, db, h);
	em[0] &= 0x7f;
	for (size_t i = 0; i < zeros; i++)
		if (em[i])
			return false;
	if (em[zeros] != 1)
		return false;
	sha384_init(&s);
	sha512_add(&s, padding, PADDING);
	sha512_add(&s, digest, HASH);
	sha512_add(&s, em + zeros + 1, SALT);
	sha384_end(&s, want);
	return span_eq(span_of(want, HASH), span_of(h, HASH));
}

bool rsa_pss_sha384(struct span modulus, struct span msg, struct span sig)
{
	uint32_t m[MONT_LIMBS], one[MONT_LIMBS], rr[MONT_LIMBS], s[MONT_LIMBS];
	uint8_t em[BYTES_MAX], digest[HASH];
	struct modulus mod = { .n = modulus.n / 4, .m = m };

	if (modulus.n < BYTES_MIN || modulus.n > BYTES_MAX || modulus.n % 128 || sig.n != modulus.n ||
	    !(modulus.p[0] & 0x80) || !(modulus.p[modulus.n - 1] & 1))
		return false;
	limbs_read(m, mod.n, modulus.p);
	limbs_read(s, mod.n, sig.p);
	if (limbs_cmp(s, m, mod.n) >= 0)
		return false;
	complete(&mod, one, rr);
	power(s, &mod);
	limbs_write(em, s, mod.n);
	sha384(msg.p, msg.n, digest);
	return encodes(em, modulus.n, digest);
}
