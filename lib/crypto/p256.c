#include "crypto/p256.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <string.h>

#include "crypto/kdf.h"
#include "crypto/ssl.h"

static void free_bn(BIGNUM **b)
{
	BN_clear_free(*b);
}

static void free_group(EC_GROUP **g)
{
	EC_GROUP_free(*g);
}

static void free_point(EC_POINT **p)
{
	EC_POINT_free(*p);
}

static void free_build(OSSL_PARAM_BLD **b)
{
	OSSL_PARAM_BLD_free(*b);
}

static void free_params(OSSL_PARAM **p)
{
	OSSL_PARAM_free(*p);
}

#define auto_bn     __attribute__((cleanup(free_bn)))
#define auto_group  __attribute__((cleanup(free_group)))
#define auto_point  __attribute__((cleanup(free_point)))
#define auto_build  __attribute__((cleanup(free_build)))
#define auto_params __attribute__((cleanup(free_params)))

EVP_PKEY *p256_new(struct err *e)
{
	EVP_PKEY *k = EVP_EC_gen("P-256");

	if (!k)
		err_ssl(e, ERR_SYSTEM, "make a P-256 key");
	return k;
}

// The public point of a scalar in 1..n-1; anything else is refused.
static int public_point(const uint8_t d[static P256_SCALAR], uint8_t point[static P256_POINT], struct err *e)
{
	auto_group EC_GROUP *g = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	auto_bn BIGNUM *s = BN_secure_new();
	auto_point EC_POINT *q = g ? EC_POINT_new(g) : NULL;

	if (!g || !s || !q || !BN_bin2bn(d, P256_SCALAR, s))
		return err_ssl(e, ERR_SYSTEM, "load P-256 scalar");
	BN_set_flags(s, BN_FLG_CONSTTIME);
	if (BN_is_zero(s) || BN_cmp(s, EC_GROUP_get0_order(g)) >= 0)
		return err_code(e, ERR_INPUT, "key.scalar",
				"P-256 scalar is zero or not below the order of the group");
	if (!EC_POINT_mul(g, q, s, NULL, NULL, NULL) ||
	    EC_POINT_point2oct(g, q, POINT_CONVERSION_UNCOMPRESSED, point, P256_POINT, NULL) != P256_POINT)
		return err_ssl(e, ERR_SYSTEM, "compute P-256 public key");
	return 0;
}

EVP_PKEY *p256_from_scalar(const uint8_t d[static P256_SCALAR], struct err *e)
{
	uint8_t point[P256_POINT];
	EVP_PKEY *k = NULL;

	if (public_point(d, point, e))
		return NULL;
	auto_bn BIGNUM *s = BN_secure_new();
	auto_build OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	auto_pctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (s && b && ctx && BN_bin2bn(d, P256_SCALAR, s) &&
	    OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, s) &&
	    OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point)) {
		auto_params OSSL_PARAM *p = OSSL_PARAM_BLD_to_param(b);
		if (p && EVP_PKEY_fromdata_init(ctx) == 1 &&
		    EVP_PKEY_fromdata(ctx, &k, EVP_PKEY_KEYPAIR, p) == 1)
			return k;
	}
	err_ssl(e, ERR_SYSTEM, "load P-256 key");
	return NULL;
}

static bool is_p256(const EVP_PKEY *k)
{
	char group[32] = "";

	return EVP_PKEY_is_a(k, "EC") && EVP_PKEY_get_group_name(k, group, sizeof group, NULL) == 1 &&
	       !strcmp(group, SN_X9_62_prime256v1);
}

// The form everybody uses: named curve, uncompressed point. OpenSSL's decoders take several times as long as
// checking that the point is on the curve.
static EVP_PKEY *from_usual_spki(struct span spki)
{
	static const uint8_t head[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
					0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
					0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };
	char group[] = "P-256";
	EVP_PKEY *k = NULL;

	if (spki.n != P256_SPKI || memcmp(spki.p, head, sizeof head))
		return NULL;
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
				OSSL_PARAM_construct_octet_string(
					OSSL_PKEY_PARAM_PUB_KEY,
					(void *)(uintptr_t)(spki.p + P256_SPKI - P256_POINT), P256_POINT),
				OSSL_PARAM_construct_end() };
	auto_pctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (ctx && EVP_PKEY_fromdata_init(ctx) == 1)
		(void)EVP_PKEY_fromdata(ctx, &k, EVP_PKEY_PUBLIC_KEY, params);
	if (!k)
		ERR_clear_error(); // the other way says why
	return k;
}

EVP_PKEY *p256_from_spki(struct span spki, struct err *e)
{
	const uint8_t *p = spki.p;
	EVP_PKEY *usual = from_usual_spki(spki);

	if (usual)
		return usual;
	auto_pkey EVP_PKEY *k = spki.n <= 1024 ? d2i_PUBKEY(NULL, &p, (long)spki.n) : NULL;

	if (!k) {
		err_ssl(e, ERR_INPUT, "read public key");
		return NULL;
	}
	if (p != spki.p + spki.n || !is_p256(k)) {
		err_set(e, ERR_INPUT, "read public key: not a P-256 SubjectPublicKeyInfo");
		return NULL;
	}
	return TAKE_SSL(k);
}

int p256_scalar(const EVP_PKEY *k, uint8_t d[static P256_SCALAR], struct err *e)
{
	BIGNUM *got = BN_secure_new();

	if (!got || EVP_PKEY_get_bn_param(k, OSSL_PKEY_PARAM_PRIV_KEY, &got) != 1 ||
	    BN_bn2binpad(got, d, P256_SCALAR) != P256_SCALAR) {
		BN_clear_free(got);
		return err_ssl(e, ERR_SYSTEM, "read P-256 scalar");
	}
	BN_clear_free(got);
	return 0;
}

// The file's public part must be that of its scalar: OpenSSL does not look.
EVP_PKEY *p256_from_pem(struct span pem, struct err *e)
{
	auto_bio BIO *in = pem.n <= 64 * 1024 ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	auto_pkey EVP_PKEY *k = in ? PEM_read_bio_PrivateKey_ex(in, NULL, NULL, NULL, NULL, NULL) : NULL;
	uint8_t d[P256_SCALAR];

	if (!k) {
		err_ssl(e, ERR_INPUT, "read private key");
		return NULL;
	}
	if (!is_p256(k)) {
		err_set(e, ERR_INPUT, "read private key: not P-256");
		return NULL;
	}
	if (p256_scalar(k, d, e))
		return NULL;
	auto_pkey EVP_PKEY *whole = p256_from_scalar(d, e);
	OPENSSL_cleanse(d, sizeof d);
	if (whole && EVP_PKEY_eq(whole, k) != 1) {
		err_set(e, ERR_INPUT, "read private key: its public part belongs to another key");
		return NULL;
	}
	return TAKE_SSL(whole);
}

// A key's own public part, uncompressed whatever its form was.
static int point_of(const EVP_PKEY *k, uint8_t point[static P256_POINT])
{
	auto_bn BIGNUM *x = NULL, *y = NULL;
	size_t n = 0;

	if (!is_p256(k))
		return -1;
	if (EVP_PKEY_get_octet_string_param(k, OSSL_PKEY_PARAM_PUB_KEY, point, P256_POINT, &n) == 1 &&
	    n == P256_POINT && point[0] == POINT_CONVERSION_UNCOMPRESSED)
		return 0;
	point[0] = POINT_CONVERSION_UNCOMPRESSED;
	return EVP_PKEY_get_bn_param(k, OSSL_PKEY_PARAM_EC_PUB_X, &x) == 1 &&
			       EVP_PKEY_get_bn_param(k, OSSL_PKEY_PARAM_EC_PUB_Y, &y) == 1 &&
			       BN_bn2binpad(x, point + 1, 32) == 32 && BN_bn2binpad(y, point + 33, 32) == 32
		       ? 0
		       : -1;
}

// RFC 5480. By hand: OpenSSL's encoder takes as long as the key's arithmetic.
int p256_spki(const EVP_PKEY *k, uint8_t spki[static P256_SPKI], struct err *e)
{
	static const uint8_t head[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
					0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
					0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00 };

	memcpy(spki, head, sizeof head);
	if (point_of(k, spki + sizeof head))
		return err_ssl(e, ERR_SYSTEM, "encode P-256 public key");
	return 0;
}

// RFC 5958 around RFC 5915, assembled by hand: derived secrets hash these very bytes.
static void pkcs8(const uint8_t *d, const uint8_t *point, uint8_t out[static P256_PKCS8])
{
	static const uint8_t head[] = { 0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06,
					0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
					0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
					0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20 };
	static const uint8_t mid[] = { 0xa1, 0x44, 0x03, 0x42, 0x00 };
	struct wr w = wr_to(out, P256_PKCS8);

	wr_put(&w, head, sizeof head);
	wr_put(&w, d, P256_SCALAR);
	wr_put(&w, mid, sizeof mid);
	wr_put(&w, point, P256_POINT);
}

int p256_pkcs8(const uint8_t d[static P256_SCALAR], uint8_t out[static P256_PKCS8], struct err *e)
{
	uint8_t point[P256_POINT];

	if (public_point(d, point, e))
		return -1;
	pkcs8(d, point, out);
	return 0;
}

int p256_to_pem(const EVP_PKEY *k, char out[static P256_PEM_MAX], struct err *e)
{
	uint8_t d[P256_SCALAR], point[P256_POINT], der[P256_PKCS8];
	int n = -1;

	if (p256_scalar(k, d, e))
		return -1;
	int bad = point_of(k, point);
	if (!bad)
		pkcs8(d, point, der);
	OPENSSL_cleanse(d, sizeof d);
	if (bad)
		return err_ssl(e, ERR_SYSTEM, "encode private key");
	auto_bio BIO *b = BIO_new(BIO_s_secmem());
	if (b && PEM_write_bio(b, "PRIVATE KEY", "", der, sizeof der) > 0)
		n = BIO_read(b, out, P256_PEM_MAX - 1);
	OPENSSL_cleanse(der, sizeof der);
	if (n <= 0)
		return err_ssl(e, ERR_SYSTEM, "encode private key");
	out[n] = 0;
	return 0;
}

int p256_derive(const uint8_t root[static P256_SCALAR], const struct span *parts, size_t n_parts,
		uint8_t child[static P256_SCALAR], struct err *e)
{
	uint8_t point[P256_POINT];

	if (kdf_derive(span_of(root, P256_SCALAR), parts, n_parts, child, P256_SCALAR, e) ||
	    public_point(child, point, e)) {
		OPENSSL_cleanse(child, P256_SCALAR);
		return err_wrap(e, "derive P-256 key");
	}
	return 0;
}

int p256_derive_secret(const uint8_t root[static P256_SCALAR], const struct span *parts, size_t n_parts,
		       uint8_t secret[static 32], struct err *e)
{
	uint8_t child[P256_SCALAR], der[P256_PKCS8];

	int bad = kdf_derive(span_of(root, P256_SCALAR), parts, n_parts, child, sizeof child, e) ||
		  p256_pkcs8(child, der, e);
	if (!bad)
		SHA256(der, sizeof der, secret);
	OPENSSL_cleanse(child, sizeof child);
	OPENSSL_cleanse(der, sizeof der);
	return bad ? err_wrap(e, "derive secret") : 0;
}

int p256_sign(EVP_PKEY *k, struct span msg, uint8_t sig[static P256_SIG_MAX], size_t *sig_len, struct err *e)
{
	uint8_t digest[32];

	SHA256(msg.p, msg.n, digest);
	return p256_sign_digest(k, digest, sig, sig_len, e);
}

int p256_sign_digest(EVP_PKEY *k, const uint8_t digest[static 32], uint8_t sig[static P256_SIG_MAX],
		     size_t *sig_len, struct err *e)
{
	auto_pctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k, NULL);

	*sig_len = P256_SIG_MAX;
	if (!ctx || EVP_PKEY_sign_init(ctx) != 1 || EVP_PKEY_sign(ctx, sig, sig_len, digest, 32) != 1)
		return err_ssl(e, ERR_SYSTEM, "sign with P-256");
	return 0;
}

int p256_verify(EVP_PKEY *k, struct span msg, struct span sig, struct err *e)
{
	auto_pctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k, NULL);
	uint8_t digest[32];

	SHA256(msg.p, msg.n, digest);
	if (!ctx || EVP_PKEY_verify_init(ctx) != 1)
		return err_ssl(e, ERR_SYSTEM, "verify P-256 signature");
	if (EVP_PKEY_verify(ctx, sig.p, sig.n, digest, sizeof digest) != 1)
		return err_ssl(e, ERR_UNTRUSTED, "verify P-256 signature");
	return 0;
}
