#include "crypto/crl.h"

#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "core/codec/der.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"

enum {
	TAG_UTC_TIME = 0x17,
	TAG_GENERALIZED_TIME = 0x18,
	TAG_EXTENSIONS = 0xa0,
	TAG_KEY_ID = 0x80,
	NAME_MAX_DER = 1024,
	HEAD_ROOM = NAME_MAX_DER + 512, // all but the entries
	ENTRY_MAX = 2 + 2 + CRL_SERIAL + 1 + 17,
};

static const uint8_t ecdsa_with_sha256[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
					     0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };
static const uint8_t oid_key_id[] = { 0x06, 0x03, 0x55, 0x1d, 0x23 };
static const uint8_t oid_number[] = { 0x06, 0x03, 0x55, 0x1d, 0x14 };

static void put_head(struct wr *w, uint8_t tag, size_t n)
{
	wr_u8(w, tag);
	if (n < 0x80) {
		wr_u8(w, (uint8_t)n);
	} else if (n < 0x100) {
		wr_u8(w, 0x81);
		wr_u8(w, (uint8_t)n);
	} else if (n < 0x10000) {
		wr_u8(w, 0x82);
		wr_be16(w, (uint16_t)n);
	} else {
		wr_u8(w, 0x83);
		wr_u8(w, (uint8_t)(n >> 16));
		wr_be16(w, (uint16_t)n);
		w->bad |= n >= 1 << 24;
	}
}

static void put(struct wr *w, uint8_t tag, const void *p, size_t n)
{
	put_head(w, tag, n);
	wr_put(w, p, n);
}

// The shortest form: no leading zero byte but where the top bit would make it negative.
static void put_unsigned(struct wr *w, const uint8_t *p, size_t n)
{
	while (n > 1 && !p[0])
		p++, n--;
	put_head(w, DER_INTEGER, n + (p[0] >> 7));
	if (p[0] >> 7)
		wr_u8(w, 0);
	wr_put(w, p, n);
}

static void put_time(struct wr *w, uint64_t seconds)
{
	char text[24];
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || tm.tm_year + 1900 > 9999) {
		w->bad = true;
		return;
	}
	bool old = tm.tm_year + 1900 < 2050;
	size_t n = strftime(text, sizeof text, "%Y%m%d%H%M%SZ", &tm);
	if (old) // two digits of the year
		put(w, TAG_UTC_TIME, text + 2, n - 2);
	else
		put(w, TAG_GENERALIZED_TIME, text, n);
}

// What a function writes, within a tag.
static void put_around(struct wr *w, uint8_t tag, const struct wr *body)
{
	put(w, tag, body->p, body->n);
	w->bad |= body->bad;
}

static void put_entry(struct wr *w, const struct crl_entry *x)
{
	uint8_t b[ENTRY_MAX];
	struct wr in = wr_to(b, sizeof b);

	put_unsigned(&in, x->serial, sizeof x->serial);
	put_time(&in, x->at);
	put_around(w, DER_SEQUENCE, &in);
}

static void put_extension(struct wr *w, const void *oid, size_t oid_n, const struct wr *value)
{
	uint8_t b[128];
	struct wr in = wr_to(b, sizeof b);

	wr_put(&in, oid, oid_n);
	put_around(&in, DER_OCTET_STRING, value);
	put_around(w, DER_SEQUENCE, &in);
}

static void put_extensions(struct wr *w, const struct crl_spec *s)
{
	const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(s->issuer);
	uint8_t a[64], b[64], c[16], d[160], f[192], number[8];
	struct wr key = wr_to(a, sizeof a), key_id = wr_to(b, sizeof b), num = wr_to(c, sizeof c),
		  all = wr_to(d, sizeof d), list = wr_to(f, sizeof f), be = wr_to(number, sizeof number);

	put(&key, TAG_KEY_ID, ASN1_STRING_get0_data(id), (size_t)ASN1_STRING_length(id));
	put_around(&key_id, DER_SEQUENCE, &key);
	wr_be64(&be, s->number);
	put_unsigned(&num, number, sizeof number);
	put_extension(&all, oid_key_id, sizeof oid_key_id, &key_id);
	put_extension(&all, oid_number, sizeof oid_number, &num);
	put_around(&list, DER_SEQUENCE, &all);
	put_around(w, TAG_EXTENSIONS, &list);
}

static int put_issuer(struct wr *w, X509 *issuer)
{
	uint8_t name[NAME_MAX_DER], *p = name;
	const X509_NAME *subject = X509_get_subject_name(issuer);
	int n = i2d_X509_NAME(subject, NULL);

	if (n <= 0 || n > NAME_MAX_DER || i2d_X509_NAME(subject, &p) != n)
		return -1;
	wr_put(w, name, (size_t)n);
	return 0;
}

// Each layer into the half of `room` that the layer before is not in.
static struct wr to_be_signed(const struct crl_spec *s, uint8_t *room, size_t half)
{
	static const uint8_t v2 = 1;
	struct wr list = wr_to(room, half), body = wr_to(room + half, half), tbs = wr_to(room, half);

	for (size_t i = 0; i < s->n; i++)
		put_entry(&list, &s->entry[i]);
	put(&body, DER_INTEGER, &v2, 1);
	wr_put(&body, ecdsa_with_sha256, sizeof ecdsa_with_sha256);
	body.bad |= list.bad || put_issuer(&body, s->issuer);
	put_time(&body, s->this_update);
	put_time(&body, s->next_update);
	if (s->n)
		put_around(&body, DER_SEQUENCE, &list);
	put_extensions(&body, s);
	put_around(&tbs, DER_SEQUENCE, &body);
	return tbs;
}

int crl_issue(const struct crl_spec *s, crl_sign *sign, void *arg, uint8_t **der, size_t *n, struct err *e)
{
	const size_t half = HEAD_ROOM + s->n * ENTRY_MAX;
	auto_free uint8_t *room = malloc(2 * half);
	uint8_t digest[SHA256_DIGEST_LENGTH], sig[P256_SIG_MAX + 1] = { 0 };
	size_t sig_n = P256_SIG_MAX;

	if (!room)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (!X509_get0_subject_key_id(s->issuer) || s->next_update <= s->this_update)
		return err_set(e, ERR_BUG, "revocation list without an issuer's key id, or that never holds");
	struct wr tbs = to_be_signed(s, room, half), all = wr_to(room + half, half);
	if (tbs.bad)
		return err_set(e, ERR_BUG, "a revocation list of %zu entries does not fit", s->n);
	SHA256(tbs.p, tbs.n, digest);
	if (sign(arg, digest, sig + 1, &sig_n, e))
		return -1;
	wr_put(&all, tbs.p, tbs.n);
	wr_put(&all, ecdsa_with_sha256, sizeof ecdsa_with_sha256);
	put(&all, DER_BIT_STRING, sig, sig_n + 1); // the first byte: no bits unused
	uint8_t *out = malloc(all.n + 8);
	struct wr w = wr_to(out, out ? all.n + 8 : 0);
	put_around(&w, DER_SEQUENCE, &all);
	if (w.bad) {
		free(out);
		return err_set(e, ERR_SYSTEM, "encode a revocation list");
	}
	*der = out;
	*n = w.n;
	return 0;
}
