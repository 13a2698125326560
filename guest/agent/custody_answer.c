#include <openssl/err.h>
#include <stddef.h>
#include <string.h>
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "custody_wire.h"

enum { DIGEST = 32 };

// A part of a request: strings have their NUL at the end and nowhere else.
struct part {
	const uint8_t *p;
	size_t n;
};

typedef int answer_fn(struct keyring *k, enum custody_algorithm algorithm, struct part a, struct part b,
		      struct custody_reply *r, struct err *e);

static const char *name(enum custody_algorithm algorithm)
{
	return algorithm == CUSTODY_ED25519 ? "ed25519" : "secp256k1";
}

static bool is_string(struct part s)
{
	return s.n && memchr(s.p, 0, s.n) == s.p + s.n - 1;
}

static int do_key(struct keyring *k, enum custody_algorithm algorithm, struct part a, struct part b,
		  struct custody_reply *r, struct err *e)
{
	if (!is_string(a) || !is_string(b))
		return err_set(e, ERR_BUG, "a string without end");
	return derive_key(&k->file, (const char *)a.p, (const char *)b.p, name(algorithm), &r->key, e);
}

static int do_secret(struct keyring *k, enum custody_algorithm algorithm, struct part a, struct part b,
		     struct custody_reply *r, struct err *e)
{
	const struct secret *root = k->file.k256;

	(void)algorithm, (void)b;
	if (!is_string(a))
		return err_set(e, ERR_BUG, "a string without end");
	return derive_secret(root, (const char *)a.p, r->secret, e);
}

static int do_sign(struct keyring *k, enum custody_algorithm algorithm, struct part a, struct part b,
		   struct custody_reply *r, struct err *e)
{
	(void)b;
	return app_sign(&k->file, algorithm == CUSTODY_K256 ? "secp256k1_prehashed" : "ed25519",
			span_of(a.p, a.n), &r->sig, e);
}

static int do_signing_key(struct keyring *k, enum custody_algorithm algorithm, struct part a, struct part b,
			  struct custody_reply *r, struct err *e)
{
	(void)a, (void)b;
	int rc = app_signing_key(&k->file, name(algorithm), &r->key, e);
	secret_wipe(r->key.key, sizeof r->key.key);
	return rc;
}

static int do_cert(struct keyring *k, enum custody_algorithm algorithm, struct part a, struct part b,
		   struct custody_reply *r, struct err *e)
{
	size_t n = 0;

	(void)algorithm, (void)b;
	if (!k->ca || a.n != DIGEST)
		return err_set(e, ERR_BUG, "the app has no CA of its own, or this is no digest");
	if (p256_sign_digest(k->ca, a.p, r->cert.sig, &n, e))
		return -1;
	r->cert.n = (uint32_t)n;
	return 0;
}

static answer_fn *const table[CUSTODY_OPS] = {
	[CUSTODY_KEY] = do_key,   [CUSTODY_SECRET] = do_secret,
	[CUSTODY_SIGN] = do_sign, [CUSTODY_SIGNING_KEY] = do_signing_key,
	[CUSTODY_CERT] = do_cert,
};

bool custody_answer(struct keyring *k, const struct custody_request *q, size_t n, struct custody_reply *a)
{
	const struct custody_head *h = &q->head;

	if (n < sizeof *h || h->op >= CUSTODY_OPS || h->algorithm >= CUSTODY_ALGORITHMS ||
	    h->a_n > CUSTODY_BYTES || h->b_n > CUSTODY_BYTES || sizeof *h + h->a_n + h->b_n != n)
		return false;
	*a = (struct custody_reply){ 0 };
	if (table[h->op](k, (enum custody_algorithm)h->algorithm, (struct part){ q->bytes, h->a_n },
			 (struct part){ q->bytes + h->a_n, h->b_n }, a, &a->err) &&
	    a->err.class == ERR_NONE)
		a->err.class = ERR_BUG;
	return true;
}

size_t custody_reply_size(const struct custody_reply *a)
{
	return a->err.class == ERR_NONE ? offsetof(struct custody_reply, err) : sizeof *a;
}

static int copy(char *out, size_t max, const char *text, const char *what, struct err *e)
{
	size_t n = text ? strlen(text) : 0;

	if (n >= max)
		return err_code(e, ERR_INPUT, "agent.keys", "%s has %zu bytes, at most %zu", what, n,
				max - 1);
	memcpy(out, n ? text : "", n + 1);
	return 0;
}

static int publish(const struct key_file *f, struct app_public *out, struct err *e)
{
	memset(out, 0, sizeof *out);
	memcpy(out->k256_signature, f->k256_signature, sizeof out->k256_signature);
	out->k256_signature_n = f->k256_signature_n;
	out->provider = f->provider;
	return copy(out->ca_cert, sizeof out->ca_cert, f->ca_cert, "ca_cert", e) ||
			       copy(out->kms_url, sizeof out->kms_url, f->kms_url, "url", e) ||
			       copy(out->tmp_ca_cert, sizeof out->tmp_ca_cert, f->tmp_ca_cert, "tmp_ca_cert",
				    e) ||
			       copy(out->tmp_ca_key, sizeof out->tmp_ca_key, f->tmp_ca_key, "tmp_ca_key", e)
		       ? -1
		       : 0;
}

static int open_ca(struct keyring *k, struct err *e)
{
	const struct key_file *f = &k->file;

	if (f->provider == PROVIDER_KMS)
		return 0;
	auto_x509 X509 *ca = cert_from_pem(span_str(f->ca_cert), e);
	k->ca = ca ? p256_from_pem(span_of(f->ca_key->b, f->ca_key->n), e) : NULL;
	if (k->ca && X509_check_private_key(ca, k->ca) == 1)
		return 0;
	ERR_clear_error();
	return err_code(e, ERR_INPUT, "agent.keys", "the app's CA: %s",
			k->ca ? "its certificate is not that of its key"
			      : "its certificate or key cannot be read");
}

int keyring_open(struct keyring *k, struct key_file *file, struct app_public *out, struct err *e)
{
	*k = (struct keyring){ .file = *file };
	*file = (struct key_file){ 0 };
	if (!publish(&k->file, out, e) && !open_ca(k, e))
		return 0;
	keyring_close(k);
	return -1;
}

void keyring_close(struct keyring *k)
{
	EVP_PKEY_free(k->ca);
	key_file_free(&k->file);
	*k = (struct keyring){ 0 };
}
