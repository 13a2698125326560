#include "crypto/seal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "crypto/ssl.h"

enum { IV = 12, TAG = 16 };

int seal_public(const uint8_t secret[static SEAL_KEY], uint8_t pub[static SEAL_KEY], struct err *e)
{
	auto_pkey EVP_PKEY *k = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, SEAL_KEY);
	size_t n = SEAL_KEY;

	if (!k || EVP_PKEY_get_raw_public_key(k, pub, &n) != 1)
		return err_ssl(e, ERR_SYSTEM, "compute X25519 public key");
	return 0;
}

// RFC 7748 section 6.1: OpenSSL refuses an all-zero result, which only a hostile public key gives.
static int shared(EVP_PKEY *own, const uint8_t peer[static SEAL_KEY], uint8_t key[static 32], struct err *e)
{
	auto_pkey EVP_PKEY *p = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, peer, SEAL_KEY);
	auto_pctx EVP_PKEY_CTX *ctx = own ? EVP_PKEY_CTX_new(own, NULL) : NULL;
	static const uint8_t zero[32];
	size_t n = 32;

	if (!p || !ctx || EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_derive_set_peer(ctx, p) != 1 ||
	    EVP_PKEY_derive(ctx, key, &n) != 1 || !CRYPTO_memcmp(key, zero, sizeof zero))
		return err_ssl(e, ERR_UNTRUSTED, "agree on a key with X25519");
	return 0;
}

static int gcm_seal(const uint8_t key[static 32], const uint8_t *iv, struct span plain, uint8_t *out,
		    struct err *e)
{
	auto_cipher EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0;

	if (!c || EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, iv) != 1 ||
	    EVP_EncryptUpdate(c, out, &n, plain.p, (int)plain.n) != 1 ||
	    EVP_EncryptFinal_ex(c, out + n, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, out + plain.n) != 1)
		return err_ssl(e, ERR_SYSTEM, "encrypt with AES-256-GCM");
	return 0;
}

static int gcm_open(const uint8_t key[static 32], const uint8_t *iv, struct span ct, const uint8_t *tag,
		    uint8_t *out, struct err *e)
{
	auto_cipher EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t want[TAG];
	int n = 0;

	for (size_t i = 0; i < sizeof want; i++)
		want[i] = tag[i];
	if (!c || EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, iv) != 1 ||
	    EVP_DecryptUpdate(c, out, &n, ct.p, (int)ct.n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, want) != 1)
		return err_ssl(e, ERR_SYSTEM, "decrypt with AES-256-GCM");
	if (EVP_DecryptFinal_ex(c, out + n, &n) != 1) {
		OPENSSL_cleanse(out, ct.n);
		return err_code(e, ERR_UNTRUSTED, "seal.tag", "sealed bytes do not open with this key");
	}
	return 0;
}

int seal_encrypt(const uint8_t pub[static SEAL_KEY], struct span plain, uint8_t *out, struct err *e)
{
	auto_pkey EVP_PKEY *own = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	uint8_t key[32], *iv = out + SEAL_KEY;
	size_t n = SEAL_KEY;

	if (plain.n > SEAL_MAX - SEAL_OVERHEAD)
		return err_set(e, ERR_INPUT, "seal %zu bytes: the limit is %d", plain.n,
			       SEAL_MAX - SEAL_OVERHEAD);
	if (!own || EVP_PKEY_get_raw_public_key(own, out, &n) != 1 || RAND_bytes(iv, IV) != 1)
		return err_ssl(e, ERR_SYSTEM, "make an X25519 key");
	int bad = shared(own, pub, key, e) || gcm_seal(key, iv, plain, iv + IV, e);
	OPENSSL_cleanse(key, sizeof key);
	return bad ? err_wrap(e, "seal") : 0;
}

int seal_decrypt(const uint8_t secret[static SEAL_KEY], struct span box, uint8_t *out, struct err *e)
{
	auto_pkey EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, SEAL_KEY);
	struct rd r = rd_span(box);
	uint8_t key[32];

	if (box.n < SEAL_OVERHEAD || box.n > SEAL_MAX)
		return err_code(e, ERR_INPUT, "seal.size", "sealed bytes: %zu is not within %d..%d", box.n,
				SEAL_OVERHEAD, SEAL_MAX);
	struct span peer = rd_bytes(&r, SEAL_KEY), iv = rd_bytes(&r, IV);
	struct span ct = rd_bytes(&r, box.n - SEAL_OVERHEAD), tag = rd_bytes(&r, TAG);
	int bad = shared(own, peer.p, key, e) || gcm_open(key, iv.p, ct, tag.p, out, e);
	OPENSSL_cleanse(key, sizeof key);
	return bad ? err_wrap(e, "open sealed bytes") : 0;
}
