#include "keyfiles.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "crypto/issue.h"
#include "crypto/k256.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"

enum { FILE_MAX = 64 * 1024 };

// rpc.crt is not among them: it is made at each start.
static const char *const needed[] = { "root-ca.key", "root-ca.crt", "root-k256.key",
				      "tmp-ca.key",  "tmp-ca.crt",  "rpc.key" };
const char keyfiles_bootstrap_info[] = "bootstrap-info.json", keyfiles_domain[] = "rpc-domain";
enum { N_NEEDED = sizeof needed / sizeof *needed };

static char *path_in(const char *dir, const char *name, struct err *e)
{
	char *p = str_format("%s/%s", dir, name);

	if (!p)
		err_set(e, ERR_SYSTEM, "out of memory");
	return p;
}

enum keyfiles_state keyfiles_state(const char *dir, struct err *e)
{
	const char *missing = NULL;
	size_t have = 0;
	uint32_t sets;

	for (size_t i = 0; i < N_NEEDED; i++) {
		auto_free char *path = path_in(dir, needed[i], e);
		struct stat st;
		if (!path)
			return KEYFILES_BAD;
		if (!lstat(path, &st)) {
			have++;
		} else if (errno == ENOENT) {
			missing = needed[i];
		} else {
			err_errno(e, "look for %s", path);
			return KEYFILES_BAD;
		}
	}
	if (keyring_count(dir, &sets, e))
		return KEYFILES_BAD;
	if (have == N_NEEDED)
		return KEYFILES_ALL;
	if (!have && sets == 1)
		return KEYFILES_NONE;
	err_code(e, ERR_INPUT, "kms.partial_keys",
		 "%s has %zu of %d key files, %s is missing: restore it, nothing is created beside existing "
		 "keys",
		 dir, have, N_NEEDED, missing);
	return KEYFILES_BAD;
}

int keyfiles_read_secret(const char *dir, const char *name, struct secret **out, struct err *e)
{
	auto_free char *path = path_in(dir, name, e);

	return path ? file_read_secret(path, FILE_MAX, out, e) : -1;
}

EVP_PKEY *keyfiles_read_key(const char *dir, const char *name, struct err *e)
{
	auto_secret *pem = NULL;

	if (keyfiles_read_secret(dir, name, &pem, e))
		return NULL;
	EVP_PKEY *k = p256_from_pem(span_of(pem->b, pem->n), e);
	if (!k)
		err_wrap(e, "%s/%s", dir, name);
	return k;
}

X509 *keyfiles_read_cert(const char *dir, const char *name, struct err *e)
{
	auto_free char *path = path_in(dir, name, e), *pem = NULL;
	size_t n = 0;

	if (!path || file_read(path, FILE_MAX, &pem, &n, e))
		return NULL;
	X509 *c = cert_from_pem(span_of(pem, n), e);
	if (!c)
		err_wrap(e, "%s", path);
	return c;
}

int keyfiles_write_cert(const char *dir, const char *name, X509 *c, struct err *e)
{
	auto_free char *path = path_in(dir, name, e);
	auto_free char *pem = malloc(CERT_PEM_MAX); // one with evidence is large

	if (!path || !pem || cert_to_pem(c, pem, CERT_PEM_MAX, e))
		return pem ? -1 : err_set(e, ERR_SYSTEM, "out of memory");
	return file_write_str(path, 0644, pem, e);
}

static int write_key(const char *dir, const char *name, const EVP_PKEY *k, struct err *e)
{
	auto_free char *path = path_in(dir, name, e);
	char pem[P256_PEM_MAX];

	if (!path || p256_to_pem(k, pem, e))
		return -1;
	int rc = file_write_str(path, 0600, pem, e);
	OPENSSL_cleanse(pem, sizeof pem);
	return rc;
}

static X509 *ca_cert(const char *cn, int path_len, EVP_PKEY *key, struct err *e)
{
	struct cert_issuer self = { .key = key };
	struct cert_spec spec = {
		.org = "Dstack",
		.cn = cn,
		.is_ca = true,
		.path_len = path_len,
		.not_before = KEYFILES_NOT_BEFORE,
		.not_after = (int64_t)time_now() + 3650LL * 24 * 3600,
	};

	return cert_issue(&spec, key, &self, e);
}

X509 *keyfiles_root_cert(EVP_PKEY *key, struct err *e)
{
	return ca_cert("Dstack KMS CA", 1, key, e);
}

X509 *keyfiles_temp_ca_cert(EVP_PKEY *key, struct err *e)
{
	return ca_cert("Dstack Client Temp CA", 0, key, e);
}

static int put_ca(const char *dir, const char *key_name, const char *cert_name, EVP_PKEY *k,
		  X509 *(*make)(EVP_PKEY *, struct err *), struct err *e)
{
	auto_x509 X509 *c = make(k, e);

	if (!c || write_key(dir, key_name, k, e))
		return -1;
	return keyfiles_write_cert(dir, cert_name, c, e);
}

static int put_text(const char *dir, const char *name, const char *text, struct err *e)
{
	auto_free char *path = path_in(dir, name, e);

	return path ? file_write_str(path, 0644, text, e) : -1;
}

static int put_all(const char *dir, const char *domain, const struct keyfiles_roots *r, const char *info,
		   struct err *e)
{
	auto_free char *k256 = path_in(dir, "root-k256.key", e);
	auto_pkey EVP_PKEY *rpc = k256 ? p256_new(e) : NULL;

	if (!rpc || put_ca(dir, "root-ca.key", "root-ca.crt", r->ca, keyfiles_root_cert, e) ||
	    file_write(k256, 0600, r->k256->b, r->k256->n, e) ||
	    put_ca(dir, "tmp-ca.key", "tmp-ca.crt", r->temp_ca, keyfiles_temp_ca_cert, e) ||
	    write_key(dir, "rpc.key", rpc, e) || put_text(dir, keyfiles_domain, domain, e))
		return -1;
	for (uint32_t i = 0; i < r->n_more; i++)
		if (keyring_add(dir, i + 1, (const void *)r->more[i].files->b, r->more[i].statement, e))
			return -1;
	return info ? put_text(dir, keyfiles_bootstrap_info, info, e) : 0;
}

int keyfiles_roots_new(struct keyfiles_roots *r, struct err *e)
{
	*r = (struct keyfiles_roots){ .k256 = secret_new(K256_SCALAR) };
	r->ca = p256_new(e);
	r->temp_ca = r->ca ? p256_new(e) : NULL;
	if (r->k256 && r->temp_ca && !k256_new(r->k256->b, e))
		return 0;
	if (!r->k256)
		err_set(e, ERR_SYSTEM, "out of locked memory");
	keyfiles_roots_free(r);
	return -1;
}

void keyfiles_roots_free(struct keyfiles_roots *r)
{
	EVP_PKEY_free(r->ca);
	EVP_PKEY_free(r->temp_ca);
	secret_free(r->k256);
	for (uint32_t i = 0; i < r->n_more; i++)
		keyring_set_free(&r->more[i]);
	*r = (struct keyfiles_roots){ 0 };
}

static int sync_folder(const char *path, struct err *e)
{
	auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd))
		return err_errno(e, "sync %s", path);
	return 0;
}

static int parent_of(const char *dir, char **out, struct err *e)
{
	size_t n = strlen(dir);

	while (n > 1 && dir[n - 1] == '/')
		n--;
	while (n && dir[n - 1] != '/')
		n--;
	*out = n ? str_dup_n(dir, n) : strdup(".");
	return *out ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

// rename(2) replaces an empty folder or none, and fails on anything else: the keys appear all at once, and
// never over something that was there.
static int put_in_place(const char *fresh, const char *dir, const char *parent, struct err *e)
{
	if (sync_folder(fresh, e))
		return -1;
	if (rename(fresh, dir)) {
		if (errno == ENOTEMPTY || errno == EEXIST)
			return err_code(e, ERR_INPUT, "kms.dir_not_empty",
					"%s holds other files: keys are made in a folder of their own", dir);
		return err_errno(e, "rename %s to %s", fresh, dir);
	}
	return sync_folder(parent, e);
}

// What a KMS that was killed in its first start left beside its folder: keys that never were in use.
static void sweep(const char *parent, const char *prefix)
{
	DIR *d = opendir(parent);
	struct err ignored;

	for (const struct dirent *x; d && (x = readdir(d));) {
		auto_free char *path =
			str_starts(x->d_name, prefix) ? path_in(parent, x->d_name, &ignored) : NULL;
		if (path && file_remove_tree(path, &ignored))
			log_warn("kms", "%s", ignored.text);
	}
	if (d)
		closedir(d);
}

// ".kms-new-NAME-" of the key folder's own name, so that KMSs beside each other do not meet.
static char *fresh_prefix(const char *dir, struct err *e)
{
	size_t n = strlen(dir), from;

	while (n > 1 && dir[n - 1] == '/')
		n--;
	for (from = n; from && dir[from - 1] != '/'; from--)
		;
	char *p = str_format(".kms-new-%.*s-", (int)(n - from), dir + from);
	if (!p)
		err_set(e, ERR_SYSTEM, "out of memory");
	return p;
}

int keyfiles_install(const char *dir, const char *domain, const struct keyfiles_roots *r,
		     const char *bootstrap_info, struct err *e)
{
	auto_free char *parent = NULL, *prefix = fresh_prefix(dir, e);
	struct err ignored;

	if (!prefix || parent_of(dir, &parent, e) || file_mkdirs(parent, 0755, e))
		return -1;
	sweep(parent, prefix);
	auto_free char *fresh = str_format("%s/%sXXXXXX", parent, prefix);
	if (!fresh)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (!mkdtemp(fresh)) // 0700
		return err_errno(e, "make a folder in %s", parent);
	if (put_all(fresh, domain, r, bootstrap_info, e) || put_in_place(fresh, dir, parent, e)) {
		if (file_remove_tree(fresh, &ignored))
			return err_wrap(e, "(and %s stays behind)", fresh);
		return -1;
	}
	return 0;
}
