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
#include "asn.h"

#define SGX     "1.2.840.113741.1.13.1"
#define CRL_URL "http://127.0.0.1/sgx/certification/v4/rootcacrl"

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

static void put_algorithm(struct asn *d)
{
	size_t at = asn_open(d, ASN_SEQUENCE);

	asn_oid(d, "1.2.840.10045.4.3.2");
	asn_close(d, at);
}

static void put_attribute(struct asn *d, const char *oid, int tag, const char *value)
{
	size_t set = asn_open(d, ASN_SET), seq = asn_open(d, ASN_SEQUENCE);

	asn_oid(d, oid);
	asn_text(d, tag, value);
	asn_close(d, seq);
	asn_close(d, set);
}

static void put_name(struct asn *d, const char *cn)
{
	size_t at = asn_open(d, ASN_SEQUENCE);

	put_attribute(d, "2.5.4.3", ASN_UTF8, cn);
	put_attribute(d, "2.5.4.10", ASN_UTF8, "Intel Corporation");
	put_attribute(d, "2.5.4.7", ASN_UTF8, "Santa Clara");
	put_attribute(d, "2.5.4.8", ASN_UTF8, "CA");
	put_attribute(d, "2.5.4.6", ASN_PRINTABLE, "US");
	asn_close(d, at);
}

static void put_key(struct asn *d, const struct dev_key *k)
{
	uint8_t point[1 + KEY_RAW] = { 4 };
	size_t at = asn_open(d, ASN_SEQUENCE), alg = asn_open(d, ASN_SEQUENCE);

	memcpy(point + 1, k->pub, KEY_RAW);
	asn_oid(d, "1.2.840.10045.2.1");
	asn_oid(d, "1.2.840.10045.3.1.7");
	asn_close(d, alg);
	asn_bits(d, point, sizeof point);
	asn_close(d, at);
}

static void put_extension(struct asn *d, const char *oid, bool critical, const struct asn *value)
{
	size_t at = asn_open(d, ASN_SEQUENCE);

	asn_oid(d, oid);
	if (critical)
		asn_bool(d, true);
	asn_value(d, ASN_OCTETS, value->b, value->n);
	asn_close(d, at);
	d->bad |= value->bad;
}

static void put_authority(struct asn *d, const struct dev_key *issuer)
{
	struct asn v = { .n = 0 };
	uint8_t id[KEY_ID];
	size_t at = asn_open(&v, ASN_SEQUENCE);

	key_id(issuer, id);
	asn_value(&v, ASN_CONTEXT_PLAIN | 0, id, sizeof id);
	asn_close(&v, at);
	put_extension(d, "2.5.29.35", false, &v);
}

static void put_crl_point(struct asn *d)
{
	struct asn v = { .n = 0 };
	size_t a = asn_open(&v, ASN_SEQUENCE), b = asn_open(&v, ASN_SEQUENCE);
	size_t c = asn_open(&v, ASN_CONTEXT | 0), f = asn_open(&v, ASN_CONTEXT | 0);

	asn_text(&v, ASN_CONTEXT_PLAIN | 6, CRL_URL);
	asn_close(&v, f);
	asn_close(&v, c);
	asn_close(&v, b);
	asn_close(&v, a);
	put_extension(d, "2.5.29.31", false, &v);
}

// RFC 5280 sections 4.2.1.2, 4.2.1.3, 4.2.1.9
static void put_usage(struct asn *d, const struct dev_key *subject, bool is_ca, unsigned path_len)
{
	struct asn id = { .n = 0 }, usage = { .n = 0 }, basic = { .n = 0 };
	uint8_t kid[KEY_ID];

	key_id(subject, kid);
	asn_value(&id, ASN_OCTETS, kid, sizeof kid);
	put_extension(d, "2.5.29.14", false, &id);
	// bit string with its unused bits first: keyCertSign cRLSign, or digitalSignature nonRepudiation
	asn_value(&usage, ASN_BITS, is_ca ? "\x01\x06" : "\x06\xc0", 2);
	put_extension(d, "2.5.29.15", true, &usage);
	size_t at = asn_open(&basic, ASN_SEQUENCE);
	if (is_ca) {
		asn_bool(&basic, true);
		asn_uint(&basic, path_len);
	}
	asn_close(&basic, at);
	put_extension(d, "2.5.29.19", true, &basic);
}

static void put_sgx_octets(struct asn *d, const char *oid, const void *p, size_t n)
{
	size_t at = asn_open(d, ASN_SEQUENCE);

	asn_oid(d, oid);
	asn_value(d, ASN_OCTETS, p, n);
	asn_close(d, at);
}

static void put_sgx_tcb(struct asn *d)
{
	uint8_t cpu_svn[16];
	char oid[48];
	size_t at = asn_open(d, ASN_SEQUENCE);

	memset(cpu_svn, PKI_CPU_SVN, sizeof cpu_svn);
	asn_oid(d, SGX ".2");
	size_t list = asn_open(d, ASN_SEQUENCE);
	for (int i = 1; i <= 17; i++) {
		size_t one = asn_open(d, ASN_SEQUENCE);

		snprintf(oid, sizeof oid, SGX ".2.%d", i);
		asn_oid(d, oid);
		asn_uint(d, i == 17 ? PKI_PCE_SVN : PKI_CPU_SVN);
		asn_close(d, one);
	}
	put_sgx_octets(d, SGX ".2.18", cpu_svn, sizeof cpu_svn);
	asn_close(d, list);
	asn_close(d, at);
}

static void put_sgx_type(struct asn *d)
{
	size_t at = asn_open(d, ASN_SEQUENCE);

	asn_oid(d, SGX ".5"); // SGX type: scalable
	asn_value(d, ASN_ENUMERATED, "\x01", 1);
	asn_close(d, at);
}

static void put_sgx_configuration(struct asn *d)
{
	static const char *const flags[] = { SGX ".7.1", SGX ".7.2", SGX ".7.3" };
	size_t at = asn_open(d, ASN_SEQUENCE);

	asn_oid(d, SGX ".7");
	size_t list = asn_open(d, ASN_SEQUENCE);
	for (size_t i = 0; i < 3; i++) {
		size_t one = asn_open(d, ASN_SEQUENCE);

		asn_oid(d, flags[i]);
		asn_bool(d, true);
		asn_close(d, one);
	}
	asn_close(d, list);
	asn_close(d, at);
}

// Spec 50 section 1.4. PPID and platform instance are this PKI's own, from the root key's hash.
static void put_sgx(struct asn *d, const struct pki *p)
{
	struct asn v = { .n = 0 };
	uint8_t hash[32], fmspc[6], pceid[2] = { 0 };
	size_t at = asn_open(&v, ASN_SEQUENCE);

	SHA256(p->key[PKI_ROOT].pub, KEY_RAW, hash);
	if (!hex_exact(fmspc, sizeof fmspc, PKI_FMSPC))
		v.bad = true;
	put_sgx_octets(&v, SGX ".1", hash, 16);
	put_sgx_tcb(&v);
	put_sgx_octets(&v, SGX ".3", pceid, sizeof pceid);
	put_sgx_octets(&v, SGX ".4", fmspc, sizeof fmspc);
	put_sgx_type(&v);
	put_sgx_octets(&v, SGX ".6", hash + 16, 16);
	put_sgx_configuration(&v);
	asn_close(&v, at);
	put_extension(d, SGX, false, &v);
}

// The signed form of RFC 5280: SEQUENCE { tbs, algorithm, signature }.
static int seal(struct asn *tbs, const struct dev_key *by, uint8_t *out, size_t cap, size_t *n, struct err *e)
{
	struct asn d = { .n = 0 };
	uint8_t sig[KEY_SIG_DER_MAX];
	size_t sign;

	if (tbs->bad || key_sign_der(by, tbs->b, tbs->n, sig, &sign, e))
		return tbs->bad ? err_set(e, ERR_BUG, "certificate is too large") : -1;
	size_t at = asn_open(&d, ASN_SEQUENCE);
	asn_raw(&d, tbs->b, tbs->n);
	put_algorithm(&d);
	asn_bits(&d, sig, sign);
	asn_close(&d, at);
	if (d.bad || d.n > cap)
		return err_set(e, ERR_BUG, "certificate is too large");
	memcpy(out, d.b, d.n);
	*n = d.n;
	return 0;
}

static int make_cert(struct pki *p, enum pki_id id, int64_t now, struct err *e)
{
	struct asn d = { .n = 0 };
	uint8_t serial[20];
	const struct dev_key *issuer = &p->key[issuer_of[id]];
	bool is_ca = id == PKI_ROOT || id == PKI_CA;

	if (RAND_bytes(serial, sizeof serial) != 1)
		return err_ssl(e, ERR_SYSTEM, "serial number");
	serial[0] = (serial[0] & 0x7F) | 0x10;
	size_t tbs = asn_open(&d, ASN_SEQUENCE), version = asn_open(&d, ASN_CONTEXT | 0);
	asn_uint(&d, 2);
	asn_close(&d, version);
	asn_integer(&d, serial, sizeof serial);
	put_algorithm(&d);
	put_name(&d, common_name[issuer_of[id]]);
	size_t validity = asn_open(&d, ASN_SEQUENCE);
	asn_time(&d, now - DAY);
	asn_time(&d, now + (int64_t)CERT_DAYS * DAY);
	asn_close(&d, validity);
	put_name(&d, common_name[id]);
	put_key(&d, &p->key[id]);
	size_t context = asn_open(&d, ASN_CONTEXT | 3), list = asn_open(&d, ASN_SEQUENCE);
	put_authority(&d, issuer);
	put_crl_point(&d);
	put_usage(&d, &p->key[id], is_ca, id == PKI_ROOT);
	if (id == PKI_PCK)
		put_sgx(&d, p);
	asn_close(&d, list);
	asn_close(&d, context);
	asn_close(&d, tbs);
	return seal(&d, issuer, p->cert[id].der, sizeof p->cert[id].der, &p->cert[id].n, e);
}

int pki_crl(const struct pki *p, enum pki_id issuer, int64_t now, uint8_t out[static PKI_CRL_MAX], size_t *n,
	    struct err *e)
{
	struct asn d = { .n = 0 }, number = { .n = 0 };
	size_t tbs = asn_open(&d, ASN_SEQUENCE);

	asn_uint(&d, 1); // v2
	put_algorithm(&d);
	put_name(&d, common_name[issuer]);
	asn_time(&d, now - DAY);
	asn_time(&d, now + CRL_DAYS * DAY);
	size_t context = asn_open(&d, ASN_CONTEXT | 0), list = asn_open(&d, ASN_SEQUENCE);
	asn_uint(&number, (uint64_t)now);
	put_extension(&d, "2.5.29.20", false, &number);
	put_authority(&d, &p->key[issuer]);
	asn_close(&d, list);
	asn_close(&d, context);
	asn_close(&d, tbs);
	return seal(&d, &p->key[issuer], out, PKI_CRL_MAX, n, e);
}

int pki_chain(const struct pki *p, const enum pki_id *ids, size_t count, char out[static PKI_CHAIN_MAX],
	      struct err *e)
{
	auto_sb b = { .max = PKI_CHAIN_MAX - 1 };

	for (size_t i = 0; i < count; i++) {
		auto_sb text = { 0 };

		sb_base64(&text, p->cert[ids[i]].der, p->cert[ids[i]].n);
		sb_str(&b, "-----BEGIN CERTIFICATE-----\n");
		for (size_t at = 0; at < text.n; at += 64) {
			sb_put(&b, text.p + at, text.n - at < 64 ? text.n - at : 64);
			sb_chr(&b, '\n');
		}
		sb_str(&b, "-----END CERTIFICATE-----\n");
		b.bad |= text.bad;
	}
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
