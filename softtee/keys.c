#include "keys.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/file.h"
#include "crypto/ssl.h"

static int read_public(struct dev_key *k, struct err *e)
{
	uint8_t point[1 + KEY_RAW];
	size_t n;

	if (!EVP_PKEY_get_octet_string_param(k->pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &n) ||
	    n != sizeof point || point[0] != 4)
		return err_ssl(e, ERR_INPUT, "not a P-256 key");
	memcpy(k->pub, point + 1, KEY_RAW);
	return 0;
}

int key_make(struct dev_key *k, struct err *e)
{
	k->pkey = EVP_EC_gen("P-256");
	if (!k->pkey)
		return err_ssl(e, ERR_SYSTEM, "make a P-256 key");
	return read_public(k, e);
}

int key_load(struct dev_key *k, const char *path, struct err *e)
{
	auto_secret *pem = NULL;

	*k = (struct dev_key){ 0 };
	if (file_read_secret(path, 4096, &pem, e))
		return -1;
	BIO *bio = BIO_new_mem_buf(pem->b, (int)pem->n);
	if (bio)
		k->pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (!k->pkey)
		return err_ssl(e, ERR_INPUT, "read key %s", path);
	return read_public(k, e);
}

int key_save(const struct dev_key *k, const char *path, struct err *e)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char *text;
	int rc = -1;

	if (!bio || !PEM_write_bio_PKCS8PrivateKey(bio, k->pkey, NULL, NULL, 0, NULL, NULL)) {
		err_ssl(e, ERR_SYSTEM, "write key %s", path);
	} else {
		long n = BIO_get_mem_data(bio, &text);
		rc = file_write_new(path, 0600, text, (size_t)n, e);
	}
	BIO_free(bio);
	return rc;
}

void key_free(struct dev_key *k)
{
	EVP_PKEY_free(k->pkey);
	*k = (struct dev_key){ 0 };
}

int key_sign_der(const struct dev_key *k, const void *msg, size_t n, uint8_t sig[static KEY_SIG_DER_MAX],
		 size_t *sign, struct err *e)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k->pkey) == 1;

	*sign = KEY_SIG_DER_MAX;
	ok = ok && EVP_DigestSign(ctx, sig, sign, msg, n) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? 0 : err_ssl(e, ERR_SYSTEM, "sign");
}

int key_sign_raw(const struct dev_key *k, const void *msg, size_t n, uint8_t sig[static KEY_RAW],
		 struct err *e)
{
	uint8_t der[KEY_SIG_DER_MAX];
	const uint8_t *p = der;
	size_t len;

	if (key_sign_der(k, msg, n, der, &len, e))
		return -1;
	ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)len);
	int ok = s && BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, 32) == 32 &&
		 BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + 32, 32) == 32;
	ECDSA_SIG_free(s);
	return ok ? 0 : err_ssl(e, ERR_SYSTEM, "sign");
}

void key_id(const struct dev_key *k, uint8_t id[static KEY_ID])
{
	uint8_t point[1 + KEY_RAW] = { 4 };

	memcpy(point + 1, k->pub, KEY_RAW);
	SHA1(point, sizeof point, id);
}
