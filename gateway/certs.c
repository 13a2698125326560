#include "certs.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/time.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"

enum { DAY = 86400, CA_DAYS = 3650, LEAF_DAYS = 397, MARGIN_DAYS = 30, PATH = 4096, FILE_MAX = 64 << 10 };

static X509 *read_cert(const char *path, struct err *e)
{
	auto_free char *text = NULL;
	size_t n;

	return file_read(path, FILE_MAX, &text, &n, e)
		       ? NULL
		       : cert_from_pem((struct span){ (uint8_t *)text, n }, e);
}

static EVP_PKEY *read_key(const char *path, struct err *e)
{
	auto_secret *text = NULL;

	return file_read_secret(path, FILE_MAX, &text, e)
		       ? NULL
		       : p256_from_pem((struct span){ text->b, text->n }, e);
}

static int write_key(const char *path, const EVP_PKEY *k, struct err *e)
{
	char pem[P256_PEM_MAX];
	int r = p256_to_pem(k, pem, e) ? -1 : file_write_str(path, 0600, pem, e);

	secret_wipe(pem, sizeof pem);
	return r;
}

// Still valid for a while, and the key is its.
static bool is_good(X509 *c, EVP_PKEY *k)
{
	time_t then = (time_t)time_now() + MARGIN_DAYS * DAY;

	return c && k && X509_cmp_time(X509_get0_notAfter(c), &then) > 0 && X509_check_private_key(c, k) == 1;
}

static int make_ca(const char *cert_path, const char *key_path, X509 **cert, EVP_PKEY **key, struct err *e)
{
	char pem[CERT_PEM_MAX];
	int64_t now = (int64_t)time_now();
	struct cert_spec spec = { .cn = "dstack gateway development CA",
				  .is_ca = true,
				  .path_len = 0,
				  .not_before = now - DAY,
				  .not_after = now + (int64_t)CA_DAYS * DAY };

	*key = p256_new(e);
	if (!*key)
		return -1;
	struct cert_issuer self = { .key = *key };
	*cert = cert_issue(&spec, *key, &self, e);
	return !*cert || cert_to_pem(*cert, pem, sizeof pem, e) || write_key(key_path, *key, e) ||
			       file_write_str(cert_path, 0644, pem, e)
		       ? -1
		       : 0;
}

static int make_leaf(const char *domain, const char *cert_path, const char *key_path, X509 *ca,
		     EVP_PKEY *ca_key, struct err *e)
{
	char name[300], leaf_pem[CERT_PEM_MAX], ca_pem[CERT_PEM_MAX];
	int64_t now = (int64_t)time_now();
	const char *names[] = { name, domain };
	struct cert_spec spec = { .cn = domain,
				  .sans = names,
				  .n_sans = 2,
				  .server_auth = true,
				  .not_before = now - DAY,
				  .not_after = now + (int64_t)LEAF_DAYS * DAY };
	struct cert_issuer by = { .cert = ca, .key = ca_key };
	auto_sb chain = { 0 };

	snprintf(name, sizeof name, "*.%s", domain);
	auto_pkey EVP_PKEY *key = p256_new(e);
	auto_x509 X509 *leaf = key ? cert_issue(&spec, key, &by, e) : NULL;
	if (!leaf || cert_to_pem(leaf, leaf_pem, sizeof leaf_pem, e) ||
	    cert_to_pem(ca, ca_pem, sizeof ca_pem, e))
		return -1;
	sb_str(&chain, leaf_pem);
	sb_str(&chain, ca_pem);
	if (chain.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	return write_key(key_path, key, e) || file_write_str(cert_path, 0644, chain.p, e) ? -1 : 0;
}

int dev_cert(const char *domain, const char *dir, bool *made, struct err *e)
{
	char ca_path[PATH], ca_key_path[PATH], cert_path[PATH], key_path[PATH], name[300];
	struct err none = { 0 };
	X509 *ca = NULL;
	EVP_PKEY *ca_key = NULL;

	if (strlen(dir) > PATH - 16 || strlen(domain) > 253)
		return err_code(e, ERR_INPUT, "dev_cert.name", "folder or domain is too long");
	snprintf(ca_path, PATH, "%s/ca.pem", dir);
	snprintf(ca_key_path, PATH, "%s/ca.key", dir);
	snprintf(cert_path, PATH, "%s/cert.pem", dir);
	snprintf(key_path, PATH, "%s/key.pem", dir);
	snprintf(name, sizeof name, "x.%s", domain);
	*made = false;
	if (file_mkdirs(dir, 0755, e))
		return -1;
	ca = read_cert(ca_path, &none);
	ca_key = read_key(ca_key_path, &none);
	auto_x509 X509 *leaf = read_cert(cert_path, &none);
	auto_pkey EVP_PKEY *key = read_key(key_path, &none);
	int r = 0;
	if (!is_good(ca, ca_key)) {
		X509_free(ca);
		EVP_PKEY_free(ca_key);
		ca = NULL;
		ca_key = NULL;
		*made = true;
		r = make_ca(ca_path, ca_key_path, &ca, &ca_key, e);
	}
	if (!r && (*made || !is_good(leaf, key) || X509_check_host(leaf, name, 0, 0, NULL) != 1 ||
		   X509_verify(leaf, ca_key) != 1)) {
		*made = true;
		r = make_leaf(domain, cert_path, key_path, ca, ca_key, e);
	}
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	return r ? err_wrap(e, "development certificate for %s in %s", domain, dir) : 0;
}
