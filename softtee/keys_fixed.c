// Keys from a seed and signatures that are the same each time (RFC 6979), for reproducible evidence.
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/obj_mac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "keys.h"

enum { DIGEST = 32 };

int key_from_seed(struct dev_key *k, const char *seed, const char *label, struct err *e)
{
	uint8_t d[P256_SCALAR], spki[P256_SPKI];
	char text[256];

	*k = (struct dev_key){ 0 };
	int n = snprintf(text, sizeof text, "dstack-forge:%s:%s", seed, label);
	if (n < 0 || n >= (int)sizeof text)
		return err_set(e, ERR_INPUT, "seed is too long");
	SHA256((const uint8_t *)text, (size_t)n, d);
	k->pkey = p256_from_scalar(d, e);
	if (!k->pkey || p256_spki(k->pkey, spki, e))
		return -1;
	memcpy(k->pub, spki + P256_SPKI - KEY_RAW, KEY_RAW);
	return 0;
}

struct drbg {
	uint8_t k[DIGEST], v[DIGEST];
};

static bool mac(struct drbg *g, uint8_t out[DIGEST], const uint8_t *msg, size_t n)
{
	return HMAC(EVP_sha256(), g->k, DIGEST, msg, n, out, NULL) != NULL;
}

// K = HMAC_K(V || tag || more), V = HMAC_K(V)
static bool stir(struct drbg *g, uint8_t tag, const uint8_t *more, size_t n)
{
	uint8_t msg[DIGEST + 1 + 2 * DIGEST];

	memcpy(msg, g->v, DIGEST);
	msg[DIGEST] = tag;
	if (n)
		memcpy(msg + DIGEST + 1, more, n);
	return mac(g, g->k, msg, DIGEST + 1 + n) && mac(g, g->v, g->v, DIGEST);
}

struct work {
	EC_GROUP *group;
	EC_POINT *point;
	BN_CTX *ctx;
	BIGNUM *d, *z, *k, *r, *s, *t;
};

// s = (z + r d) / k with r = x of k G. False when this k does not serve.
static bool with_nonce(struct work *w)
{
	const BIGNUM *n = EC_GROUP_get0_order(w->group);

	return !BN_is_zero(w->k) && BN_cmp(w->k, n) < 0 &&
	       EC_POINT_mul(w->group, w->point, w->k, NULL, NULL, w->ctx) == 1 &&
	       EC_POINT_get_affine_coordinates(w->group, w->point, w->r, NULL, w->ctx) == 1 &&
	       BN_nnmod(w->r, w->r, n, w->ctx) == 1 && !BN_is_zero(w->r) &&
	       BN_mod_mul(w->s, w->r, w->d, n, w->ctx) == 1 && BN_mod_add(w->s, w->s, w->z, n, w->ctx) == 1 &&
	       BN_mod_inverse(w->t, w->k, n, w->ctx) && BN_mod_mul(w->s, w->s, w->t, n, w->ctx) == 1 &&
	       !BN_is_zero(w->s);
}

static bool sign(struct work *w, const uint8_t d[DIGEST], const uint8_t digest[DIGEST], uint8_t sig[KEY_RAW])
{
	struct drbg g;
	uint8_t seed[2 * DIGEST];

	w->group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	w->ctx = BN_CTX_new();
	w->point = w->group ? EC_POINT_new(w->group) : NULL;
	if (!w->group || !w->ctx || !w->point)
		return false;
	BN_CTX_start(w->ctx);
	w->d = BN_CTX_get(w->ctx);
	w->z = BN_CTX_get(w->ctx);
	w->k = BN_CTX_get(w->ctx);
	w->r = BN_CTX_get(w->ctx);
	w->s = BN_CTX_get(w->ctx);
	w->t = BN_CTX_get(w->ctx);
	if (!w->t || !BN_bin2bn(d, DIGEST, w->d) || !BN_bin2bn(digest, DIGEST, w->z) ||
	    BN_nnmod(w->z, w->z, EC_GROUP_get0_order(w->group), w->ctx) != 1)
		return false;
	memset(g.k, 0, DIGEST);
	memset(g.v, 1, DIGEST);
	memcpy(seed, d, DIGEST);
	if (BN_bn2binpad(w->z, seed + DIGEST, DIGEST) != DIGEST || !stir(&g, 0, seed, sizeof seed) ||
	    !stir(&g, 1, seed, sizeof seed))
		return false;
	do {
		if (!mac(&g, g.v, g.v, DIGEST) || !BN_bin2bn(g.v, DIGEST, w->k))
			return false;
	} while (!with_nonce(w) && stir(&g, 0, NULL, 0));
	return BN_bn2binpad(w->r, sig, 32) == 32 && BN_bn2binpad(w->s, sig + 32, 32) == 32;
}

int key_sign_fixed(const struct dev_key *k, const void *msg, size_t n, uint8_t sig[static KEY_RAW],
		   struct err *e)
{
	struct work w = { 0 };
	uint8_t d[P256_SCALAR], digest[DIGEST];

	if (p256_scalar(k->pkey, d, e))
		return -1;
	SHA256(msg, n, digest);
	bool ok = sign(&w, d, digest, sig);
	EC_POINT_free(w.point);
	EC_GROUP_free(w.group);
	if (w.t)
		BN_CTX_end(w.ctx);
	BN_CTX_free(w.ctx);
	OPENSSL_cleanse(d, sizeof d);
	return ok ? 0 : err_ssl(e, ERR_SYSTEM, "sign");
}
