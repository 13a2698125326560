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
#include "keyring.h"

static const int64_t year = 365 * INT64_C(86400);

const struct roots *keystore_roots(const struct keyset *k)
{
	return (const struct roots *)(const void *)k->secret->b;
}

static int no_memory(struct err *e)
{
	return err_set(e, ERR_SYSTEM, "out of locked memory");
}

// What follows from the two keys.
static int complete(struct keyset *k, struct roots *r, struct err *e)
{
	return p256_scalar(k->ca_key, r->ca, e) || p256_spki(k->ca_key, k->ca_spki, e)
		       ? -1
		       : k256_public(r->k256, k->k256_pub, e);
}

static struct roots *room(struct keyset *k, struct err *e)
{
	k->secret = secret_new(sizeof(struct roots));
	if (!k->secret)
		no_memory(e);
	return k->secret ? (struct roots *)(void *)k->secret->b : NULL;
}

static int load_roots(struct keyset *k, const char *dir, struct err *e)
{
	auto_secret *k256 = NULL;
	struct roots *r = room(k, e);

	k->ca_key = r ? keyfiles_read_key(dir, "root-ca.key", e) : NULL;
	if (!k->ca_key || keyfiles_read_secret(dir, "root-k256.key", &k256, e))
		return -1;
	if (k256->n != K256_SCALAR)
		return err_set(e, ERR_INPUT, "%s/root-k256.key has %zu bytes, not 32", dir, k256->n);
	memcpy(r->k256, k256->b, K256_SCALAR);
	return complete(k, r, e);
}

static int load_ca_cert(struct keyset *k, const char *dir, struct err *e)
{
	uint8_t spki[CERT_SPKI_MAX];
	size_t n = 0;

	k->ca_cert = keyfiles_read_cert(dir, "root-ca.crt", e);
	if (!k->ca_cert || cert_spki(k->ca_cert, spki, &n, e))
		return -1;
	if (n != sizeof k->ca_spki || CRYPTO_memcmp(spki, k->ca_spki, n))
		return err_code(e, ERR_INPUT, "kms.ca_mismatch",
				"CA certificate does not match private key in %s", dir);
	return 0;
}

static int check_statement(const struct keystore *s, uint32_t root, const char *dir, struct err *e)
{
	auto_free char *path = str_format("%s/%s", dir, keyring_statement), *text = NULL;
	const struct keyset *k = &s->set[root];
	struct rotation r;
	size_t n = 0;

	if (!path)
		return no_memory(e);
	if (file_read(path, KEYRING_STATEMENT_MAX, &text, &n, e) || rotation_read(&r, span_of(text, n), e) ||
	    rotation_check(&r, root, s->set[root - 1].k256_pub, e))
		return err_wrap(e, "%s", path);
	if (memcmp(r.ca_spki, k->ca_spki, sizeof r.ca_spki) != 0 ||
	    memcmp(r.k256_pub, k->k256_pub, sizeof r.k256_pub) != 0)
		return err_code(e, ERR_UNTRUSTED, "roots.statement", "%s is about other keys", path);
	return 0;
}

static int load_set(struct keystore *s, uint32_t root, const char *dir, struct err *e)
{
	auto_free char *folder = keyring_folder(dir, root, e);
	struct keyset *k = &s->set[root];

	if (!folder || load_roots(k, folder, e) || load_ca_cert(k, folder, e))
		return -1;
	return root ? check_statement(s, root, folder, e) : 0;
}

static int load_all(struct keystore *s, const char *dir, struct err *e)
{
	if (keyfiles_state(dir, e) != KEYFILES_ALL || keyring_count(dir, &s->n, e))
		return -1;
	for (uint32_t r = 0; r < s->n; r++)
		if (load_set(s, r, dir, e))
			return -1;
	return 0;
}

int keystore_open(struct keystore *s, const struct keystore_config *c, struct err *e)
{
	*s = (struct keystore){ 0 };
	if (keyfiles_state(c->dir, e) == KEYFILES_NONE)
		return err_code(e, ERR_ABSENT, "kms.no_keys", "%s has no keys", c->dir);
	if (load_all(s, c->dir, e)) {
		keystore_close(s);
		return err_wrap(e, "open keys");
	}
	return 0;
}

void keyset_free(struct keyset *k)
{
	secret_free(k->secret);
	EVP_PKEY_free(k->ca_key);
	X509_free(k->ca_cert);
	*k = (struct keyset){ 0 };
}

void keystore_close(struct keystore *s)
{
	for (uint32_t r = 0; r < ROOT_SETS_MAX; r++)
		keyset_free(&s->set[r]);
	EVP_PKEY_free(s->rpc_key);
	*s = (struct keystore){ 0 };
}

const struct keyset *keystore_set(const struct keystore *s, uint32_t root, struct err *e)
{
	if (root < s->n)
		return &s->set[root];
	err_code(e, ERR_ABSENT, "kms.no_root_set", "this KMS has no root set %u", root);
	return NULL;
}

static int make_keys(struct keyset *k, struct err *e)
{
	struct roots *r = room(k, e);

	k->ca_key = r ? p256_new(e) : NULL;
	k->ca_cert = k->ca_key ? keyfiles_root_cert(k->ca_key, e) : NULL;
	return !k->ca_cert || k256_new(r->k256, e) ? -1 : complete(k, r, e);
}

int keystore_make_set(const struct keystore *s, struct keyset *out, uint64_t time, struct rotation *r,
		      struct err *e)
{
	const struct keyset *before = &s->set[s->n - 1];

	*out = (struct keyset){ 0 };
	if (s->n == ROOT_SETS_MAX)
		return err_code(e, ERR_DENIED, "kms.roots_full", "a KMS has at most %d root sets",
				ROOT_SETS_MAX);
	*r = (struct rotation){ .index = s->n, .time = time };
	int rc = make_keys(out, e);
	if (!rc) {
		memcpy(r->ca_spki, out->ca_spki, sizeof r->ca_spki);
		memcpy(r->k256_pub, out->k256_pub, sizeof r->k256_pub);
		rc = rotation_sign(r, keystore_roots(before)->k256, keystore_roots(out)->k256, e);
	}
	if (rc)
		keyset_free(out);
	return rc ? err_wrap(e, "make root set %u", s->n) : 0;
}

void keystore_take_set(struct keystore *s, struct keyset *k)
{
	s->set[s->n++] = *k;
	*k = (struct keyset){ 0 };
}

static bool ends_soon(const X509 *c)
{
	time_t limit = (time_t)((int64_t)time_now() + year);

	return X509_cmp_time(X509_get0_notAfter(c), &limit) <= 0;
}

static int renew_ca(struct keyset *k, uint32_t root, const char *dir, struct err *e)
{
	if (!ends_soon(k->ca_cert))
		return 0;
	auto_free char *folder = keyring_folder(dir, root, e);
	X509 *fresh = folder ? keyfiles_root_cert(k->ca_key, e) : NULL;
	if (!fresh || keyfiles_write_cert(folder, "root-ca.crt", fresh, e)) {
		X509_free(fresh);
		return -1;
	}
	X509_free(k->ca_cert);
	k->ca_cert = fresh;
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
	for (uint32_t r = 0; r < s->n; r++)
		if (renew_ca(&s->set[r], r, c->dir, e))
			return err_wrap(e, "renew certificates");
	s->rpc_key = keyfiles_read_key(c->dir, "rpc.key", e);
	if (!s->rpc_key || renew_temp_ca(c->dir, e))
		return err_wrap(e, "renew certificates");
	return 0;
}

X509 *keystore_rpc_cert(const struct keystore *s, uint32_t root, const struct keystore_config *c,
			struct span attestation, struct err *e)
{
	const struct keyset *k = keystore_set(s, root, e);
	struct cert_issuer by = { .cert = k ? k->ca_cert : NULL, .key = k ? k->ca_key : NULL };
	struct cert_spec spec = {
		.cn = c->names[0],
		.sans = c->names,
		.n_sans = c->n_names,
		.not_before = KEYFILES_NOT_BEFORE,
		.not_after = (int64_t)time_now() + 10 * year,
		.usage = span_str("kms:rpc"),
		.attestation = attestation,
	};

	return k ? cert_issue(&spec, s->rpc_key, &by, e) : NULL;
}

X509 *keystore_app_ca(const struct keyset *k, const uint8_t app[static APP_ID], EVP_PKEY **key, struct err *e)
{
	struct cert_issuer by = { .cert = k->ca_cert, .key = k->ca_key };
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

	if (appkeys_ca(keystore_roots(k), app, d, e))
		return NULL;
	auto_pkey EVP_PKEY *own = p256_from_scalar(d, e);
	OPENSSL_cleanse(d, sizeof d);
	X509 *cert = own ? cert_issue(&spec, own, &by, e) : NULL;
	if (cert && key)
		*key = TAKE_SSL(own);
	return cert;
}
