#include "ratls/trust.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/sb.h"
#include "base/time.h"
#include "core/hash/sha2.h"
#include "ratls/images.h"
#include "ratls/judge.h"
#include "ratls/pccs.h"

enum { KEPT = 32, KEEP_SECONDS = 600 };

// A positive result, by certificate and expectation. Refusals are not kept: they may be about a passing
// state.
struct kept {
	uint8_t key[32];
	uint64_t until;
	struct trust_result result;
};

struct trust {
	struct pccs *pccs;
	pthread_mutex_t lock;  // engine, images, kept, stats
	struct engine *engine; // NULL when judged elsewhere
	judge_fn *elsewhere;
	void *elsewhere_arg;
	struct images *images;
	bool has_images; // a folder is configured
	bool intel_components;
	struct kept *kept;
	size_t next;
	struct trust_stats stats;
};

struct trust *trust_new(const struct trust_config *c, struct err *e)
{
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

	t->elsewhere = c->judge;
	t->elsewhere_arg = c->judge_arg;
	if ((!t->elsewhere && !(t->engine = judge_engine(c, e))) || !(t->pccs = pccs_new(&source, e)) ||
	    !(t->images = images_new(c->image_dir, e)) ||
	    (c->image_cache && images_also(t->images, c->image_cache, e))) {
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
	struct trust_stats s = t->stats;
	pthread_mutex_unlock(&t->lock);
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

// ---- what a judge asks for

// One question of its own: the pieces of collateral that were tried.
struct asked {
	struct trust *t;
	struct pccs_answer a;
};

static void begin_again(void *arg)
{
	struct asked *q = arg;

	pccs_release(&q->a);
	q->a = (struct pccs_answer){ 0 };
}

static int give_collateral(void *arg, const struct dcap_platform *p, struct span *json, struct err *e)
{
	struct asked *q = arg;
	int got = pccs_get(q->t->pccs, &q->a, p, e);

	if (!got)
		*json = span_of(q->a.json, q->a.n);
	return got;
}

static void was_refused(void *arg, const struct err *why)
{
	struct asked *q = arg;

	pccs_refused(q->t->pccs, &q->a, why);
}

static int has_verified(void *arg, uint64_t expires, bool *older, struct err *e)
{
	struct asked *q = arg;
	int r = pccs_verified(q->t->pccs, &q->a, expires, e);

	*older = q->a.older;
	return r;
}

static int was_offered(void *arg, const struct dcap_result *r, struct span json, bool *older, struct err *e)
{
	struct asked *q = arg;

	return pccs_offered(q->t->pccs, r, json, older, e);
}

static int find_image(void *arg, struct verify_image *out, const uint8_t hash[static 32], uint64_t memory,
		      struct err *e)
{
	struct trust *t = ((struct asked *)arg)->t;

	pthread_mutex_lock(&t->lock);
	int r = images_find(t->images, out, hash, memory, e);
	pthread_mutex_unlock(&t->lock);
	return r;
}

// ---- one verification

static void judge(struct trust *t, const struct verify_input *in, struct judge_answer *out)
{
	struct asked q = { .t = t };
	const struct judge_source from = { &q,
					   begin_again,
					   give_collateral,
					   was_refused,
					   has_verified,
					   was_offered,
					   t->has_images ? find_image : NULL };

	if (t->elsewhere)
		t->elsewhere(t->elsewhere_arg, &from, in, out);
	else
		judge_run(t->engine, &t->lock, &from, in, out);
	pccs_release(&q.a);
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
	auto_free struct judge_answer *a = malloc(sizeof *a);

	if (!a)
		return err_set(e, ERR_SYSTEM, "out of memory");
	judge(t, in, a);
	*out = a->result;
	*until = a->until;
	pthread_mutex_lock(&t->lock);
	t->stats.verified += !a->rc;
	t->stats.refused += a->rc != 0;
	t->stats.signatures += a->signatures;
	t->stats.signatures_cached += a->signatures_cached;
	pthread_mutex_unlock(&t->lock);
	if (a->rc)
		*e = a->err;
	return a->rc;
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
