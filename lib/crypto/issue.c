#include "crypto/issue.h"

#include <arpa/inet.h>
#include <openssl/asn1.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "crypto/p256.h"
#include "crypto/ssl.h"

enum { NAME_TEXT_MAX = 253 };

static void free_ext(X509_EXTENSION **x)
{
	X509_EXTENSION_free(*x);
}

static void free_octets(ASN1_OCTET_STRING **o)
{
	ASN1_OCTET_STRING_free(*o);
}

static void free_object(ASN1_OBJECT **o)
{
	ASN1_OBJECT_free(*o);
}

static void free_names(GENERAL_NAMES **n)
{
	GENERAL_NAMES_free(*n);
}

#define auto_ext    __attribute__((cleanup(free_ext)))
#define auto_octets __attribute__((cleanup(free_octets)))
#define auto_object __attribute__((cleanup(free_object)))
#define auto_names  __attribute__((cleanup(free_names)))

// 1.3.6.1.4.1.62397.1.x
static ASN1_OBJECT *ext_object(enum cert_ext which)
{
	char text[48];

	snprintf(text, sizeof text, "1.3.6.1.4.1.62397.1.%d", which);
	return OBJ_txt2obj(text, 1);
}

static int add_content(X509 *c, enum cert_ext which, struct span content, struct err *e)
{
	auto_octets ASN1_OCTET_STRING *inner = ASN1_OCTET_STRING_new(), *outer = ASN1_OCTET_STRING_new();
	auto_object ASN1_OBJECT *oid = ext_object(which);
	uint8_t *der = NULL;

	if (!content.n)
		return 0;
	if (!inner || !outer || !oid || content.n > INT32_MAX / 2 ||
	    !ASN1_OCTET_STRING_set(inner, content.p, (int)content.n))
		return err_ssl(e, ERR_SYSTEM, "encode certificate extension %d", which);
	int n = i2d_ASN1_OCTET_STRING(inner, &der);
	bool ok = n > 0 && ASN1_OCTET_STRING_set(outer, der, n);
	OPENSSL_free(der);
	auto_ext X509_EXTENSION *x = ok ? X509_EXTENSION_create_by_OBJ(NULL, oid, 0, outer) : NULL;
	if (!x || !X509_add_ext(c, x, -1))
		return err_ssl(e, ERR_SYSTEM, "add certificate extension %d", which);
	return 0;
}

static GENERAL_NAME *general_name(const char *text)
{
	uint8_t ip[16];
	size_t ip_n = inet_pton(AF_INET, text, ip) == 1 ? 4 : inet_pton(AF_INET6, text, ip) == 1 ? 16 : 0;
	GENERAL_NAME *g = GENERAL_NAME_new();
	ASN1_STRING *s = ip_n ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();

	if (!g || !s ||
	    !ASN1_STRING_set(s, ip_n ? (const void *)ip : text, ip_n ? (int)ip_n : (int)strlen(text))) {
		GENERAL_NAME_free(g);
		ASN1_STRING_free(s);
		return NULL;
	}
	GENERAL_NAME_set0_value(g, ip_n ? GEN_IPADD : GEN_DNS, s);
	return g;
}

static int add_sans(X509 *c, const struct cert_spec *s, struct err *e)
{
	auto_names GENERAL_NAMES *names = GENERAL_NAMES_new();

	if (s->n_sans > CERT_SANS_MAX)
		return err_set(e, ERR_INPUT, "certificate with %zu alternative names, %d at most", s->n_sans,
			       CERT_SANS_MAX);
	for (size_t i = 0; i < s->n_sans; i++) {
		GENERAL_NAME *g = general_name(s->sans[i]);
		if (!g || !names || !sk_GENERAL_NAME_push(names, g)) {
			GENERAL_NAME_free(g);
			return err_ssl(e, ERR_SYSTEM, "add alternative name");
		}
	}
	if (s->n_sans && X509_add1_ext_i2d(c, NID_subject_alt_name, names, 0, X509V3_ADD_APPEND) != 1)
		return err_ssl(e, ERR_SYSTEM, "add alternative names");
	return 0;
}

static int add_conf(X509 *c, int nid, const char *value, struct err *e)
{
	auto_ext X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	if (!x || !X509_add_ext(c, x, -1))
		return err_ssl(e, ERR_SYSTEM, "add certificate extension %s", OBJ_nid2sn(nid));
	return 0;
}

static int add_key_id(X509 *c, const uint8_t spki[static P256_SPKI], struct err *e)
{
	auto_octets ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
	uint8_t h[SHA256_DIGEST_LENGTH];

	SHA256(spki, P256_SPKI, h);
	if (!id || !ASN1_OCTET_STRING_set(id, h, 20) ||
	    X509_add1_ext_i2d(c, NID_subject_key_identifier, id, 0, X509V3_ADD_APPEND) != 1)
		return err_ssl(e, ERR_SYSTEM, "add subject key identifier");
	return 0;
}

static int add_ca(X509 *c, const struct cert_spec *s, const uint8_t *spki, struct err *e)
{
	char text[48];

	if (!s->is_ca)
		return 0;
	if (s->path_len >= 0)
		snprintf(text, sizeof text, "critical,CA:TRUE,pathlen:%d", s->path_len);
	else
		snprintf(text, sizeof text, "critical,CA:TRUE");
	return add_key_id(c, spki, e) || add_conf(c, NID_basic_constraints, text, e) ? -1 : 0;
}

static int add_crl_url(X509 *c, const char *url, struct err *e)
{
	char text[CERT_URL_MAX + 8];

	if (!url)
		return 0;
	if (strlen(url) > CERT_URL_MAX || strpbrk(url, ", ;\r\n"))
		return err_set(e, ERR_INPUT, "the URL of a revocation list is malformed");
	snprintf(text, sizeof text, "URI:%s", url);
	return add_conf(c, NID_crl_distribution_points, text, e);
}

// The order of spec 20 section 2.5.
static int add_extensions(X509 *c, const struct cert_spec *s, const uint8_t *spki, struct err *e)
{
	const char *usage =
		s->is_ca ? "critical,digitalSignature,keyCertSign,cRLSign" : "critical,digitalSignature";
	const char *eku =
		s->server_auth ? (s->client_auth ? "serverAuth,clientAuth" : "serverAuth") : "clientAuth";

	if (add_sans(c, s, e) || add_conf(c, NID_key_usage, usage, e))
		return -1;
	if ((s->server_auth || s->client_auth) && add_conf(c, NID_ext_key_usage, eku, e))
		return -1;
	if (add_ca(c, s, spki, e) || add_crl_url(c, s->crl_url, e))
		return -1;
	return add_content(c, CERT_EXT_APP_ID, s->app_id, e) ||
			       add_content(c, CERT_EXT_APP_INFO, s->app_info, e) ||
			       add_content(c, CERT_EXT_USAGE, s->usage, e) ||
			       add_content(c, CERT_EXT_ATTESTATION, s->attestation, e) ||
			       add_content(c, CERT_EXT_QUOTE, s->quote, e) ||
			       add_content(c, CERT_EXT_EVENT_LOG, s->event_log, e)
		       ? -1
		       : 0;
}

static int set_name(X509_NAME *n, const char *field, const char *text, struct err *e)
{
	size_t len = strlen(text);

	if (len > NAME_TEXT_MAX)
		return err_set(e, ERR_INPUT, "certificate %s of %zu bytes is too long", field, len);
	// Host names may pass the 64 bytes of ub-common-name, which X509_NAME_add_entry_by_txt enforces.
	X509_NAME_ENTRY *x = X509_NAME_ENTRY_new();
	ASN1_OBJECT *o = OBJ_txt2obj(field, 0);
	bool ok = x && o && X509_NAME_ENTRY_set_object(x, o) &&
		  X509_NAME_ENTRY_set_data(x, V_ASN1_UTF8STRING, (const uint8_t *)text, (int)len) &&
		  X509_NAME_add_entry(n, x, -1, 0);
	ASN1_OBJECT_free(o);
	X509_NAME_ENTRY_free(x);
	return ok ? 0 : err_ssl(e, ERR_SYSTEM, "set certificate %s", field);
}

// Serial: the key's digest, top bit clear, so the same key keeps its serial (spec 20 section 2.5).
static int set_serial(X509 *c, const struct cert_spec *s, const uint8_t spki[static P256_SPKI], struct err *e)
{
	uint8_t h[SHA256_DIGEST_LENGTH];

	SHA256(spki + (P256_SPKI - P256_POINT), P256_POINT, h);
	if (s->serial)
		memcpy(h, s->serial, 20);
	h[0] &= 0x7f;
	BIGNUM *b = BN_bin2bn(h, 20, NULL);
	bool ok = b && BN_to_ASN1_INTEGER(b, X509_get_serialNumber(c));
	BN_free(b);
	return ok ? 0 : err_ssl(e, ERR_SYSTEM, "set certificate serial");
}

// X509_set_pubkey encodes and decodes the key, which is most of the cost of a certificate.
static int set_key(X509 *c, const struct cert_spec *s, EVP_PKEY *key, const uint8_t *spki)
{
	if (!s->encode_only)
		return X509_set_pubkey(c, key);
	uint8_t *point = OPENSSL_memdup(spki + (P256_SPKI - P256_POINT), P256_POINT);
	if (point &&
	    X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(c), OBJ_nid2obj(NID_X9_62_id_ecPublicKey),
				   V_ASN1_OBJECT, OBJ_nid2obj(NID_X9_62_prime256v1), point, P256_POINT))
		return 1;
	OPENSSL_free(point);
	return 0;
}

static int set_head(X509 *c, const struct cert_spec *s, EVP_PKEY *key, const uint8_t *spki,
		    const struct cert_issuer *by, struct err *e)
{
	X509_NAME *name = X509_get_subject_name(c);
	time_t from = (time_t)s->not_before, to = (time_t)s->not_after;

	if (s->not_before >= s->not_after)
		return err_set(e, ERR_INPUT, "certificate would end before it begins");
	if (!X509_set_version(c, X509_VERSION_3) || !ASN1_TIME_set(X509_getm_notBefore(c), from) ||
	    !ASN1_TIME_set(X509_getm_notAfter(c), to) || !set_key(c, s, key, spki))
		return err_ssl(e, ERR_SYSTEM, "set certificate validity and key");
	if (set_serial(c, s, spki, e) || (s->org && set_name(name, "O", s->org, e)) ||
	    set_name(name, "CN", s->cn, e))
		return -1;
	if (!X509_set_issuer_name(c, by->cert ? X509_get_subject_name(by->cert) : name))
		return err_ssl(e, ERR_SYSTEM, "set certificate issuer");
	return 0;
}

static void *writable(const void *p)
{
	return (void *)(uintptr_t)p;
}

// The signer is elsewhere and signs digests only. OpenSSL 3.0 has no setters for what X509_sign fills in, but
// gives the places.
static int sign_elsewhere(X509 *c, const struct cert_issuer *by, struct err *e)
{
	uint8_t digest[SHA256_DIGEST_LENGTH], sig[P256_SIG_MAX], *tbs = NULL;
	ASN1_OBJECT *alg = OBJ_nid2obj(NID_ecdsa_with_SHA256);
	const ASN1_BIT_STRING *place;
	const X509_ALGOR *outer;
	size_t sig_n = sizeof sig;

	X509_get0_signature(&place, &outer, c);
	if (!X509_ALGOR_set0(writable(outer), alg, V_ASN1_UNDEF, NULL) ||
	    !X509_ALGOR_set0(writable(X509_get0_tbs_sigalg(c)), alg, V_ASN1_UNDEF, NULL))
		return err_ssl(e, ERR_SYSTEM, "encode certificate");
	int n = i2d_re_X509_tbs(c, &tbs);
	if (n <= 0)
		return err_ssl(e, ERR_SYSTEM, "encode certificate");
	SHA256(tbs, (size_t)n, digest);
	OPENSSL_free(tbs);
	if (by->sign(by->arg, digest, sig, &sig_n, e))
		return -1;
	ASN1_BIT_STRING *bits = writable(place);
	if (!ASN1_STRING_set(bits, sig, (int)sig_n))
		return err_ssl(e, ERR_SYSTEM, "encode certificate");
	bits->flags &= ~(ASN1_STRING_FLAG_BITS_LEFT | 7); // whole bytes
	bits->flags |= ASN1_STRING_FLAG_BITS_LEFT;
	return 0;
}

X509 *cert_issue(const struct cert_spec *spec, EVP_PKEY *subject_key, const struct cert_issuer *by,
		 struct err *e)
{
	auto_x509 X509 *c = X509_new();
	uint8_t spki[P256_SPKI];

	if (!c) {
		err_ssl(e, ERR_SYSTEM, "make certificate");
		return NULL;
	}
	if (p256_spki(subject_key, spki, e) || set_head(c, spec, subject_key, spki, by, e) ||
	    add_extensions(c, spec, spki, e)) {
		err_wrap(e, "issue certificate");
		return NULL;
	}
	if (!by->key && sign_elsewhere(c, by, e))
		return NULL;
	if (by->key && !X509_sign(c, by->key, EVP_sha256())) {
		err_ssl(e, ERR_SYSTEM, "sign certificate");
		return NULL;
	}
	return TAKE_SSL(c);
}

static int unwrap(const ASN1_OCTET_STRING *value, struct span *content)
{
	const uint8_t *p = ASN1_STRING_get0_data(value), *end = p + ASN1_STRING_length(value);
	long len = 0;
	int tag = 0, class = 0;

	if (ASN1_get_object(&p, &len, &tag, &class, end - p) || tag != V_ASN1_OCTET_STRING ||
	    class != V_ASN1_UNIVERSAL || p + len != end)
		return -1;
	*content = span_of(p, (size_t)len);
	return 0;
}

int cert_ext(const X509 *c, enum cert_ext which, struct span *content, struct err *e)
{
	auto_object ASN1_OBJECT *oid = ext_object(which);

	*content = span_of(NULL, 0);
	if (!oid)
		return err_ssl(e, ERR_SYSTEM, "read certificate");
	int at = X509_get_ext_by_OBJ(c, oid, -1);
	if (at < 0)
		return 0;
	if (X509_get_ext_by_OBJ(c, oid, at) >= 0)
		return err_code(e, ERR_INPUT, "cert.extension", "certificate has extension %d twice", which);
	if (unwrap(X509_EXTENSION_get_data(X509_get_ext(c, at)), content))
		return err_code(e, ERR_INPUT, "cert.extension",
				"certificate extension %d is not an OCTET STRING in an OCTET STRING", which);
	return 1;
}

bool cert_usage_is(const X509 *c, const char *usage)
{
	struct span got;
	struct err e;

	return cert_ext(c, CERT_EXT_USAGE, &got, &e) == 1 && span_is(got, usage);
}

uint64_t cert_not_after(const X509 *c)
{
	struct tm t = { 0 };
	time_t s = ASN1_TIME_to_tm(X509_get0_notAfter(c), &t) == 1 ? timegm(&t) : 0;

	return s > 0 ? (uint64_t)s : 0;
}

int cert_serial(const X509 *c, uint8_t out[static 20])
{
	const ASN1_INTEGER *i = X509_get0_serialNumber(c);
	int n = ASN1_STRING_length(i);

	if (n < 1 || n > 20 || ASN1_STRING_type(i) != V_ASN1_INTEGER)
		return -1;
	memset(out, 0, 20);
	memcpy(out + 20 - n, ASN1_STRING_get0_data(i), (size_t)n);
	return 0;
}

int cert_spki(X509 *c, uint8_t spki[static CERT_SPKI_MAX], size_t *n, struct err *e)
{
	X509_PUBKEY *k = X509_get_X509_PUBKEY(c);
	int len = k ? i2d_X509_PUBKEY(k, NULL) : -1;
	uint8_t *p = spki;

	if (len <= 0 || len > CERT_SPKI_MAX || i2d_X509_PUBKEY(k, &p) != len)
		return err_ssl(e, ERR_INPUT, "read the certificate's public key");
	*n = (size_t)len;
	return 0;
}

X509 *cert_from_pem(struct span pem, struct err *e)
{
	auto_bio BIO *in = pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	X509 *c = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;

	if (!c)
		err_ssl(e, ERR_INPUT, "read certificate");
	return c;
}

X509 *cert_from_der(struct span der, struct err *e)
{
	const uint8_t *p = der.p;
	auto_x509 X509 *c = der.n <= INT32_MAX ? d2i_X509(NULL, &p, (long)der.n) : NULL;

	if (!c) {
		err_ssl(e, ERR_INPUT, "read certificate");
		return NULL;
	}
	if (p != der.p + der.n) {
		err_set(e, ERR_INPUT, "read certificate: trailing bytes");
		return NULL;
	}
	return TAKE_SSL(c);
}

int cert_to_pem(X509 *c, char *out, size_t cap, struct err *e)
{
	auto_bio BIO *b = BIO_new(BIO_s_mem());
	int n = b && PEM_write_bio_X509(b, c) == 1 ? (int)BIO_pending(b) : -1;

	if (n <= 0)
		return err_ssl(e, ERR_SYSTEM, "encode certificate");
	if ((size_t)n >= cap)
		return err_set(e, ERR_BUG, "encode certificate: %d bytes do not fit in %zu", n, cap);
	if (BIO_read(b, out, n) != n)
		return err_ssl(e, ERR_SYSTEM, "encode certificate");
	out[n] = 0;
	return 0;
}
