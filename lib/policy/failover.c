// Several servers of one policy: asked in order until one decides. A no is a decision; no answer, or one that
// is none, is not. A server that failed just now is asked after the others for a while, so that one that
// hangs costs its time once and not with every question.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "policy/backend.h"

enum { MEMBERS_MAX = 8, AVOID_MS = 10000 };

struct failover {
	struct policy base;
	size_t n;
	struct policy *member[MEMBERS_MAX];
	pthread_mutex_t lock;              // of the rest
	uint64_t avoid_until[MEMBERS_MAX]; // 0: answers
};

struct trial {
	struct failover *f;
	struct boot_info boot;
	enum policy_kind kind;
	policy_done *done;
	void *arg;
	size_t order[MEMBERS_MAX], at;
	struct err why; // of those that failed so far
};

static bool decided(const struct policy_answer *a)
{
	return !a->rc || a->err.class == ERR_DENIED || !strcmp(a->err.code, "policy.stopping");
}

static void remember(struct failover *f, size_t member, bool good)
{
	pthread_mutex_lock(&f->lock);
	bool was_good = !f->avoid_until[member];
	f->avoid_until[member] = good ? 0 : time_mono_ms() + AVOID_MS;
	pthread_mutex_unlock(&f->lock);
	if (good != was_good)
		log_warn("policy", "server %zu of %zu %s", member + 1, f->n,
			 good ? "answers again" : "gives no decision: the next one is asked");
}

static void ask_next(struct trial *t);

static void on_answer(void *arg, const struct policy_answer *a)
{
	struct trial *t = arg;
	size_t n = strlen(t->why.text);

	remember(t->f, t->order[t->at], decided(a));
	if (decided(a)) {
		t->done(t->arg, a);
		free(t);
		return;
	}
	snprintf(t->why.text + n, sizeof t->why.text - n, "%s%s: %s: %.100s", n ? "; " : "", a->source,
		 a->err.code, a->err.text);
	if (++t->at < t->f->n) {
		ask_next(t);
		return;
	}
	struct policy_answer none = *a;
	none.rc = err_code(&none.err, a->err.class, a->err.code, "none of %zu servers decided: %s", t->f->n,
			   t->why.text);
	t->done(t->arg, &none);
	free(t);
}

static void ask_next(struct trial *t)
{
	policy_ask(t->f->member[t->order[t->at]], &t->boot, t->kind, on_answer, t);
}

// In the order of the configuration, those that failed just now behind.
static void choose(struct failover *f, size_t order[MEMBERS_MAX])
{
	uint64_t now = time_mono_ms();
	size_t n = 0;

	pthread_mutex_lock(&f->lock);
	for (int late = 0; late < 2; late++)
		for (size_t i = 0; i < f->n; i++)
			if ((late != 0) == (now < f->avoid_until[i]))
				order[n++] = i;
	pthread_mutex_unlock(&f->lock);
}

static void failover_ask(struct policy *base, const struct boot_info *b, enum policy_kind kind,
			 policy_done *done, void *arg)
{
	struct failover *f = (struct failover *)base;
	struct trial *t = calloc(1, sizeof *t);
	struct policy_answer a = { 0 };

	if (!t) {
		a.rc = err_code(&a.err, ERR_SYSTEM, "policy.busy", "out of memory");
		done(arg, &a);
		return;
	}
	*t = (struct trial){ .f = f, .boot = *b, .kind = kind, .done = done, .arg = arg };
	choose(f, t->order);
	ask_next(t);
}

static void failover_info(struct policy *base, struct policy_info *out)
{
	struct failover *f = (struct failover *)base;

	for (size_t i = 0; i < f->n; i++) {
		policy_info(f->member[i], out);
		if (out->has_chain)
			return;
	}
}

static void failover_stop(struct policy *base)
{
	struct failover *f = (struct failover *)base;

	for (size_t i = 0; i < f->n; i++)
		policy_stop(f->member[i]);
}

static void failover_free(struct policy *base)
{
	struct failover *f = (struct failover *)base;

	for (size_t i = 0; i < f->n; i++)
		policy_free(f->member[i]);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

struct policy *policy_failover_new(struct policy **p, size_t n, struct err *e)
{
	struct failover *f = n && n <= MEMBERS_MAX ? calloc(1, sizeof *f) : NULL;

	if (!f) {
		err_code(e, ERR_INPUT, "config.policy", "a source has 1 to %d servers, not %zu", MEMBERS_MAX,
			 n);
		for (size_t i = 0; i < n; i++)
			policy_free(p[i]);
		return NULL;
	}
	f->base = (struct policy){
		.ask = failover_ask, .info = failover_info, .stop = failover_stop, .free = failover_free
	};
	f->n = n;
	memcpy(f->member, p, n * sizeof *p);
	pthread_mutex_init(&f->lock, NULL);
	return &f->base;
}
