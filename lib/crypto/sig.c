#include "crypto/sig.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <string.h>

enum { PSS_SALT = 48, EXPONENT = 65537, POINT_MAX = 1 + 96, DER_SIG_MAX = 16 + 96 };

static EVP_PKEY *from_params(const char *type, OSSL_PARAM *param)
{
	EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (!maker || EVP_PKEY_fromdata_init(maker) != 1 ||
	    EVP_PKEY_fromdata(maker, &key, EVP_PKEY_PUBLIC_KEY, param) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(maker);
	return key;
}

static EVP_PKEY *ec_key(const char *name, struct span raw)
{
	char group[16];
	uint8_t point[POINT_MAX] = { 4 };

	memcpy(group, name, strlen(name) + 1);
	memcpy(point + 1, raw.p, raw.n);
	OSSL_PARAM param[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
			       OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, raw.n + 1),
			       OSSL_PARAM_construct_end() };
	return from_params("EC", param);
}

static EVP_PKEY *rsa_key(struct span modulus)
{
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM *n = BN_bin2bn(modulus.p, (int)modulus.n, NULL);
	OSSL_PARAM *param = NULL;
	EVP_PKEY *key = NULL;

	if (build && n && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_uint(build, OSSL_PKEY_PARAM_RSA_E, EXPONENT) == 1)
		param = OSSL_PARAM_BLD_to_param(build);
	if (param)
		key = from_params("RSA", param);
	OSSL_PARAM_free(param);
	BN_free(n);
	OSSL_PARAM_BLD_free(build);
	return key;
}

// SEQUENCE { r, s } of r || s; 0 when that cannot be made.
static size_t der_signature(struct span raw, uint8_t out[DER_SIG_MAX])
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(raw.p, (int)raw.n / 2, NULL);
	BIGNUM *s = BN_bin2bn(raw.p + raw.n / 2, (int)raw.n / 2, NULL);
	int n = 0;

	if (!sig || !r || !s || ECDSA_SIG_set0(sig, r, s) != 1) {
		BN_free(r);
		BN_free(s);
	} else if (i2d_ECDSA_SIG(sig, NULL) <= DER_SIG_MAX) {
		n = i2d_ECDSA_SIG(sig, &out);
	}
	ECDSA_SIG_free(sig);
	return n > 0 ? (size_t)n : 0;
}

static bool set_pss(EVP_PKEY_CTX *ctx)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, PSS_SALT) == 1 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, "SHA384", NULL) == 1;
}

bool sig_verify(const struct sig_check *c)
{
	uint8_t der[DER_SIG_MAX];
	EVP_PKEY *key;
	EVP_PKEY_CTX *ctx = NULL;
	struct span sig = c->sig;
	bool is_rsa = c->alg == SIG_RSA_PSS_SHA384, is_256 = c->alg == SIG_P256_SHA256;

	if (!sig_check_is_sound(c))
		return false;
	if (!is_rsa)
		sig = span_of(der, der_signature(c->sig, der));
	key = is_rsa ? rsa_key(c->key) : ec_key(is_256 ? "prime256v1" : "secp384r1", c->key);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok =
		key && md && sig.n &&
		EVP_DigestVerifyInit_ex(md, &ctx, is_256 ? "SHA256" : "SHA384", NULL, NULL, key, NULL) == 1 &&
		(!is_rsa || set_pss(ctx)) && EVP_DigestVerify(md, sig.p, sig.n, c->msg.p, c->msg.n) == 1;
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ok;
}
