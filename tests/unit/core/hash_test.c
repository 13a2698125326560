// Known answers of FIPS 180-4, FIPS 202 and Ethereum, and OpenSSL as oracle over all lengths around block
// ends.
#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/evp.h>

#include "core/codec/hex.h"
#include "core/hash/keccak.h"
#include "core/hash/sha2.h"

static void check_hex(const uint8_t *got, size_t n, const char *want)
{
	uint8_t bytes[64];

	assert_int_equal(hex_decode(bytes, n, span_str(want)), 0);
	assert_memory_equal(got, bytes, n);
}

static void known_answers(void **state)
{
	uint8_t d[64];

	(void)state;
	sha256("abc", 3, d);
	check_hex(d, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha384("abc", 3, d);
	check_hex(d, 48,
		  "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134"
		  "c825a7");
	sha512("", 0, d);
	check_hex(d, 64,
		  "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d287"
		  "7eec2f"
		  "63b931bd47417a81a538327af927da3e");
	keccak256("", 0, d);
	check_hex(d, 32, "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
	keccak256("testing", 7, d);
	check_hex(d, 32, "5f16f4c7f149ac4f9510d9cf8cf384038ad348b3bcdc01915f95de12df9d1b02");
	keccak384("", 0, d);
	check_hex(d, 48,
		  "2c23146a63a29acf99e73b88f8c24eaa7dc60aa771780ccc006afbfa8fe2479b2dd2b21362337441ac12b51591"
		  "1957ff");
	keccak512("", 0, d);
	check_hex(d, 64,
		  "0eab42de4c3ceb9235fc91acffe746b29c29a8c366b7c60e4e67c466f36a4304c00fa9caf9d87976ba469bcbe0"
		  "6713b4"
		  "35f091ef2769fb160cdab33d3670680e");
	sha3_256("abc", 3, d);
	check_hex(d, 32, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532");
}

static void against_openssl(void **state)
{
	static const struct {
		const char *name;
		void (*fn)(const void *, size_t, uint8_t *);
		size_t size;
	} algs[] = {
		{ "SHA256", sha256, 32 },     { "SHA384", sha384, 48 },     { "SHA512", sha512, 64 },
		{ "SHA3-256", sha3_256, 32 }, { "SHA3-384", sha3_384, 48 }, { "SHA3-512", sha3_512, 64 }
	};
	uint8_t in[600], got[64], want[64];
	unsigned int n;

	(void)state;
	for (size_t i = 0; i < sizeof in; i++)
		in[i] = (uint8_t)(i * 7 + i / 256);
	for (size_t a = 0; a < sizeof algs / sizeof *algs; a++) {
		const EVP_MD *md = EVP_get_digestbyname(algs[a].name);
		assert_non_null(md);
		for (size_t len = 0; len <= sizeof in; len++) {
			algs[a].fn(in, len, got);
			assert_int_equal(EVP_Digest(in, len, want, &n, md, NULL), 1);
			assert_int_equal(n, algs[a].size);
			assert_memory_equal(got, want, n);
		}
	}
}

static void in_pieces(void **state)
{
	uint8_t in[700], whole[64], got[64];
	struct sha256 a;
	struct sha512 b, c;

	(void)state;
	memset(in, 0x5a, sizeof in);
	for (size_t step = 1; step < 200; step += 13) {
		sha256_init(&a);
		sha384_init(&b);
		sha512_init(&c);
		for (size_t at = 0; at < sizeof in; at += step) {
			size_t n = sizeof in - at < step ? sizeof in - at : step;
			sha256_add(&a, in + at, n);
			sha512_add(&b, in + at, n);
			sha512_add(&c, in + at, n);
		}
		sha256(in, sizeof in, whole);
		sha256_end(&a, got);
		assert_memory_equal(got, whole, 32);
		sha384(in, sizeof in, whole);
		sha384_end(&b, got);
		assert_memory_equal(got, whole, 48);
		sha512(in, sizeof in, whole);
		sha512_end(&c, got);
		assert_memory_equal(got, whole, 64);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(against_openssl),
		cmocka_unit_test(in_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
