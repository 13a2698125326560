#include "keystore.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "base/time.h"
#include "crypto/issue.h"
#include "crypto/k256.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "keyfiles.h"

static const int64_t year = 365 * INT64_C(86400);

const struct roots *keystore_roots(const struct keystore *s)
{
	return (const struct roots *)(const void *)s->secret->b;
}

static int load_roots(struct keystore *s, const char *dir, struct err *e)
{
	auto_secret *k256 = NULL;
	struct roots *r;

	s->secret = secret_new(sizeof *r);
	s->ca_key = s->secret ? keyfiles_read_key(dir, "root-ca.key", e) : NULL;
	if (!s->secret)
		return err_set(e, ERR_SYSTEM, "out of locked memory");
	if (!s->ca_key || keyfiles_read_secret(dir, "root-k256.key", &k256, e))
		return -1;
	if (k256->n != K256_SCALAR)
		return err_set(e, ERR_INPUT, "%s/root-k256.key has %zu bytes, not 32", dir, k256->n);
	r = (struct roots *)(void *)s->secret->b;
	memcpy(r->k256, k256->b, K256_SCALAR);
	if (p256_scalar(s->ca_key, r->ca, e) || p256_spki(s->ca_key, s->ca_spki, e))
		return -1;
	return k256_public(r->k256, s->k256_pub, e);
}

static int load_ca_cert(struct keystore *s, const char *dir, struct err *e)
{
	uint8_t spki[CERT_SPKI_MAX];
	size_t n = 0;

	s->ca_cert = keyfiles_read_cert(dir, "root-ca.crt", e);
	if (!s->ca_cert || cert_spki(s->ca_cert, spki, &n, e))
		return -1;
	if (n != sizeof s->ca_spki || CRYPTO_memcmp(spki, s->ca_spki, n))
		return err_code(e, ERR_INPUT, "kms.ca_mismatch",
				"CA certificate does not match private key in %s", dir);
	return 0;
}

int keystore_open(struct keystore *s, const struct keystore_config *c, struct err *e)
{
	*s = (struct keystore){ 0 };
	if (keyfiles_state(c->dir, e) == KEYFILES_NONE)
		return err_code(e, ERR_ABSENT, "kms.no_keys", "%s has no keys", c->dir);
	if (keyfiles_state(c->dir, e) != KEYFILES_ALL || load_roots(s, c->dir, e) ||
	    load_ca_cert(s, c->dir, e)) {
		keystore_close(s);
		return err_wrap(e, "open keys");
	}
	return 0;
}

void keystore_close(struct keystore *s)
{
	secret_free(s->secret);
	EVP_PKEY_free(s->ca_key);
	EVP_PKEY_free(s->rpc_key);
	X509_free(s->ca_cert);
	*s = (struct keystore){ 0 };
}

static bool ends_soon(const X509 *c)
{
	time_t limit = (time_t)((int64_t)time_now() + year);

	return X509_cmp_time(X509_get0_notAfter(c), &limit) <= 0;
}

static int renew_ca(struct keystore *s, const char *dir, struct err *e)
{
	if (!ends_soon(s->ca_cert))
		return 0;
	X509 *fresh = keyfiles_root_cert(s->ca_key, e);
	if (!fresh || keyfiles_write_cert(dir, "root-ca.crt", fresh, e)) {
		X509_free(fresh);
		return -1;
	}
	X509_free(s->ca_cert);
	s->ca_cert = fresh;
	return 0;
}

static int renew_temp_ca(const char *dir, struct err *e)
{
	auto_x509 X509 *was = keyfiles_read_cert(dir, "tmp-ca.crt", e);

	if (!was)
		return -1;
	if (!ends_soon(was))
		return 0;
	auto_pkey EVP_PKEY *key = keyfiles_read_key(dir, "tmp-ca.key", e);
	auto_x509 X509 *fresh = key ? keyfiles_temp_ca_cert(key, e) : NULL;
	return fresh ? keyfiles_write_cert(dir, "tmp-ca.crt", fresh, e) : -1;
}

int keystore_renew(struct keystore *s, const struct keystore_config *c, struct err *e)
{
	s->rpc_key = keyfiles_read_key(c->dir, "rpc.key", e);
	if (!s->rpc_key || renew_ca(s, c->dir, e) || renew_temp_ca(c->dir, e))
		return err_wrap(e, "renew certificates");
	return 0;
}

X509 *keystore_rpc_cert(const struct keystore *s, const struct keystore_config *c, struct span attestation,
			struct err *e)
{
	struct cert_issuer by = { .cert = s->ca_cert, .key = s->ca_key };
	struct cert_spec spec = {
		.cn = c->names[0],
		.sans = c->names,
		.n_sans = c->n_names,
		.not_before = KEYFILES_NOT_BEFORE,
		.not_after = (int64_t)time_now() + 10 * year,
		.usage = span_str("kms:rpc"),
		.attestation = attestation,
	};

	return cert_issue(&spec, s->rpc_key, &by, e);
}

X509 *keystore_app_ca(const struct keystore *s, const uint8_t app[static APP_ID], EVP_PKEY **key,
		      struct err *e)
{
	struct cert_issuer by = { .cert = s->ca_cert, .key = s->ca_key };
	struct cert_spec spec = {
		.org = "Dstack",
		.cn = "Dstack App CA",
		.is_ca = true,
		.path_len = 0,
		.not_before = KEYFILES_NOT_BEFORE,
		.not_after = (int64_t)time_now() + 10 * year,
		.app_id = span_of(app, APP_ID),
		.usage = span_str("app:ca"),
	};
	uint8_t d[P256_SCALAR];

	if (appkeys_ca(keystore_roots(s), app, d, e))
		return NULL;
	auto_pkey EVP_PKEY *k = p256_from_scalar(d, e);
	OPENSSL_cleanse(d, sizeof d);
	X509 *cert = k ? cert_issue(&spec, k, &by, e) : NULL;
	if (cert && key)
		*key = TAKE_SSL(k);
	return cert;
}
