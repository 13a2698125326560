#include "ratls/trust.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/time.h"
#include "core/hash/sha2.h"
#include "crypto/engine.h"
#include "ratls/images.h"
#include "ratls/pccs.h"
#include "ratls/verify.h"

enum { KEPT = 32, KEEP_SECONDS = 600, ROOT_MAX = 64 << 10 };

// A positive result, by certificate and expectation. Refusals are not kept: they may be about a passing
// state.
struct kept {
	uint8_t key[32];
	uint64_t until;
	struct trust_result result;
};

struct trust {
	struct pccs *pccs;
	pthread_mutex_t lock; // engine, images and kept
	struct engine *engine;
	struct images *images;
	bool has_images; // a folder is configured
	bool intel_components;
	struct kept *kept;
	size_t next;
	struct trust_stats stats;
};

// DER, or the first certificate of a PEM file.
static int add_root(struct engine *g, const char *path, struct err *e)
{
	auto_free char *text = NULL;
	uint8_t *der = NULL;
	char *name = NULL, *header = NULL;
	long der_n = 0;
	size_t n;

	if (file_read(path, ROOT_MAX, &text, &n, e))
		return err_wrap(e, "development root");
	if (n < 11 || memcmp(text, "-----BEGIN ", 11) != 0)
		return engine_add_root(g, span_of(text, n), e);
	BIO *bio = BIO_new_mem_buf(text, (int)n);
	int ok = bio && PEM_read_bio(bio, &name, &header, &der, &der_n) == 1;
	int r = ok ? engine_add_root(g, span_of(der, (size_t)der_n), e)
		   : err_code(e, ERR_INPUT, "config.development_root", "%s is neither DER nor PEM", path);

	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(der);
	BIO_free(bio);
	return r;
}

struct trust *trust_new(const struct trust_config *c, struct err *e)
{
	if (c->development_root && !c->insecure_development) {
		err_code(e, ERR_INPUT, "config.development_root",
			 "a development root is configured without insecure_development = true");
		return NULL;
	}
	struct trust *t = calloc(1, sizeof *t);

	if (!t || !(t->kept = calloc(KEPT, sizeof *t->kept))) {
		free(t);
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&t->lock, NULL);
	t->has_images = c->image_dir || c->image_cache;
	t->intel_components = c->intel_components;
	struct pccs_config source = { .url = c->pccs_url,
				      .cache_dir = c->cache_dir,
				      .compat = c->collateral_compat };

	if (!(t->pccs = pccs_new(&source, e)) || !(t->engine = engine_new(e)) ||
	    !(t->images = images_new(c->image_dir, e)) ||
	    (c->image_cache && images_also(t->images, c->image_cache, e)) ||
	    (c->only_root.n && engine_only_root(t->engine, c->only_root, e)) ||
	    (c->development_root && add_root(t->engine, c->development_root, e))) {
		trust_free(t);
		return NULL;
	}
	return t;
}

void trust_free(struct trust *t)
{
	if (!t)
		return;
	pccs_free(t->pccs);
	engine_free(t->engine);
	images_free(t->images);
	pthread_mutex_destroy(&t->lock);
	free(t->kept);
	free(t);
}

struct trust_stats trust_stats(struct trust *t)
{
	pthread_mutex_lock(&t->lock);
	struct engine_stats g = engine_stats(t->engine);
	struct trust_stats s = t->stats;
	pthread_mutex_unlock(&t->lock);
	s.signatures = g.verified;
	s.signatures_cached = g.cached;
	return s;
}

void trust_forget_images(struct trust *t)
{
	pthread_mutex_lock(&t->lock);
	images_forget(t->images);
	memset(t->kept, 0, KEPT * sizeof *t->kept);
	pthread_mutex_unlock(&t->lock);
}

// ---- expectations

static void add_list(struct sb *b, const char *name, const void *p, size_t n)
{
	if (!p || !n)
		return;
	sb_json_key(b, name);
	sb_chr(b, '[');
	sb_chr(b, '"');
	sb_hex(b, p, n);
	sb_str(b, "\"]");
}

// The caller's document and the values it gave beside it, as one. A value given twice is a member twice:
// refused.
static int write_expectations(struct sb *b, const struct trust_expect *x, struct err *e)
{
	struct span doc = x->policy.n ? x->policy : span_str("{}");
	struct json root;

	if (json_parse(&root, doc, NULL) || json_kind(root) != JSON_OBJECT) {
		sb_put(b, doc.p, doc.n); // the core will say what is wrong
	} else {
		size_t n = root.text.n - 1; // without the brace, so that members can follow

		while (root.text.p[n - 1] <= ' ')
			n--;
		sb_put(b, root.text.p, n);
		add_list(b, "app_id", x->app_id, 20);
		add_list(b, "compose_hash", x->compose_hash, 32);
		add_list(b, "os_image_hash", x->os_image_hash, 32);
		add_list(b, "key_provider_id", x->key_provider_id.p, x->key_provider_id.n);
		if (x->report_data) {
			sb_json_key(b, "report_data");
			sb_chr(b, '"');
			sb_hex(b, x->report_data, 64);
			sb_chr(b, '"');
		}
		sb_chr(b, '}');
	}
	return b->bad ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

// ---- one verification

static int refusal(const struct verify *v, struct err *e)
{
	char text[300];

	verify_explain(v, text, sizeof text);
	return err_code(e, ERR_UNTRUSTED, reason_text(v->reason)->code, "%s", text);
}

static enum reason check_signed(struct trust *t, struct verify *v)
{
	pthread_mutex_lock(&t->lock);
	enum reason why = evidence_check(t->engine, v);
	pthread_mutex_unlock(&t->lock);
	return why;
}

// The quote under its platform's collateral: one piece after the other, as long as another may help. -1: it
// is not the evidence that is to blame.
static int with_collateral(struct trust *t, struct verify *v, struct pccs_answer *a, struct err *e)
{
	bool refused = false;
	int got;

	while (!(got = pccs_get(t->pccs, a, &v->platform, e))) {
		v->in.collateral = span_of(a->json, a->n);
		refused = check_signed(t, v);
		if (refused) {
			refusal(v, e);
			pccs_refused(t->pccs, a, e);
		} else if (!pccs_verified(t->pccs, a, v->quote.expires, e)) {
			return 0;
		}
	}
	if (got > 0 && refused)
		return 0;
	verify_refuse(v, "collateral", e->code, e->text);
	return -1;
}

static void finish(struct trust *t, struct verify *v, struct trust_machine *m)
{
	struct verify_image image;
	struct err e = { 0 };

	m->has_image_hash = v->has_image_hash;
	m->lite = v->config.lite;
	m->soft = v->config.profile == MEASURE_SOFT;
	memcpy(m->os_image_hash, v->config.os_image_hash, 32);
	if (!v->has_quote || !v->has_image_hash || !t->has_images) {
		verify_finish(v, 0, NULL);
		return;
	}
	pthread_mutex_lock(&t->lock);
	int r = images_find(t->images, &image, v->config.os_image_hash, v->config.memory_size, &e);
	pthread_mutex_unlock(&t->lock);
	if (r)
		v->image_fault = (struct fault){ e.class == ERR_ABSENT ? "measure.base_unverified" : e.code,
						 e.text, 0 };
	verify_finish(v, 0, r ? NULL : &image);
	if (r)
		return;
	m->has_image = true;
	m->is_dev = image.is_dev;
	snprintf(m->version, sizeof m->version, "%s", image.version);
}

static void say_older(struct verify *v)
{
	struct claim *c = verdict_pass(&v->verdict, "collateral_age", span_str("older than seen before"),
				       v->quote.anchor);

	snprintf(c->detail, sizeof c->detail,
		 "collateral.downgrade: newer collateral was seen; accepted because the mode is compat");
}

// Collateral that the requester brought may be old on purpose.
static int with_its_own(struct trust *t, struct verify *v, bool *older, struct err *e)
{
	struct span own = v->in.collateral.n ? v->in.collateral : v->evidence.collateral;

	if (check_signed(t, v) || !own.n || v->evidence.env.kind != ENVELOPE_TDX ||
	    !pccs_offered(t->pccs, &v->quote, own, older, e))
		return 0;
	verify_refuse(v, "collateral", e->code, e->text);
	return -1;
}

static int judge(struct trust *t, struct verify *v, const struct verify_input *in, struct trust_machine *m,
		 struct err *e)
{
	struct pccs_answer a = { 0 };
	int r = 0;

	if (evidence_read(v, in)) {
		if (v->needs_collateral)
			r = with_collateral(t, v, &a, e);
		else
			r = with_its_own(t, v, &a.older, e);
	}
	finish(t, v, m);
	if (a.older && v->has_quote)
		say_older(v);
	pccs_release(&a);
	if (r || v->verdict.ok)
		return r;
	return err_code(e, v->unreadable ? ERR_INPUT : ERR_UNTRUSTED, v->verdict.code, "%s",
			v->verdict.error);
}

static int check(struct trust *t, struct trust_result *out, struct verify_input *in,
		 const struct trust_expect *x, uint64_t *until, struct err *e)
{
	auto_sb expect = { .max = VERIFY_EXPECT_MAX * 2 };

	memset(out, 0, sizeof *out);
	verdict_init(&out->verdict);
	if (write_expectations(&expect, x, e))
		return -1;
	in->expect = span_of(expect.p, expect.n);
	in->vm_config = x->vm_config;
	in->collateral = x->collateral;
	in->now = x->now ? x->now : time_now();
	in->boottime = x->boottime;
	in->intel_components = t->intel_components;
	in->any_tcb = !x->judge_tcb;
	if (!in->binding)
		in->binding = VERIFY_BIND_STATED;
	auto_free struct verify *v = evidence_new(in, e);

	if (!v)
		return -1;
	int r = judge(t, v, in, &out->machine, e);

	out->verdict = v->verdict;
	out->boot = v->boot;
	out->has_quote = v->has_quote;
	out->quote = v->quote;
	pthread_mutex_lock(&t->lock);
	t->stats.verified += !r;
	t->stats.refused += r != 0;
	pthread_mutex_unlock(&t->lock);
	*until = v->quote.expires;
	if (v->evidence.cert.spki.n && v->evidence.cert.not_after < *until)
		*until = v->evidence.cert.not_after;
	return r;
}

int trust_check_envelope(struct trust *t, struct trust_result *out, struct span bytes,
			 const struct trust_expect *x, struct err *e)
{
	struct verify_input in = { .evidence = bytes, .form = VERIFY_ENVELOPE };
	uint64_t until;

	return check(t, out, &in, x, &until, e);
}

int trust_check_quote(struct trust *t, struct trust_result *out, struct span quote,
		      struct span event_log_json, const struct trust_expect *x, struct err *e)
{
	struct verify_input in = { .evidence = quote, .form = VERIFY_QUOTE, .event_log = event_log_json };
	uint64_t until;

	return check(t, out, &in, x, &until, e);
}

int trust_check_evidence(struct trust *t, struct trust_result *out, struct span bytes,
			 const struct trust_expect *x, struct err *e)
{
	struct verify_input in = { .evidence = bytes };
	uint64_t until;

	return check(t, out, &in, x, &until, e);
}

void trust_json(struct wr *out, const struct trust_result *r)
{
	dcap_json(out, r->has_quote ? &r->quote : NULL, &r->verdict);
}

// ---- certificates, whose results are kept

static void add(struct sha256 *h, const void *p, size_t n)
{
	uint64_t len = p ? n : UINT64_MAX;

	sha256_add(h, &len, sizeof len);
	if (p)
		sha256_add(h, p, n);
}

static void cache_key(uint8_t key[32], struct span der, const struct trust_expect *x)
{
	struct sha256 h;

	sha256_init(&h);
	add(&h, der.p, der.n);
	add(&h, x->app_id, 20);
	add(&h, x->compose_hash, 32);
	add(&h, x->os_image_hash, 32);
	add(&h, x->report_data, 64);
	add(&h, x->key_provider_id.p, x->key_provider_id.n);
	add(&h, x->policy.p, x->policy.n);
	add(&h, x->vm_config.p, x->vm_config.n);
	add(&h, x->collateral.p, x->collateral.n);
	add(&h, &x->now, sizeof x->now);
	add(&h, &x->judge_tcb, sizeof x->judge_tcb);
	add(&h, &x->boottime, sizeof x->boottime);
	sha256_end(&h, key);
}

static bool find_kept(struct trust *t, struct trust_result *out, const uint8_t key[32])
{
	bool found = false;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < KEPT && !found; i++) {
		const struct kept *k = &t->kept[i];

		found = k->until > time_now() && memcmp(k->key, key, 32) == 0;
		if (found)
			*out = k->result;
	}
	t->stats.cached += found;
	pthread_mutex_unlock(&t->lock);
	return found;
}

static void keep(struct trust *t, const struct trust_result *r, const uint8_t key[32], uint64_t until)
{
	uint64_t latest = time_now() + KEEP_SECONDS;

	pthread_mutex_lock(&t->lock);
	struct kept *k = &t->kept[t->next];

	t->next = (t->next + 1) % KEPT;
	memcpy(k->key, key, 32);
	k->until = until < latest ? until : latest;
	k->result = *r;
	pthread_mutex_unlock(&t->lock);
}

int trust_check_cert(struct trust *t, struct trust_result *out, X509 *cert, const struct trust_expect *x,
		     struct err *e)
{
	struct verify_input in = { .form = VERIFY_CERTIFICATE, .binding = VERIFY_BIND_KEY };
	uint8_t key[32], *der = NULL;
	uint64_t until = 0;
	int r = 0, n = i2d_X509(cert, &der);

	if (n <= 0)
		return err_code(e, ERR_INPUT, "ratls.certificate", "certificate cannot be encoded");
	in.evidence = span_of(der, (size_t)n);
	cache_key(key, in.evidence, x);
	if (!find_kept(t, out, key)) {
		r = check(t, out, &in, x, &until, e);
		if (!r)
			keep(t, out, key, until);
	}
	OPENSSL_free(der);
	return r;
}

void trust_app_info(struct app_info *out, const struct boot_info *b)
{
	*out = (struct app_info){
		.app_id = span_of(b->app_id, b->has_app_id ? sizeof b->app_id : 0),
		.compose_hash = span_of(b->compose_hash, b->has_compose_hash ? sizeof b->compose_hash : 0),
		.instance_id = span_of(b->instance_id, b->has_instance_id ? sizeof b->instance_id : 0),
		.device_id = span_of(b->device_id, sizeof b->device_id),
		.mr_system = span_of(b->mr_system, sizeof b->mr_system),
		.mr_aggregated = span_of(b->mr_aggregated, sizeof b->mr_aggregated),
		.os_image_hash =
			span_of(b->os_image_hash, b->has_os_image_hash ? sizeof b->os_image_hash : 0),
		.key_provider_info = span_of(b->key_provider_info, b->key_provider_info_n),
	};
}
