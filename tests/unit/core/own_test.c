// The core's own engine. Vectors that nobody here made; RSASSA-PSS against OpenSSL: keys of three sizes,
// every form of padding made by hand and then raised to the private exponent, and AMD's signature over a
// genuine VCEK.
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "core/codec/hex.h"
#include "core/sig/ecdsa.h"
#include "core/sig/own.h"
#include "core/sig/rsa.h"
#include "crypto/sig.h"

enum { HASH = 48 };

struct key {
	size_t n;
	EVP_PKEY *pkey;
	BIGNUM *modulus, *secret;
	BN_CTX *ctx;
	uint8_t bytes[SIG_KEY_MAX];
};

static void open_key(struct key *k, unsigned bits)
{
	*k = (struct key){ .n = bits / 8, .pkey = EVP_RSA_gen(bits), .ctx = BN_CTX_new() };
	assert_non_null(k->pkey);
	assert_int_equal(EVP_PKEY_get_bn_param(k->pkey, OSSL_PKEY_PARAM_RSA_N, &k->modulus), 1);
	assert_int_equal(EVP_PKEY_get_bn_param(k->pkey, OSSL_PKEY_PARAM_RSA_D, &k->secret), 1);
	BN_bn2binpad(k->modulus, k->bytes, (int)k->n);
}

static void close_key(struct key *k)
{
	EVP_PKEY_free(k->pkey);
	BN_free(k->modulus);
	BN_free(k->secret);
	BN_CTX_free(k->ctx);
}

static struct sig_check check_of(const struct key *k, struct span msg, const uint8_t *sig)
{
	return (struct sig_check){ REASON_QUOTE_SIGNATURE, SIG_RSA_PSS_SHA384, msg, span_of(k->bytes, k->n),
				   span_of(sig, k->n) };
}

static bool agree(const struct sig_check *c)
{
	bool want = sig_verify(c), got = sig_own(c);

	assert_int_equal(want, got);
	return got;
}

static void sign(const struct key *k, struct span msg, int salt, uint8_t *sig)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx;
	size_t n = k->n;

	assert_int_equal(EVP_DigestSignInit_ex(md, &ctx, "SHA384", NULL, NULL, k->pkey, NULL), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt), 1);
	assert_int_equal(EVP_DigestSign(md, sig, &n, msg.p, msg.n), 1);
	EVP_MD_CTX_free(md);
}

static void raise_to_secret(const struct key *k, const uint8_t *em, uint8_t *sig)
{
	BIGNUM *v = BN_bin2bn(em, (int)k->n, NULL);

	BN_mod_exp(v, v, k->secret, k->modulus, k->ctx);
	BN_bn2binpad(v, sig, (int)k->n);
	BN_free(v);
}

static void good_and_flipped(const struct key *k)
{
	uint8_t sig[SIG_MAX], bad[SIG_MAX], msg[100] = "what is signed";

	for (unsigned i = 0; i < 40; i++) {
		struct sig_check c = check_of(k, span_of(msg, i), sig);

		sign(k, c.msg, HASH, sig);
		assert_true(agree(&c));
		memcpy(bad, sig, k->n);
		bad[i * 7 % k->n] ^= (uint8_t)(1 << i % 8);
		c.sig.p = bad;
		assert_false(agree(&c));
		c.sig.p = sig;
		msg[i]++;
		c.msg.n++;
		assert_false(agree(&c));
	}
	struct sig_check c = check_of(k, span_of(msg, 9), sig);

	for (int salt = 0; salt <= 64; salt += 16) {
		sign(k, c.msg, salt, sig);
		assert_int_equal(agree(&c), salt == HASH);
	}
}

// The encoded message taken apart and put together with one thing wrong: tail, top bit, padding, mark, hash.
static void padding(const struct key *k)
{
	static const size_t at[] = { 0, 1, 50, 0, 0, 0 };
	uint8_t sig[SIG_MAX], em[SIG_MAX], bad[SIG_MAX];
	struct span msg = span_str("message");
	BIGNUM *v = BN_new(), *e = BN_new();

	sign(k, msg, HASH, sig);
	BN_bin2bn(sig, (int)k->n, v);
	BN_set_word(e, 65537);
	BN_mod_exp(v, v, e, k->modulus, k->ctx);
	BN_bn2binpad(v, em, (int)k->n);
	assert_int_equal(em[k->n - 1], 0xbc);
	for (unsigned i = 0; i < 6 + 200; i++) {
		struct sig_check c = check_of(k, msg, bad);
		uint8_t other[SIG_MAX];

		memcpy(other, em, k->n);
		if (i < 3)
			other[at[i]] ^= 1;
		else if (i == 3)
			other[k->n - 1] ^= 1;
		else if (i == 4)
			other[k->n - 2 * HASH - 2] ^= 1; // the mark before the salt
		else if (i == 6)
			other[0] |= 0x80; // still below the modulus, whose first two bits are set
		else if (i > 6)
			other[i * 37 % k->n] ^= (uint8_t)(1 << i % 7);
		raise_to_secret(k, other, bad);
		assert_int_equal(agree(&c), i == 5);
	}
	BN_free(v);
	BN_free(e);
}

static void edges(const struct key *k)
{
	uint8_t sig[SIG_MAX];
	struct sig_check c = check_of(k, span_str("message"), sig);
	BIGNUM *v = BN_new();

	sign(k, c.msg, HASH, sig);
	BN_bin2bn(sig, (int)k->n, v);
	if (BN_add(v, v, k->modulus) && BN_num_bytes(v) == (int)k->n) { // the same modulo n
		BN_bn2binpad(v, sig, (int)k->n);
		assert_false(agree(&c));
	}
	for (int i = -1; i <= 1; i++) {
		BN_copy(v, k->modulus);
		if (i > 0)
			BN_add_word(v, 1);
		else if (i)
			BN_sub_word(v, 1);
		BN_bn2binpad(v, sig, (int)k->n);
		assert_false(agree(&c));
	}
	memset(sig, 0, sizeof sig);
	assert_false(agree(&c));
	sig[k->n - 1] = 1;
	assert_false(agree(&c));
	memset(sig, 0xff, sizeof sig);
	assert_false(agree(&c));
	BN_free(v);
}

static void all_sizes(void **state)
{
	static const unsigned bits[] = { 2048, 3072, 4096 };

	(void)state;
	for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
		struct key k;

		open_key(&k, bits[i]);
		good_and_flipped(&k);
		edges(&k);
		if (i == 0)
			padding(&k);
		close_key(&k);
	}
}

// Lengths and keys outside the profile are refused before any arithmetic.
static void unsound(void **state)
{
	uint8_t key[SIG_KEY_MAX + 128], sig[SIG_MAX + 128] = { 0 };
	struct sig_check c = { REASON_OK, SIG_RSA_PSS_SHA384, span_str("m"), span_of(key, 512),
			       span_of(sig, 512) };

	(void)state;
	memset(key, 0xff, sizeof key);
	assert_false(sig_own(&c));
	c.key.n = c.sig.n = 640;
	assert_false(sig_own(&c));
	c.key.n = c.sig.n = 128;
	assert_false(sig_own(&c));
	c.key.n = 512;
	c.sig.n = 511;
	assert_false(sig_own(&c));
	c.sig.n = 512;
	key[0] = 0x7f;
	assert_false(sig_own(&c));
	key[0] = 0xff;
	key[511] = 0xfe; // even
	assert_false(sig_own(&c));
	c.key.n = c.sig.n = 500;
	assert_false(sig_own(&c));
	c.alg = (enum sig_alg)7;
	assert_false(sig_own(&c));
	key[0] = key[511] = 0xff; // the same asked of the function itself
	for (size_t n = 0; n <= sizeof key; n += 20)
		assert_false(rsa_pss_sha384(span_of(key, n), c.msg, span_of(sig, n)));
	assert_false(rsa_pss_sha384(span_of(key, 512), c.msg, span_of(sig, 511)));
	key[511] = 0xfe;
	assert_false(rsa_pss_sha384(span_of(key, 512), c.msg, span_of(sig, 512)));
	key[0] = 0x7f;
	assert_false(rsa_pss_sha384(span_of(key, 512), c.msg, span_of(sig, 512)));
}

static X509 *certificate(const char *name)
{
	char path[512];

	snprintf(path, sizeof path, EVIDENCE_DIR "/real/dstack/dstack-attest/%s", name);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	X509 *x = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	assert_non_null(x);
	return x;
}

static void amd_signs_a_vcek(void **state)
{
	X509 *ask = certificate("sev_snp_ask.pem"), *vcek = certificate("sev_snp_vcek.pem");
	const ASN1_BIT_STRING *sig;
	BIGNUM *modulus = NULL;
	uint8_t key[SIG_KEY_MAX], *tbs = NULL;
	int n = i2d_re_X509_tbs(vcek, &tbs);

	(void)state;
	assert_int_equal(EVP_PKEY_get_bn_param(X509_get0_pubkey(ask), OSSL_PKEY_PARAM_RSA_N, &modulus), 1);
	assert_int_equal(BN_bn2binpad(modulus, key, sizeof key), sizeof key);
	X509_get0_signature(&sig, NULL, vcek);
	struct sig_check c = { REASON_OK, SIG_RSA_PSS_SHA384, span_of(tbs, (size_t)n),
			       span_of(key, sizeof key), span_of(sig->data, (size_t)sig->length) };
	assert_true(agree(&c));
	tbs[n / 2] ^= 1;
	assert_false(agree(&c));
	OPENSSL_free(tbs);
	BN_free(modulus);
	X509_free(ask);
	X509_free(vcek);
}

static bool unhex(uint8_t *out, size_t n, const char *text)
{
	return !hex_decode(out, n, span_str(text));
}

// RFC 6979, appendices A.2.5 and A.2.6, "sample": vectors that neither of the two engines made.
static void known_answers(void **state)
{
	uint8_t key[96], sig[96];

	(void)state;
	assert_true(unhex(key, 64,
			  "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
			  "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"));
	assert_true(unhex(sig, 64,
			  "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
			  "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"));
	assert_true(ecdsa_p256_sha256(key, span_str("sample"), sig));
	assert_false(ecdsa_p256_sha256(key, span_str("Sample"), sig));
	assert_true(unhex(key, 96,
			  "ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea905586"
			  "6064a254515480bc13"
			  "8015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4"
			  "fe7344fd2533264720"));
	assert_true(unhex(sig, 96,
			  "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44ac"
			  "f96e36dd1e80fabe46"
			  "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e67"
			  "9e7b82c71a38628ac8"));
	assert_true(ecdsa_p384_sha384(key, span_str("sample"), sig));
	sig[95] ^= 1;
	assert_false(ecdsa_p384_sha384(key, span_str("sample"), sig));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(all_sizes),
		cmocka_unit_test(unsound),
		cmocka_unit_test(amd_signs_a_vcek),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
