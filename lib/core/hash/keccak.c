#include "core/hash/keccak.h"

// FIPS 202 section 3.2.5: the round constants, the rotation of each lane on its way, and the way.
// clang-format off
static const uint64_t round_constant[24] = {
	0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
	0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
	0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
	0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
	0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
	0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};
static const uint8_t rotation[24] = { 1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56, 8, 25, 43, 62, 18, 39, 61, 20, 44 };
static const uint8_t lane[24] = { 10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1 };
// clang-format on

static uint64_t rol(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static void permute(uint64_t a[25])
{
	for (int r = 0; r < 24; r++) {
		uint64_t c[5], t;
		for (int i = 0; i < 5; i++)
			c[i] = a[i] ^ a[i + 5] ^ a[i + 10] ^ a[i + 15] ^ a[i + 20];
		for (int i = 0; i < 25; i++)
			a[i] ^= c[(i + 4) % 5] ^ rol(c[(i + 1) % 5], 1);
		t = a[1];
		for (int i = 0; i < 24; i++) {
			uint64_t u = a[lane[i]];
			a[lane[i]] = rol(t, rotation[i]);
			t = u;
		}
		for (int y = 0; y < 25; y += 5) {
			for (int i = 0; i < 5; i++)
				c[i] = a[y + i];
			for (int i = 0; i < 5; i++)
				a[y + i] = c[i] ^ (~c[(i + 1) % 5] & c[(i + 2) % 5]);
		}
		a[0] ^= round_constant[r];
	}
}

static void put(uint64_t a[25], size_t at, uint8_t byte)
{
	a[at / 8] ^= (uint64_t)byte << at % 8 * 8;
}

// `pad` is 0x01 for original Keccak, 0x06 for SHA-3.
static void sponge(const void *p, size_t n, uint8_t pad, uint8_t *out, size_t size)
{
	const uint8_t *from = p;
	uint64_t a[25] = { 0 };
	size_t rate = 200 - 2 * size, at = 0;

	for (size_t i = 0; i < n; i++) {
		put(a, at++, from[i]);
		if (at == rate) {
			permute(a);
			at = 0;
		}
	}
	put(a, at, pad);
	put(a, rate - 1, 0x80);
	permute(a);
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(a[i / 8] >> i % 8 * 8);
}

void keccak256(const void *p, size_t n, uint8_t out[static 32])
{
	sponge(p, n, 1, out, 32);
}

void keccak384(const void *p, size_t n, uint8_t out[static 48])
{
	sponge(p, n, 1, out, 48);
}

void keccak512(const void *p, size_t n, uint8_t out[static 64])
{
	sponge(p, n, 1, out, 64);
}

void sha3_256(const void *p, size_t n, uint8_t out[static 32])
{
	sponge(p, n, 6, out, 32);
}

void sha3_384(const void *p, size_t n, uint8_t out[static 48])
{
	sponge(p, n, 6, out, 48);
}

void sha3_512(const void *p, size_t n, uint8_t out[static 64])
{
	sponge(p, n, 6, out, 64);
}
