#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "snp_fixture.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "core/codec/hex.h"
#include "core/sig/own.h"
#include "crypto/sig.h"

enum { KEYS = 5, SIG = 512 };

static EVP_PKEY *keys[KEYS];
static struct made made;
static struct snp work;

int snp_fixture_new(void **state)
{
	(void)state;
	keys[0] = EVP_RSA_gen(4096);
	keys[1] = EVP_RSA_gen(4096);
	keys[2] = EVP_EC_gen("P-384");
	keys[4] = EVP_EC_gen("P-384");
	return keys[0] && keys[1] && keys[2] && keys[4] ? 0 : -1;
}

int snp_fixture_free(void **state)
{
	(void)state;
	for (int i = 0; i < KEYS; i++)
		EVP_PKEY_free(keys[i]);
	return 0;
}

EVP_PKEY *snp_key(int which)
{
	if (!keys[which]) // the other RSA key, which not every test needs
		keys[which] = EVP_RSA_gen(4096);
	return keys[which];
}

struct made_sig sig_of(EVP_PKEY *key)
{
	return (struct made_sig){ key, "SHA384", 48 };
}

// ---- DER

static void put(struct wr *w, uint8_t tag, struct span body)
{
	wr_u8(w, tag);
	if (body.n > 255) {
		wr_u8(w, 0x82);
		wr_u8(w, (uint8_t)(body.n >> 8));
	} else if (body.n > 127) {
		wr_u8(w, 0x81);
	}
	wr_u8(w, (uint8_t)body.n);
	wr_span(w, body);
}

static struct span hex(const char *digits)
{
	static uint8_t buf[4][256];
	static int next;
	uint8_t *p = buf[next++ % 4];
	size_t n = strlen(digits) / 2;

	assert_true(n <= 256 && !hex_decode(p, n, span_str(digits)));
	return span_of(p, n);
}

static void put_hex(struct wr *w, const char *digits)
{
	wr_span(w, hex(digits));
}

// Wraps what `w` holds from `from` on.
static void wrap(struct wr *w, size_t from, uint8_t tag)
{
	static uint8_t copy[4096];
	size_t n = w->n - from;

	memcpy(copy, w->p + from, n);
	w->n = from;
	put(w, tag, span_of(copy, n));
}

#define ALGORITHM                                                                                            \
	"304606092a864886f70d01010a3039a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d" \
	"06"                                                                                                 \
	"096086480165030402020500a203020130a303020101"

static void put_attribute(struct wr *w, const char *oid, uint8_t tag, const char *text)
{
	size_t from = w->n;

	put_hex(w, oid);
	put(w, tag, span_str(text));
	wrap(w, from, 0x30);
	wrap(w, from, 0x31);
}

static void put_name(struct wr *w, const char *common)
{
	size_t from = w->n;

	put_attribute(w, "060355040b", 0x0c, "Engineering");
	put_attribute(w, "0603550406", 0x13, "US");
	put_attribute(w, "0603550407", 0x0c, "Santa Clara");
	put_attribute(w, "0603550408", 0x0c, "CA");
	put_attribute(w, "060355040a", 0x0c, "Advanced Micro Devices");
	put_attribute(w, "0603550403", 0x0c, common);
	wrap(w, from, 0x30);
}

static void put_key(struct wr *w, EVP_PKEY *key)
{
	uint8_t *der = NULL;
	int n = i2d_PUBKEY(key, &der);

	assert_true(n > 0);
	wr_put(w, der, (size_t)n);
	OPENSSL_free(der);
}

static void put_head(struct wr *w, uint32_t serial, const char *issuer, const char *subject, EVP_PKEY *key)
{
	put_hex(w, "a003020102");
	uint8_t number[3] = { (uint8_t)(serial >> 16), (uint8_t)(serial >> 8), (uint8_t)serial };
	put(w, 0x02, serial ? span_of(number, 3) : span_of(number, 1));
	put_hex(w, ALGORITHM);
	put_name(w, issuer);
	put_hex(w, "301e170d3230303130313030303030305a170d3330303130313030303030305a"); // 2020 to 2030
	put_name(w, subject);
	put_key(w, key);
}

static void put_extension(struct wr *w, const char *oid, bool critical, struct span value)
{
	size_t from = w->n;

	put(w, 0x06, hex(oid));
	if (critical)
		put_hex(w, "0101ff");
	put(w, 0x04, value);
	wrap(w, from, 0x30);
}

static void put_number(struct wr *w, const char *oid, int v)
{
	uint8_t der[4] = { 2, (uint8_t)(v > 127 ? 2 : 1), (uint8_t)(v > 127 ? 0 : v), (uint8_t)v };

	if (v >= 0)
		put_extension(w, oid, false, span_of(der, 2u + der[1]));
}

// tbs, algorithm and room for the signature around what `w` holds.
static void close_cert(struct made_cert *c, struct wr *w)
{
	uint8_t bits[1 + SIG] = { 0 };

	wrap(w, 0, 0x30);
	put_hex(w, ALGORITHM);
	put(w, 0x03, span_of(bits, sizeof bits));
	wrap(w, 0, 0x30);
	assert_false(w->bad);
	c->n = w->n;
}

void made_authority(struct made_cert *c, uint32_t serial, const char *issuer, const char *subject,
		    EVP_PKEY *key, const char *usage, const char *constraints)
{
	struct wr w = wr_to(c->der, sizeof c->der);

	put_head(&w, serial, issuer, subject, key);
	size_t from = w.n;
	if (usage)
		put_extension(&w, "551d0f", true, hex(usage));
	if (constraints)
		put_extension(&w, "551d13", true, hex(constraints));
	wrap(&w, from, 0x30);
	wrap(&w, from, 0xa3);
	close_cert(c, &w);
}

void made_vcek(struct made *m, struct made_sig how)
{
	static const char *const issuers[] = { "SEV-Milan", "SEV-Genoa", "SEV-Turin" };
	const struct made_vcek *v = &m->spec;
	struct wr w = wr_to(m->vcek.der, sizeof m->vcek.der);
	uint8_t value[80];
	char oid[32];

	put_head(&w, 0, issuers[m->product], v->name, v->key ? v->key : keys[2]);
	size_t from = w.n;
	put_number(&w, "2b060104019c780101", v->version);
	struct wr text = wr_to(value, sizeof value);
	if (v->product) {
		put(&text, 0x16, span_str(v->product));
		put_extension(&w, "2b060104019c780102", false, span_of(value, text.n));
	}
	for (int i = 1; i < 10; i++) {
		snprintf(oid, sizeof oid, "2b060104019c780103%02x", i);
		put_number(&w, oid, v->spl[i]);
	}
	text = wr_to(value, sizeof value);
	put(&text, 0x04, span_of(v->hwid, v->hwid_n));
	if (v->hwid_n)
		put_extension(&w, "2b060104019c780104", false,
			      v->wrapped ? span_of(value, text.n) : span_of(v->hwid, v->hwid_n));
	text = wr_to(value, sizeof value);
	if (v->csp) {
		put(&text, 0x16, span_str(v->csp));
		put_extension(&w, "2b060104019c780105", false, span_of(value, text.n));
	}
	if (v->extra)
		put_hex(&w, v->extra);
	wrap(&w, from, 0x30);
	wrap(&w, from, 0xa3);
	close_cert(&m->vcek, &w);
	made_sign_cert(&m->vcek, how);
}

static void sign_pss(uint8_t out[SIG], struct span msg, struct made_sig how)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx = NULL;
	size_t n = SIG;

	assert_int_equal(EVP_DigestSignInit_ex(md, &ctx, how.hash, NULL, NULL, how.key, NULL), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, how.salt), 1);
	assert_int_equal(EVP_DigestSign(md, out, &n, msg.p, msg.n), 1);
	assert_int_equal(n, SIG);
	EVP_MD_CTX_free(md);
}

void made_sign_cert(struct made_cert *c, struct made_sig how)
{
	size_t tbs = 4 + ((size_t)c->der[6] << 8 | c->der[7]); // both headers have four bytes

	sign_pss(c->der + c->n - SIG, span_of(c->der + 4, tbs), how);
}

size_t made_crl(uint8_t *out, size_t cap, const struct made *m, uint32_t serial, uint64_t from, uint64_t to,
		struct made_sig how)
{
	static const char *const issuers[] = { "ARK-Milan", "ARK-Genoa", "ARK-Turin" };
	uint8_t number[3] = { (uint8_t)(serial >> 16), (uint8_t)(serial >> 8), (uint8_t)serial },
		sig[1 + SIG] = { 0 };
	struct wr w = wr_to(out, cap);
	char text[2][32];
	const uint64_t when[2] = { from, to };

	for (int i = 0; i < 2; i++) {
		time_t t = (time_t)when[i];
		strftime(text[i], sizeof text[i], "%Y%m%d%H%M%SZ", gmtime(&t));
	}
	put_hex(&w, "020101");
	put_hex(&w, ALGORITHM);
	put_name(&w, issuers[m->product]);
	put(&w, 0x17, span_str(text[0] + 2)); // UTCTime
	put(&w, 0x17, span_str(text[1] + 2));
	if (serial) {
		size_t at = w.n;
		put(&w, 0x02, span_of(number, 3));
		put(&w, 0x17, span_str(text[0] + 2));
		wrap(&w, at, 0x30);
		wrap(&w, at, 0x30);
	}
	put_hex(&w, "a00e300c300a0603551d140403020101"); // CRL number
	wrap(&w, 0, 0x30);
	sign_pss(sig + 1, span_of(out, w.n), how);
	put_hex(&w, ALGORITHM);
	put(&w, 0x03, span_of(sig, sizeof sig));
	wrap(&w, 0, 0x30);
	assert_false(w.bad);
	return w.n;
}

void made_replace(struct made_cert *c, const void *from, const void *to, size_t n)
{
	size_t found = 0;

	for (size_t i = 0; i + n <= c->n; i++)
		if (!memcmp(c->der + i, from, n)) {
			memcpy(c->der + i, to, n);
			found++;
		}
	assert_true(found);
}

// ---- the report

static void le(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

void made_sign_report(struct made *m, EVP_PKEY *key)
{
	uint8_t der[128], be[48];
	const uint8_t *p = der;
	size_t n = sizeof der;
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	assert_int_equal(EVP_DigestSignInit_ex(md, NULL, "SHA384", NULL, NULL, key, NULL), 1);
	assert_int_equal(EVP_DigestSign(md, der, &n, m->report, SNP_SIGNED), 1);
	EVP_MD_CTX_free(md);
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
	assert_non_null(sig);
	const BIGNUM *part[2] = { ECDSA_SIG_get0_r(sig), ECDSA_SIG_get0_s(sig) };
	memset(m->report + SNP_SIGNED, 0, SNP_REPORT - SNP_SIGNED);
	for (int i = 0; i < 2; i++) {
		BN_bn2binpad(part[i], be, 48);
		for (size_t k = 0; k < 48; k++)
			m->report[SNP_SIGNED + 72 * (size_t)i + k] = be[47 - k];
	}
	ECDSA_SIG_free(sig);
}

static void fill_report(struct made *m, uint32_t version)
{
	static const uint8_t cpu[SNP_PRODUCTS][3] = { { 0x19, 0x01, 1 },
						      { 0x19, 0x11, 1 },
						      { 0x1a, 0x02, 1 } };
	static const uint8_t tcb[SNP_PRODUCTS][8] = { { 4, 1, 0, 0, 0, 0, 0x18, 0xd5 },
						      { 10, 2, 0, 0, 0, 0, 0x17, 0x54 },
						      { 1, 2, 3, 4, 0, 0, 0, 0x48 } };
	static const size_t at[] = { 0x38, 0x180, 0x1e0, 0x1f0 };
	uint8_t *r = m->report;

	memset(r, 0, SNP_REPORT);
	le(r, version, 4);
	le(r + 8, 0x30000, 8);
	r[0x34] = 1;
	r[0x40] = 0x25;
	memset(r + 0x50, 0x5a, 64);
	memset(r + 0x90, 0x77, 48);
	memset(r + 0xc0, 0x33, 32);
	memset(r + 0x140, 0x44, 32);
	memset(r + 0x160, 0xff, 32);
	if (version > 2)
		memcpy(r + 0x188, cpu[m->product], 3);
	for (size_t i = 0; i < (m->product == SNP_TURIN ? 8 : 64); i++)
		r[0x1a0 + i] = (uint8_t)(i + 1);
	for (size_t i = 0; i < 4; i++)
		memcpy(r + at[i], tcb[m->product], 8);
	le(r + 0x1e8, 0x01371d, 3);
	le(r + 0x1ec, 0x01371d, 3);
}

static void fill_spec(struct made *m)
{
	static const char *const names[] = { "Milan-B0", "Genoa", "Turin-C1" };
	static const uint8_t parts[2][8] = { { 1, 2, 4, 5, 6, 7, 3, 8 }, { 9, 1, 2, 3, 5, 6, 7, 8 } };
	bool is_turin = m->product == SNP_TURIN;
	struct made_vcek *v = &m->spec;

	*v = (struct made_vcek){ .product = names[m->product], .version = is_turin, .name = "SEV-VCEK" };
	for (size_t i = 0; i < 10; i++)
		v->spl[i] = -1;
	for (size_t i = 0; i < 8; i++)
		v->spl[parts[is_turin][i]] = m->report[0x180 + i];
	v->hwid_n = is_turin ? 8 : 64;
	memcpy(v->hwid, m->report + 0x1a0, v->hwid_n);
}

struct made *made_new(enum snp_product p, uint32_t version)
{
	static const char *const arks[] = { "ARK-Milan", "ARK-Genoa", "ARK-Turin" };
	static const char *const asks[] = { "SEV-Milan", "SEV-Genoa", "SEV-Turin" };
	static struct made cached[SNP_PRODUCTS]; // signing with 4096 bits takes its time
	struct made *m = &made;

	if (!cached[p].vcek.n) {
		m->product = p;
		fill_report(m, 3);
		fill_spec(m);
		made_authority(&m->ark, 0x10000, arks[p], arks[p], keys[0], MADE_ARK_USAGE, MADE_CA_ANY);
		made_sign_cert(&m->ark, sig_of(keys[0]));
		made_authority(&m->ask, 0x10001, arks[p], asks[p], keys[1], MADE_ASK_USAGE, MADE_CA_LEAF);
		made_sign_cert(&m->ask, sig_of(keys[0]));
		made_vcek(m, sig_of(keys[1]));
		cached[p] = *m;
	}
	*m = cached[p];
	fill_report(m, version);
	made_sign_report(m, keys[2]);
	m->in = (struct snp_input){ .report = span_of(m->report, SNP_REPORT), .n_items = 2, .now = SNP_NOW };
	m->in.items[0] = span_of(m->ask.der, m->ask.n);
	m->in.items[1] = span_of(m->vcek.der, m->vcek.n);
	return m;
}

static void begin(const struct made *m)
{
	struct snp_input in = m->in;

	for (size_t i = 0; i < in.n_items && i < SNP_ITEMS; i++) // they may have been rebuilt
		if (in.items[i].p == m->vcek.der || in.items[i].p == m->ask.der)
			in.items[i].n = in.items[i].p == m->ask.der ? m->ask.n : m->vcek.n;
	snp_begin(&work, &in, span_of(m->ark.der, m->ark.n), ANCHOR_DEVELOPMENT);
}

enum reason made_judge(const struct made *m, struct snp_result *out)
{
	uint32_t passed = 0;

	begin(m);
	for (size_t i = 0; i < work.checks; i++) {
		bool ok = sig_verify(&work.check[i]);
		assert_int_equal(ok, sig_own(&work.check[i]));
		passed |= (uint32_t)ok << i;
	}
	return snp_finish(&work, passed, out);
}

enum reason made_judge_rules(const struct made *m)
{
	struct snp_result out;

	begin(m);
	return snp_finish(&work, UINT32_MAX, &out);
}

enum reason made_judge_report(const struct made *m)
{
	uint32_t passed = UINT32_MAX;
	struct snp_result out;

	begin(m);
	for (size_t i = 0; i < work.checks; i++)
		if (work.check[i].reason == REASON_SNP_SIGNATURE && !sig_verify(&work.check[i]))
			passed &= ~(1u << i);
	return snp_finish(&work, passed, &out);
}

struct snp_result result;

void expect(const struct made *m, enum reason want)
{
	enum reason got = made_judge_rules(m);

	if (got != want)
		fail_msg("%s, expected %s", reason_text(got)->code, reason_text(want)->code);
}

void expect_signed(const struct made *m, enum reason want)
{
	enum reason got = made_judge(m, &result);

	if (got != want)
		fail_msg("%s, expected %s", reason_text(got)->code, reason_text(want)->code);
}
