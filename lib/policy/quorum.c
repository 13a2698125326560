#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/backend.h"

enum { MEMBERS_MAX = 16 };

struct quorum {
	struct policy base;
	size_t n, need;
	struct policy *member[MEMBERS_MAX];
};

// One question to all. Freed by who brings the last answer; answered as soon as the outcome is certain.
struct poll {
	struct quorum *q;
	policy_done *done;
	void *arg;
	pthread_mutex_t lock;
	size_t n_in, n_yes;
	bool told;
	struct vote {
		struct poll *poll;
		bool in, yes;
		struct policy_answer answer;
	} vote[MEMBERS_MAX];
};

// The largest number of members that allow with the same gateway, and one of them.
static size_t agreeing(const struct poll *p, const struct vote **one)
{
	size_t best = 0;

	for (size_t i = 0; i < p->q->n; i++) {
		size_t same = 0;
		for (size_t j = 0; p->vote[i].yes && j < p->q->n; j++)
			same += p->vote[j].yes &&
				!strcmp(p->vote[i].answer.gateway, p->vote[j].answer.gateway);
		if (same > best) {
			best = same;
			*one = &p->vote[i];
		}
	}
	return best;
}

// Both restrictions at once. More revocations than there is room for: nothing is served.
static void narrow(struct policy_epochs *a, const struct policy_epochs *b)
{
	if (!b->given)
		return;
	if (!a->given) {
		*a = *b;
		return;
	}
	a->min = a->min > b->min ? a->min : b->min;
	a->current = a->current < b->current ? a->current : b->current;
	a->legacy = a->legacy > b->legacy ? a->legacy : b->legacy;
	for (size_t i = 0; i < b->n_revoked; i++) {
		if (a->n_revoked == POLICY_REVOKED_MAX) {
			a->min = UINT64_MAX;
			a->current = 0;
			return;
		}
		a->revoked[a->n_revoked++] = b->revoked[i];
	}
}

// What any of those that agree takes away is taken away.
static void set_epochs(const struct poll *p, struct policy_answer *a)
{
	for (size_t i = 0; i < p->q->n; i++)
		if (p->vote[i].yes && !strcmp(p->vote[i].answer.gateway, a->gateway))
			narrow(&a->epochs, &p->vote[i].answer.epochs);
}

static void add_reasons(const struct poll *p, struct policy_answer *a)
{
	size_t n = strlen(a->err.text);

	for (size_t i = 0; i < p->q->n && n < sizeof a->err.text - 1; i++) {
		const struct vote *v = &p->vote[i];
		if (v->in && !v->yes)
			n += (size_t)snprintf(a->err.text + n, sizeof a->err.text - n, "; %s: %s: %.80s",
					      v->answer.source, v->answer.err.code, v->answer.err.text);
	}
}

// Could those that did not answer, or not sensibly, have made it enough?
static enum err_class class_of(const struct poll *p)
{
	size_t mute = 0;

	for (size_t i = 0; i < p->q->n; i++)
		mute += p->vote[i].in && !p->vote[i].yes && p->vote[i].answer.err.class != ERR_DENIED;
	return p->n_yes + mute >= p->q->need ? ERR_AGAIN : ERR_DENIED;
}

// Is the outcome certain? Under the lock.
static bool decide(const struct poll *p, struct policy_answer *a)
{
	const struct quorum *q = p->q;
	const struct vote *one = NULL;
	size_t best = agreeing(p, &one), open = q->n - p->n_in;

	*a = (struct policy_answer){ 0 };
	snprintf(a->source, sizeof a->source, "quorum %zu of %zu", q->need, q->n);
	if (best >= q->need) {
		memcpy(a->gateway, one->answer.gateway, sizeof a->gateway);
		set_epochs(p, a);
		snprintf(a->source, sizeof a->source, "quorum %zu of %zu, need %zu", best, q->n, q->need);
		return true;
	}
	if (best + open >= q->need)
		return false;
	if (p->n_yes >= q->need)
		a->rc = err_code(&a->err, ERR_DENIED, "policy.quorum_gateway",
				 "%zu of %zu allow, but no %zu of them name the same gateway", p->n_yes, q->n,
				 q->need);
	else
		a->rc = err_code(&a->err, class_of(p), "policy.quorum", "%zu of %zu allow, %zu must",
				 p->n_yes, q->n, q->need);
	add_reasons(p, a);
	return true;
}

static void on_vote(void *arg, const struct policy_answer *answer)
{
	struct vote *v = arg;
	struct poll *p = v->poll;
	policy_done *done = p->done; // once unlocked, p belongs to whoever brings the last answer
	void *done_arg = p->arg;
	struct policy_answer a;

	pthread_mutex_lock(&p->lock);
	v->answer = *answer;
	v->in = true;
	v->yes = !answer->rc;
	p->n_in++;
	p->n_yes += v->yes;
	bool tell = !p->told && decide(p, &a), last = p->n_in == p->q->n;
	p->told |= tell;
	pthread_mutex_unlock(&p->lock);
	if (tell)
		done(done_arg, &a);
	if (last) {
		pthread_mutex_destroy(&p->lock);
		free(p);
	}
}

static void quorum_ask(struct policy *base, const struct boot_info *b, enum policy_kind kind,
		       policy_done *done, void *arg)
{
	struct quorum *q = (struct quorum *)base;
	struct poll *p = calloc(1, sizeof *p);
	struct policy_answer a = { 0 };

	if (!p) {
		a.rc = err_code(&a.err, ERR_SYSTEM, "policy.busy", "out of memory");
		done(arg, &a);
		return;
	}
	*p = (struct poll){ .q = q, .done = done, .arg = arg };
	pthread_mutex_init(&p->lock, NULL);
	for (size_t i = 0; i < q->n; i++)
		p->vote[i].poll = p;
	for (size_t i = 0, n = q->n; i < n; i++) // p is gone after the last answer
		policy_ask(q->member[i], b, kind, on_vote, &p->vote[i]);
}

// The first that knows something speaks for all: it is for display, no decision rests on it.
static void quorum_info(struct policy *base, struct policy_info *out)
{
	struct quorum *q = (struct quorum *)base;
	struct policy_info i;

	for (size_t k = 0; k < q->n; k++) {
		policy_info(q->member[k], &i);
		bool pending = out->pending || i.pending;
		if (!out->has_chain && i.has_chain) {
			char gateway[POLICY_GATEWAY_MAX];
			memcpy(gateway, out->gateway, sizeof gateway);
			*out = i;
			if (*gateway)
				memcpy(out->gateway, gateway, sizeof gateway);
		}
		if (!*out->gateway)
			memcpy(out->gateway, i.gateway, sizeof out->gateway);
		out->pending = pending;
	}
}

static void quorum_stop(struct policy *base)
{
	struct quorum *q = (struct quorum *)base;

	for (size_t i = 0; i < q->n; i++)
		policy_stop(q->member[i]);
}

static void quorum_free(struct policy *base)
{
	struct quorum *q = (struct quorum *)base;

	for (size_t i = 0; i < q->n; i++)
		policy_free(q->member[i]);
	free(q);
}

struct policy *policy_quorum_new(struct policy **p, size_t n, size_t need, struct err *e)
{
	struct quorum *q = n <= MEMBERS_MAX ? calloc(1, sizeof *q) : NULL;

	if (!q || !n || !need || need > n) {
		err_code(e, ERR_INPUT, "config.policy", "%zu of %zu sources cannot be needed", need, n);
		for (size_t i = 0; i < n; i++)
			policy_free(p[i]);
		free(q);
		return NULL;
	}
	q->base = (struct policy){
		.ask = quorum_ask, .info = quorum_info, .stop = quorum_stop, .free = quorum_free
	};
	q->n = n;
	q->need = need;
	memcpy(q->member, p, n * sizeof *p);
	return &q->base;
}
