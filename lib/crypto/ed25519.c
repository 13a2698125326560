#include "crypto/ed25519.h"

#include <openssl/err.h>
#include <sodium.h>

#include "crypto/ssl.h"

static EVP_PKEY *private_key(const uint8_t seed[static ED25519_SEED], struct err *e)
{
	EVP_PKEY *k = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, ED25519_SEED);

	if (!k)
		err_ssl(e, ERR_SYSTEM, "use an ed25519 key");
	return k;
}

int ed25519_public(const uint8_t seed[static ED25519_SEED], uint8_t pub[static ED25519_PUB], struct err *e)
{
	auto_pkey EVP_PKEY *k = private_key(seed, e);
	size_t n = ED25519_PUB;

	if (!k)
		return -1;
	if (EVP_PKEY_get_raw_public_key(k, pub, &n) != 1 || n != ED25519_PUB)
		return err_ssl(e, ERR_SYSTEM, "derive an ed25519 public key");
	return 0;
}

int ed25519_sign(const uint8_t seed[static ED25519_SEED], struct span msg, uint8_t sig[static ED25519_SIG],
		 struct err *e)
{
	auto_pkey EVP_PKEY *k = private_key(seed, e);
	auto_mdctx EVP_MD_CTX *c = EVP_MD_CTX_new();
	size_t n = ED25519_SIG;

	if (!k)
		return -1;
	if (!c || EVP_DigestSignInit(c, NULL, NULL, NULL, k) != 1 ||
	    EVP_DigestSign(c, sig, &n, msg.n ? msg.p : (const uint8_t *)"", msg.n) != 1 || n != ED25519_SIG)
		return err_ssl(e, ERR_SYSTEM, "sign with ed25519");
	return 0;
}

// Adding decodes both points and asks no more of them; OpenSSL would only say that no signature holds.
bool ed25519_is_point(const uint8_t pub[static ED25519_PUB])
{
	uint8_t sum[crypto_core_ed25519_BYTES];

	return crypto_core_ed25519_add(sum, pub, pub) == 0;
}

bool ed25519_is_key(const uint8_t pub[static ED25519_PUB])
{
	return crypto_core_ed25519_is_valid_point(pub) == 1;
}

int ed25519_verify(const uint8_t pub[static ED25519_PUB], struct span msg,
		   const uint8_t sig[static ED25519_SIG], bool *valid, struct err *e)
{
	auto_pkey EVP_PKEY *k = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pub, ED25519_PUB);
	auto_mdctx EVP_MD_CTX *c = EVP_MD_CTX_new();

	if (!k || !c || EVP_DigestVerifyInit(c, NULL, NULL, NULL, k) != 1)
		return err_ssl(e, ERR_SYSTEM, "verify with ed25519");
	*valid = EVP_DigestVerify(c, sig, ED25519_SIG, msg.n ? msg.p : (const uint8_t *)"", msg.n) == 1;
	ERR_clear_error();
	return 0;
}
