#include "pki.h"

#include <errno.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/strings.h"
#include "crypto/ssl.h"
#include "cert.h"

enum { DAY = 86400, CERT_DAYS = 3650, CRL_DAYS = 30, PATH_CAP = 512 };

// Names as Intel's: roles are told by the common name (spec 50 section 3.2).
static const char *const common_name[PKI_CERTS] = {
	[PKI_ROOT] = "Intel SGX Root CA",
	[PKI_CA] = "Intel SGX PCK Platform CA",
	[PKI_PCK] = "Intel SGX PCK Certificate",
	[PKI_TCB] = "Intel SGX TCB Signing",
};
static const enum pki_id issuer_of[PKI_CERTS] = {
	[PKI_ROOT] = PKI_ROOT,
	[PKI_CA] = PKI_ROOT,
	[PKI_PCK] = PKI_CA,
	[PKI_TCB] = PKI_ROOT,
};
static const char *const file_name[PKI_KEYS] = {
	[PKI_ROOT] = "root", [PKI_CA] = "pck-ca",       [PKI_PCK] = "pck",
	[PKI_TCB] = "tcb",   [PKI_ATT] = "attestation",
};

// Spec 50 section 1.4. PPID and platform instance are this PKI's own, from the root key's hash.
static bool put_sgx(struct asn *d, const struct pki *p)
{
	uint8_t hash[32], fmspc[6], pceid[2] = { 0 }, cpu_svn[16];
	struct sgx_spec s = {
		.ppid = span_of(hash, 16),
		.cpu_svn = span_of(cpu_svn, sizeof cpu_svn),
		.pce_id = span_of(pceid, sizeof pceid),
		.fmspc = span_of(fmspc, sizeof fmspc),
		.instance = span_of(hash + 16, 16),
		.pce_svn = PKI_PCE_SVN,
		.type = 1, // scalable
	};

	if (!hex_exact(fmspc, sizeof fmspc, PKI_FMSPC))
		return false;
	SHA256(p->key[PKI_ROOT].pub, KEY_RAW, hash);
	memset(cpu_svn, PKI_CPU_SVN, sizeof cpu_svn);
	memset(s.component, PKI_CPU_SVN, sizeof s.component);
	cert_put_sgx(d, &s);
	return true;
}

static int seal(struct asn *tbs, const struct dev_key *by, uint8_t *out, size_t cap, size_t *n, struct err *e)
{
	struct asn d = { .n = 0 };
	uint8_t sig[KEY_SIG_DER_MAX];
	size_t sign;

	if (tbs->bad || key_sign_der(by, tbs->b, tbs->n, sig, &sign, e))
		return tbs->bad ? err_set(e, ERR_BUG, "certificate is too large") : -1;
	cert_put_signed(&d, span_of(tbs->b, tbs->n), span_of(sig, sign));
	if (d.bad || d.n > cap)
		return err_set(e, ERR_BUG, "certificate is too large");
	memcpy(out, d.b, d.n);
	*n = d.n;
	return 0;
}

static int make_cert(struct pki *p, enum pki_id id, int64_t now, struct err *e)
{
	struct asn d = { .n = 0 }, sgx = { .n = 0 };
	uint8_t serial[20];
	bool is_ca = id == PKI_ROOT || id == PKI_CA;
	struct cert_spec c = {
		.version = 2,
		.serial = span_of(serial, sizeof serial),
		.issuer = common_name[issuer_of[id]],
		.subject = common_name[id],
		.not_before = now - DAY,
		.not_after = now + (int64_t)CERT_DAYS * DAY,
		.key = p->key[id].pub,
		.has_constraints = true,
		.is_ca = is_ca,
		.path_len = id == PKI_ROOT ? 1
			    : id == PKI_CA ? 0
					   : -1,
		.usage = is_ca ? CERT_SIGN | CRL_SIGN : DIGITAL_SIGNATURE | NON_REPUDIATION,
	};

	if (RAND_bytes(serial, sizeof serial) != 1)
		return err_ssl(e, ERR_SYSTEM, "serial number");
	serial[0] = (serial[0] & 0x7F) | 0x10;
	key_id(&p->key[id], c.subject_id);
	key_id(&p->key[issuer_of[id]], c.authority);
	if (id == PKI_PCK) {
		sgx.bad |= !put_sgx(&sgx, p);
		c.extra = span_of(sgx.b, sgx.n);
	}
	cert_put_tbs(&d, &c);
	d.bad |= sgx.bad;
	return seal(&d, &p->key[issuer_of[id]], p->cert[id].der, sizeof p->cert[id].der, &p->cert[id].n, e);
}

int pki_crl(const struct pki *p, enum pki_id issuer, int64_t now, uint8_t out[static PKI_CRL_MAX], size_t *n,
	    struct err *e)
{
	struct asn d = { .n = 0 };
	struct crl_spec c = {
		.version = 1,
		.issuer = common_name[issuer],
		.this_update = now - DAY,
		.next_update = now + CRL_DAYS * DAY,
		.number = (uint64_t)now,
	};

	key_id(&p->key[issuer], c.authority);
	cert_put_crl_tbs(&d, &c);
	return seal(&d, &p->key[issuer], out, PKI_CRL_MAX, n, e);
}

int pki_chain(const struct pki *p, const enum pki_id *ids, size_t count, char out[static PKI_CHAIN_MAX],
	      struct err *e)
{
	auto_sb b = { .max = PKI_CHAIN_MAX - 1 };

	for (size_t i = 0; i < count; i++)
		cert_pem(&b, span_of(p->cert[ids[i]].der, p->cert[ids[i]].n));
	if (b.bad)
		return err_set(e, ERR_BUG, "certificate chain is too large");
	memcpy(out, b.p, b.n + 1);
	return 0;
}

static int path_of(char out[static PATH_CAP], const char *dir, const char *name, const char *ending,
		   struct err *e)
{
	int n = snprintf(out, PATH_CAP, "%s/%s.%s", dir, name, ending);

	return n < 0 || n >= PATH_CAP ? err_set(e, ERR_INPUT, "path %s is too long", dir) : 0;
}

static int save(const struct pki *p, const char *dir, struct err *e)
{
	char path[PATH_CAP], chain[PKI_CHAIN_MAX];
	const enum pki_id root = PKI_ROOT;

	for (int i = 0; i < PKI_KEYS; i++)
		if (path_of(path, dir, file_name[i], "key", e) || key_save(&p->key[i], path, e))
			return -1;
	for (int i = 0; i < PKI_CERTS; i++)
		if (path_of(path, dir, file_name[i], "der", e) ||
		    file_write(path, 0644, p->cert[i].der, p->cert[i].n, e))
			return -1;
	if (pki_chain(p, &root, 1, chain, e) || path_of(path, dir, "root", "pem", e))
		return -1;
	return file_write_str(path, 0644, chain, e);
}

static int make(struct pki *p, int64_t now, struct err *e)
{
	for (int i = 0; i < PKI_KEYS; i++)
		if (key_make(&p->key[i], e))
			return -1;
	for (int i = 0; i < PKI_CERTS; i++)
		if (make_cert(p, (enum pki_id)i, now, e))
			return -1;
	return 0;
}

// All files appear at once: they are written beside the folder, which is then renamed into its place.
int pki_make(const char *dir, int64_t now, struct err *e)
{
	struct pki p = { 0 };
	char temp[PATH_CAP], root[PATH_CAP];
	int rc;

	if (path_of(root, dir, "root", "der", e))
		return -1;
	if (file_exists(root)) {
		rc = pki_load(&p, dir, e);
		pki_free(&p);
		return rc;
	}
	snprintf(temp, sizeof temp, "%s.XXXXXX", dir);
	if (!mkdtemp(temp))
		return err_errno(e, "make folder beside %s", dir);
	rc = make(&p, now, e) || save(&p, temp, e) ? -1 : 0;
	pki_free(&p);
	if (!rc && rename(temp, dir))
		rc = errno == ENOTEMPTY || errno == EEXIST
			     ? err_code(e, ERR_DENIED, "pki.incomplete", "%s has files but no root.der", dir)
			     : err_errno(e, "make %s", dir);
	if (rc) {
		struct err ignored;
		(void)file_remove_tree(temp, &ignored);
	}
	return rc;
}

int pki_load(struct pki *p, const char *dir, struct err *e)
{
	char path[PATH_CAP];

	*p = (struct pki){ 0 };
	for (int i = 0; i < PKI_KEYS; i++)
		if (path_of(path, dir, file_name[i], "key", e) || key_load(&p->key[i], path, e))
			goto damaged;
	for (int i = 0; i < PKI_CERTS; i++) {
		auto_free char *der = NULL;

		if (path_of(path, dir, file_name[i], "der", e) ||
		    file_read(path, PKI_CERT_MAX, &der, &p->cert[i].n, e))
			goto damaged;
		memcpy(p->cert[i].der, der, p->cert[i].n);
	}
	return 0;
damaged:
	pki_free(p);
	snprintf(e->code, sizeof e->code, "pki.incomplete");
	return err_wrap(e, "development PKI in %s", dir);
}

void pki_free(struct pki *p)
{
	for (int i = 0; i < PKI_KEYS; i++)
		key_free(&p->key[i]);
}
