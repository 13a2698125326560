#include "crypto/engine.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "core/attest/dcap_text.h"
#include "crypto/held.h"
#include "crypto/intel_root.h"
#include "crypto/sig.h"

enum { ANCHORS = 4, ANCHOR_MAX = 4096, KEYS = 16, SETS = 256, WAYS = 4, DER_SIG_MAX = 72, DIGEST = 32 };

struct trusted {
	enum anchor anchor;
	size_t n;
	uint8_t der[ANCHOR_MAX];
};

// A key that has verified something, ready for the next time.
struct key {
	enum reason reason; // of the check that it was made for
	uint8_t raw[64];
	EVP_PKEY *pkey;
	EVP_PKEY_CTX *ctx;
};

struct engine {
	size_t anchors;
	struct trusted anchor[ANCHORS];
	struct snp_roots snp;
	bool has_development;
	EVP_MD *sha256;
	EVP_MD_CTX *md;
	EVP_PKEY *any_key; // some public key of P-256: others are made of a copy, at a quarter of the cost
	struct key key[KEYS];
	size_t next_key;
	struct proof {
		enum reason reason;
		uint8_t id[DIGEST]; // all zero: none
	} proof[SETS][WAYS];
	uint8_t next_way[SETS];
	struct engine_stats stats;
	struct held_set held;
	struct dcap work;
};

static EVP_PKEY *root_key(void)
{
	EVP_PKEY *key = NULL;
	struct span der = intel_root();
	const unsigned char *p = der.p;
	X509 *root = d2i_X509(NULL, &p, (long)der.n);

	if (root)
		key = X509_get_pubkey(root);
	X509_free(root);
	return key;
}

struct engine *engine_new(struct err *e)
{
	struct engine *g = calloc(1, sizeof *g);

	if (!g) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	g->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	g->md = EVP_MD_CTX_new();
	g->any_key = root_key();
	if (!g->sha256 || !g->md || !g->any_key || engine_only_root(g, intel_root(), e)) {
		err_set(e, ERR_SYSTEM, "OpenSSL lacks SHA-256 or P-256");
		engine_free(g);
		return NULL;
	}
	snp_roots_amd(&g->snp);
	return g;
}

static void drop_key(struct key *k)
{
	EVP_PKEY_CTX_free(k->ctx);
	EVP_PKEY_free(k->pkey);
	*k = (struct key){ 0 };
}

void engine_free(struct engine *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < KEYS; i++)
		drop_key(&g->key[i]);
	EVP_PKEY_free(g->any_key);
	EVP_MD_CTX_free(g->md);
	EVP_MD_free(g->sha256);
	free(g);
}

int engine_add_root(struct engine *g, struct span der, struct err *e)
{
	struct trusted *t = &g->anchor[g->anchors];
	enum snp_product product;

	if (snp_root_product(der, &product)) {
		g->has_development |= snp_root_anchor(der) == ANCHOR_DEVELOPMENT;
		return snp_roots_add(&g->snp, der, e);
	}
	if (g->anchors == ANCHORS)
		return err_code(e, ERR_INPUT, "root.format", "more than %d trusted roots", ANCHORS);
	if (!der.n || der.n > ANCHOR_MAX)
		return err_code(e, ERR_INPUT, "root.format", "a root certificate of %zu bytes", der.n);
	t->anchor = span_eq(der, intel_root()) ? ANCHOR_INTEL : ANCHOR_DEVELOPMENT;
	t->n = der.n;
	memcpy(t->der, der.p, der.n);
	g->anchors++;
	g->has_development |= t->anchor == ANCHOR_DEVELOPMENT;
	return 0;
}

int engine_only_root(struct engine *g, struct span der, struct err *e)
{
	g->anchors = g->snp.n = 0;
	g->has_development = false;
	return engine_add_root(g, der, e);
}

bool engine_has_development(const struct engine *g)
{
	return g->has_development;
}

const struct snp_roots *engine_snp_roots(const struct engine *g)
{
	return &g->snp;
}

// ---- one signature

static bool digest_of(struct engine *g, const struct span *part, size_t parts, uint8_t out[DIGEST])
{
	bool ok = EVP_DigestInit_ex2(g->md, g->sha256, NULL) == 1;

	for (size_t i = 0; i < parts; i++)
		ok = ok && EVP_DigestUpdate(g->md, part[i].p, part[i].n) == 1;
	return ok && EVP_DigestFinal_ex(g->md, out, NULL) == 1;
}

static void put_integer(struct wr *w, const uint8_t v[32])
{
	size_t skip = 0;

	while (skip < 31 && !v[skip])
		skip++;
	bool pad = v[skip] & 0x80;
	wr_u8(w, 0x02);
	wr_u8(w, (uint8_t)(32 - skip + pad));
	if (pad)
		wr_u8(w, 0);
	wr_put(w, v + skip, 32 - skip);
}

static size_t der_signature(const uint8_t raw[64], uint8_t out[DER_SIG_MAX])
{
	uint8_t body[DER_SIG_MAX];
	struct wr in = wr_to(body, sizeof body), w = wr_to(out, DER_SIG_MAX);

	put_integer(&in, raw);
	put_integer(&in, raw + 32);
	wr_u8(&w, 0x30);
	wr_u8(&w, (uint8_t)in.n);
	wr_put(&w, body, in.n);
	return w.n;
}

// OpenSSL refuses a point that is not on the curve.
static bool make_key(struct engine *g, const uint8_t raw[64], struct key *k)
{
	uint8_t point[65] = { 4 };

	memcpy(k->raw, raw, 64);
	memcpy(point + 1, raw, 64);
	k->pkey = EVP_PKEY_dup(g->any_key);
	if (!k->pkey || EVP_PKEY_set1_encoded_public_key(k->pkey, point, sizeof point) != 1)
		return false;
	k->ctx = EVP_PKEY_CTX_new(k->pkey, NULL);
	return k->ctx && EVP_PKEY_verify_init(k->ctx) == 1;
}

static struct key *known_key(struct engine *g, const uint8_t raw[64])
{
	for (size_t i = 0; i < KEYS; i++)
		if (g->key[i].ctx && !memcmp(g->key[i].raw, raw, 64))
			return &g->key[i];
	return NULL;
}

static bool verify_digest(struct engine *g, enum reason why, const uint8_t raw[64],
			  const uint8_t digest[DIGEST], const uint8_t sig[64])
{
	struct key fresh = { .reason = why }, *k = known_key(g, raw);
	uint8_t der[DER_SIG_MAX];
	size_t n = der_signature(sig, der);
	bool ok = k || make_key(g, raw, &fresh);

	g->stats.verified++;
	ok = ok && EVP_PKEY_verify(k ? k->ctx : fresh.ctx, der, n, digest, DIGEST) == 1;
	if (ok && !k) {
		k = &g->key[g->next_key++ % KEYS];
		drop_key(k);
		*k = fresh;
	} else if (!k) {
		drop_key(&fresh);
	}
	ERR_clear_error();
	return ok;
}

bool engine_p256(struct engine *g, const uint8_t key[static 64], struct span msg,
		 const uint8_t sig[static 64])
{
	uint8_t digest[DIGEST];

	return digest_of(g, &msg, 1, digest) && verify_digest(g, REASON_OK, key, digest, sig);
}

static bool run_check(struct engine *g, const struct sig_check *c)
{
	static const uint8_t none[DIGEST];
	uint8_t message[DIGEST], id[DIGEST], kind = (uint8_t)c->alg;
	// Lengths follow from the kind, for RSA from the total.
	struct span parts[4] = { span_of(&kind, 1), c->key, c->sig, span_of(message, DIGEST) };

	if (!sig_check_is_sound(c))
		return false;
	if (held_knows(&g->held, c)) {
		g->stats.cached++;
		return true;
	}
	if (!digest_of(g, &c->msg, 1, message) || !digest_of(g, parts, 4, id) || !memcmp(id, none, DIGEST))
		return false;
	struct proof *set = g->proof[id[0]];
	for (size_t i = 0; i < WAYS; i++)
		if (!memcmp(set[i].id, id, DIGEST)) {
			g->stats.cached++;
			held_prove(&g->held, c);
			return true;
		}
	if (c->alg != SIG_P256_SHA256)
		g->stats.verified++;
	if (c->alg == SIG_P256_SHA256 ? !verify_digest(g, c->reason, c->key.p, message, c->sig.p)
				      : !sig_verify(c))
		return false;
	struct proof *p = &set[g->next_way[id[0]]++ % WAYS];
	p->reason = c->reason;
	memcpy(p->id, id, DIGEST);
	held_prove(&g->held, c);
	return true;
}

void engine_forget(struct engine *g, enum reason from)
{
	for (size_t i = 0; i < SETS; i++)
		for (size_t k = 0; k < WAYS; k++)
			if (g->proof[i][k].reason >= from)
				g->proof[i][k] = (struct proof){ 0 };
	for (size_t i = 0; i < KEYS; i++)
		if (g->key[i].reason >= from)
			drop_key(&g->key[i]);
	held_forget(&g->held, from);
}

struct engine_stats engine_stats(const struct engine *g)
{
	struct engine_stats s = g->stats;

	s.decoded = g->held.decoded;
	return s;
}

// ---- a quote

size_t engine_roots(const struct engine *g)
{
	return g->anchors;
}

const struct dcap_collateral *engine_collateral(struct engine *g, struct span text, size_t root)
{
	const struct trusted *t = &g->anchor[root];

	assert(root < g->anchors);
	return held_get(&g->held, text, span_of(t->der, t->n), t->anchor);
}

uint32_t engine_run(struct engine *g, const struct sig_check *check, size_t n, enum reason reason)
{
	uint32_t passed = 0, done = 0;

	for (size_t left = n <= SIG_CHECKS ? n : 0; left; left--) {
		size_t next = n;
		for (size_t i = 0; i < n; i++)
			if (!(done >> i & 1) && (next == n || check[i].reason < check[next].reason))
				next = i;
		done |= 1u << next;
		if (reason != REASON_OK && check[next].reason > reason)
			break;
		if (!run_check(g, &check[next]))
			break;
		passed |= 1u << next;
	}
	return passed;
}

static enum err_class class_of(enum reason r)
{
	return dcap_unreadable(r) ? ERR_INPUT : ERR_UNTRUSTED;
}

int dcap_verify(struct engine *g, const struct dcap_input *in, struct dcap_result *out, struct err *e)
{
	enum reason furthest = REASON_OK;
	char text[300];

	*out = (struct dcap_result){ 0 };
	for (size_t i = 0; i < g->anchors || !i; i++) { // without any it still says what is wrong
		const struct dcap_collateral *col =
			g->anchors ? engine_collateral(g, in->collateral, i)
				   : held_get(&g->held, in->collateral, (struct span){ 0 }, ANCHOR_NONE);
		dcap_begin(&g->work, in, col);
		enum reason why = dcap_finish(
			&g->work, engine_run(g, g->work.check, g->work.checks, g->work.reason), out);
		if (why == REASON_OK)
			return 0;
		if (i && why <= furthest)
			continue;
		furthest = why;
		dcap_explain(&g->work, why, text, sizeof text);
		err_code(e, class_of(why), reason_text(why)->code, "%s", text);
	}
	return -1;
}
