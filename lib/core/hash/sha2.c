#include "core/hash/sha2.h"

// FIPS 180-4 section 4.2.3. SHA-256's 64 constants are the upper halves of the first 64.
// clang-format off
static const uint64_t K[80] = {
	0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc,
	0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118,
	0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
	0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694,
	0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
	0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
	0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4,
	0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70,
	0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
	0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
	0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30,
	0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
	0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8,
	0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3,
	0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
	0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b,
	0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178,
	0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
	0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c,
	0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};
// clang-format on

static uint32_t ror32(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static uint64_t ror64(uint64_t x, int n)
{
	return x >> n | x << (64 - n);
}

// One round; the eight variables change places instead of values.
#define ROUND256(a, b, c, d, e, f, g, h, i)                                                                  \
	do {                                                                                                 \
		h += (ror32(e, 6) ^ ror32(e, 11) ^ ror32(e, 25)) + ((e & f) ^ (~e & g)) +                    \
		     (uint32_t)(K[i] >> 32) + w[i];                                                          \
		d += h;                                                                                      \
		h += (ror32(a, 2) ^ ror32(a, 13) ^ ror32(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));            \
	} while (0)

static void block256(uint32_t state[8], const uint8_t *p)
{
	uint32_t w[64], a = state[0], b = state[1], c = state[2], d = state[3];
	uint32_t e = state[4], f = state[5], g = state[6], h = state[7];

	for (int i = 0; i < 16; i++, p += 4)
		w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	for (int i = 16; i < 64; i++) {
		uint32_t x = w[i - 15], y = w[i - 2];
		w[i] = w[i - 16] + (ror32(x, 7) ^ ror32(x, 18) ^ x >> 3) + w[i - 7] +
		       (ror32(y, 17) ^ ror32(y, 19) ^ y >> 10);
	}
	for (int i = 0; i < 64; i += 8) {
		ROUND256(a, b, c, d, e, f, g, h, i);
		ROUND256(h, a, b, c, d, e, f, g, i + 1);
		ROUND256(g, h, a, b, c, d, e, f, i + 2);
		ROUND256(f, g, h, a, b, c, d, e, i + 3);
		ROUND256(e, f, g, h, a, b, c, d, i + 4);
		ROUND256(d, e, f, g, h, a, b, c, i + 5);
		ROUND256(c, d, e, f, g, h, a, b, i + 6);
		ROUND256(b, c, d, e, f, g, h, a, i + 7);
	}
	const uint32_t end[8] = { a, b, c, d, e, f, g, h };
	for (int i = 0; i < 8; i++)
		state[i] += end[i];
}

#define ROUND512(a, b, c, d, e, f, g, h, i)                                                                  \
	do {                                                                                                 \
		h += (ror64(e, 14) ^ ror64(e, 18) ^ ror64(e, 41)) + ((e & f) ^ (~e & g)) + K[i] + w[i];      \
		d += h;                                                                                      \
		h += (ror64(a, 28) ^ ror64(a, 34) ^ ror64(a, 39)) + ((a & b) ^ (a & c) ^ (b & c));           \
	} while (0)

static void block512(uint64_t state[8], const uint8_t *p)
{
	uint64_t w[80], a = state[0], b = state[1], c = state[2], d = state[3];
	uint64_t e = state[4], f = state[5], g = state[6], h = state[7];

	for (int i = 0; i < 16; i++, p += 8) {
		w[i] = 0;
		for (int j = 0; j < 8; j++)
			w[i] = w[i] << 8 | p[j];
	}
	for (int i = 16; i < 80; i++) {
		uint64_t x = w[i - 15], y = w[i - 2];
		w[i] = w[i - 16] + (ror64(x, 1) ^ ror64(x, 8) ^ x >> 7) + w[i - 7] +
		       (ror64(y, 19) ^ ror64(y, 61) ^ y >> 6);
	}
	for (int i = 0; i < 80; i += 8) {
		ROUND512(a, b, c, d, e, f, g, h, i);
		ROUND512(h, a, b, c, d, e, f, g, i + 1);
		ROUND512(g, h, a, b, c, d, e, f, i + 2);
		ROUND512(f, g, h, a, b, c, d, e, i + 3);
		ROUND512(e, f, g, h, a, b, c, d, i + 4);
		ROUND512(d, e, f, g, h, a, b, c, i + 5);
		ROUND512(c, d, e, f, g, h, a, b, i + 6);
		ROUND512(b, c, d, e, f, g, h, a, i + 7);
	}
	const uint64_t end[8] = { a, b, c, d, e, f, g, h };
	for (int i = 0; i < 8; i++)
		state[i] += end[i];
}

void sha256_init(struct sha256 *s)
{
	static const uint32_t start[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

	for (int i = 0; i < 8; i++)
		s->h[i] = start[i];
	s->total = 0;
}

void sha256_add(struct sha256 *s, const void *p, size_t n)
{
	const uint8_t *from = p;
	size_t at = s->total % 64;

	s->total += n;
	while (n) {
		if (!at && n >= 64) {
			block256(s->h, from);
			from += 64;
			n -= 64;
			continue;
		}
		s->block[at++] = *from++;
		n--;
		if (at == 64) {
			block256(s->h, s->block);
			at = 0;
		}
	}
}

void sha256_end(struct sha256 *s, uint8_t out[static 32])
{
	uint64_t bits = s->total * 8;
	uint8_t length[8];

	for (int i = 0; i < 8; i++)
		length[i] = (uint8_t)(bits >> (56 - 8 * i));
	sha256_add(s, "\x80", 1);
	while (s->total % 64 != 56)
		sha256_add(s, "", 1);
	sha256_add(s, length, 8);
	for (int i = 0; i < 32; i++)
		out[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i & 3)));
}

static void start512(struct sha512 *s, const uint64_t start[8])
{
	for (int i = 0; i < 8; i++)
		s->h[i] = start[i];
	s->total = 0;
}

void sha384_init(struct sha512 *s)
{
	static const uint64_t start[8] = { 0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17,
					   0x152fecd8f70e5939, 0x67332667ffc00b31, 0x8eb44a8768581511,
					   0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4 };

	start512(s, start);
}

void sha512_init(struct sha512 *s)
{
	static const uint64_t start[8] = { 0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b,
					   0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f,
					   0x1f83d9abfb41bd6b, 0x5be0cd19137e2179 };

	start512(s, start);
}

void sha512_add(struct sha512 *s, const void *p, size_t n)
{
	const uint8_t *from = p;
	size_t at = s->total % 128;

	s->total += n;
	while (n) {
		if (!at && n >= 128) {
			block512(s->h, from);
			from += 128;
			n -= 128;
			continue;
		}
		s->block[at++] = *from++;
		n--;
		if (at == 128) {
			block512(s->h, s->block);
			at = 0;
		}
	}
}

static void end512(struct sha512 *s, uint8_t *out, size_t size)
{
	uint64_t bits = s->total * 8;
	uint8_t length[16] = { 0 };

	for (int i = 0; i < 8; i++)
		length[8 + i] = (uint8_t)(bits >> (56 - 8 * i));
	sha512_add(s, "\x80", 1);
	while (s->total % 128 != 112)
		sha512_add(s, "", 1);
	sha512_add(s, length, 16);
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(s->h[i / 8] >> (56 - 8 * (i & 7)));
}

void sha384_end(struct sha512 *s, uint8_t out[static 48])
{
	end512(s, out, 48);
}

void sha512_end(struct sha512 *s, uint8_t out[static 64])
{
	end512(s, out, 64);
}

void sha256(const void *p, size_t n, uint8_t out[static 32])
{
	struct sha256 s;

	sha256_init(&s);
	sha256_add(&s, p, n);
	sha256_end(&s, out);
}

void sha384(const void *p, size_t n, uint8_t out[static 48])
{
	struct sha512 s;

	sha384_init(&s);
	sha512_add(&s, p, n);
	sha384_end(&s, out);
}

void sha512(const void *p, size_t n, uint8_t out[static 64])
{
	struct sha512 s;

	sha512_init(&s);
	sha512_add(&s, p, n);
	sha512_end(&s, out);
}
