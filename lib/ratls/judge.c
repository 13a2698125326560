#include "ratls/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "crypto/engine.h"

enum { ROOT_MAX = 64 << 10 };

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

struct engine *judge_engine(const struct trust_config *c, struct err *e)
{
	if (c->development_root && !c->insecure_development) {
		err_code(e, ERR_INPUT, "config.development_root",
			 "a development root is configured without insecure_development = true");
		return NULL;
	}
	struct engine *g = engine_new(e);

	if (g && ((c->only_root.n && engine_only_root(g, c->only_root, e)) ||
		  (c->development_root && add_root(g, c->development_root, e)))) {
		engine_free(g);
		return NULL;
	}
	return g;
}

struct run {
	struct engine *engine;
	pthread_mutex_t *lock;
	const struct judge_source *from;
	struct judge_answer *out;
};

static int refusal(const struct verify *v, struct err *e)
{
	char text[300];

	verify_explain(v, text, sizeof text);
	return err_code(e, ERR_UNTRUSTED, reason_text(v->reason)->code, "%s", text);
}

static enum reason check_signed(struct run *t, struct verify *v)
{
	if (t->lock)
		pthread_mutex_lock(t->lock);
	struct engine_stats was = engine_stats(t->engine);
	enum reason why = evidence_check(t->engine, v);
	struct engine_stats is = engine_stats(t->engine);
	if (t->lock)
		pthread_mutex_unlock(t->lock);
	t->out->signatures += is.verified - was.verified;
	t->out->signatures_cached += is.cached - was.cached;
	return why;
}

// The quote under its platform's collateral: one piece after the other, as long as another may help. -1: it
// is not the evidence that is to blame.
static int with_collateral(struct run *t, struct verify *v, bool *older, struct err *e)
{
	const struct judge_source *s = t->from;
	bool refused = false;
	int got;

	while (!(got = s->collateral(s->arg, &v->platform, &v->in.collateral, e))) {
		refused = check_signed(t, v);
		if (refused) {
			refusal(v, e);
			s->refused(s->arg, e);
		} else if (!s->verified(s->arg, v->quote.expires, older, e)) {
			return 0;
		}
	}
	if (got > 0 && refused)
		return 0;
	verify_refuse(v, "collateral", e->code, e->text);
	return -1;
}

static void finish(struct run *t, struct verify *v, struct trust_machine *m)
{
	struct verify_image image;
	struct err e = { 0 };

	m->has_image_hash = v->has_image_hash;
	m->lite = v->config.lite;
	m->soft = v->config.profile == MEASURE_SOFT;
	memcpy(m->os_image_hash, v->config.os_image_hash, 32);
	if (!v->has_quote || !v->has_image_hash || !t->from->image) {
		verify_finish(v, 0, NULL);
		return;
	}
	int r = t->from->image(t->from->arg, &image, v->config.os_image_hash, v->config.memory_size, &e);
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
static int with_its_own(struct run *t, struct verify *v, bool *older, struct err *e)
{
	struct span own = v->in.collateral.n ? v->in.collateral : v->evidence.collateral;

	if (check_signed(t, v) || !own.n || v->evidence.env.kind != ENVELOPE_TDX ||
	    !t->from->offered(t->from->arg, &v->quote, own, older, e))
		return 0;
	verify_refuse(v, "collateral", e->code, e->text);
	return -1;
}

static int judge(struct run *t, struct verify *v, const struct verify_input *in, struct trust_machine *m,
		 struct err *e)
{
	bool older = false;
	int r = 0;

	if (evidence_read(v, in))
		r = v->needs_collateral ? with_collateral(t, v, &older, e) : with_its_own(t, v, &older, e);
	finish(t, v, m);
	if (older && v->has_quote)
		say_older(v);
	if (r || v->verdict.ok)
		return r;
	return err_code(e, v->unreadable ? ERR_INPUT : ERR_UNTRUSTED, v->verdict.code, "%s",
			v->verdict.error);
}

void judge_run(struct engine *g, pthread_mutex_t *lock, const struct judge_source *from,
	       const struct verify_input *in, struct judge_answer *out)
{
	struct run t = { g, lock, from, out };

	memset(out, 0, sizeof *out);
	verdict_init(&out->result.verdict);
	auto_free struct verify *v = evidence_new(in, &out->err);
	if (!v) {
		out->rc = -1;
		return;
	}
	out->rc = judge(&t, v, in, &out->result.machine, &out->err);
	out->result.verdict = v->verdict;
	out->result.has_quote = v->has_quote;
	if (v->has_quote) { // else neither was written
		out->result.quote = v->quote;
		out->result.boot = v->boot;
	}
	if (out->rc)
		return;
	out->until = v->quote.expires;
	if (v->evidence.cert.spki.n && v->evidence.cert.not_after < out->until)
		out->until = v->evidence.cert.not_after;
}

// ---- an answer from a process that reads strangers' bytes

static bool is_text(const char *s, size_t cap)
{
	return memchr(s, 0, cap) != NULL;
}

#define TEXT(a) is_text(a, sizeof(a))

static bool is_truth(const bool *b)
{
	unsigned char c;

	memcpy(&c, b, 1);
	return c <= 1;
}

static bool are_truths(const bool *const *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_truth(b[i]))
			return false;
	return true;
}

static bool good_anchor(enum anchor a)
{
	return (unsigned)a <= ANCHOR_AMD;
}

static bool good_verdict(const struct verdict *v)
{
	const bool *const truths[] = { &v->ok, &v->full };

	if (!are_truths(truths, 2) || !good_anchor(v->anchor) || !TEXT(v->code) || !TEXT(v->error) ||
	    v->n > VERDICT_CLAIMS)
		return false;
	for (size_t i = 0; i < v->n; i++) {
		const struct claim *c = &v->claim[i];
		if (!TEXT(c->name) || !TEXT(c->value) || !TEXT(c->code) || !TEXT(c->detail) ||
		    !is_truth(&c->ok) || !is_truth(&c->fresh) || !good_anchor(c->anchor))
			return false;
	}
	return true;
}

static bool good_machine(const struct trust_machine *m)
{
	const bool *const truths[] = { &m->has_image_hash, &m->has_image, &m->lite, &m->soft, &m->is_dev };

	return are_truths(truths, sizeof truths / sizeof *truths) && TEXT(m->version);
}

static bool good_boot(const struct boot_info *b)
{
	const bool *const truths[] = { &b->has_os_image_hash, &b->has_app_id, &b->has_compose_hash,
				       &b->has_instance_id, &b->has_deployment_seed };

	if (!are_truths(truths, sizeof truths / sizeof *truths) || !TEXT(b->tee_variant) ||
	    !TEXT(b->anchor) || !TEXT(b->tcb_status) || b->key_provider_info_n > BOOT_KEY_PROVIDER_MAX ||
	    b->n_advisory_ids > BOOT_ADVISORIES_MAX)
		return false;
	for (size_t i = 0; i < b->n_advisory_ids; i++)
		if (!TEXT(b->advisory_ids[i]))
			return false;
	return true;
}

static bool good_level(const struct tcb_level *l)
{
	if ((unsigned)l->status > TCB_REVOKED || l->n > DCAP_ADVISORIES)
		return false;
	for (size_t i = 0; i < l->n; i++)
		if (!TEXT(l->advisory[i]))
			return false;
	return true;
}

bool judge_well_formed_quote(const struct dcap_result *q)
{
	const bool *const truths[] = { &q->relaunch_advised, &q->is_tdx };

	return are_truths(truths, 2) && (!q->is_tdx || is_truth(&q->td.is_15)) && good_anchor(q->anchor) &&
	       good_level(&q->tcb) && good_level(&q->platform) && good_level(&q->qe);
}

bool judge_well_formed_error(const struct err *e)
{
	return TEXT(e->code) && TEXT(e->text) && (unsigned)e->class <= ERR_BUG;
}

bool judge_well_formed_platform(const struct dcap_platform *p)
{
	return is_truth(&p->is_tdx) && is_truth(&p->processor_ca);
}

bool judge_well_formed(const struct judge_answer *a)
{
	const struct trust_result *r = &a->result;

	if (!good_verdict(&r->verdict) || !good_machine(&r->machine) || !good_boot(&r->boot) ||
	    !is_truth(&r->has_quote) || !judge_well_formed_quote(&r->quote) ||
	    !judge_well_formed_error(&a->err))
		return false;
	if (a->rc)
		return a->rc == -1 && !r->verdict.ok && a->err.class != ERR_NONE;
	return r->verdict.ok && r->has_quote && !*r->verdict.code;
}
