#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "core/codec/json.h"
#include "policy/backend.h"
#include "policy/channel.h"
#include "policy/net.h"
#include "policy/seal.h"
#include "policy/webhook_reply.h"

enum { REPLY_MAX = 64 << 10, BODY_MAX = 16 << 10, INFO_FRESH_MS = 30000, INFO_RETRY_MS = 2000 };

struct webhook {
	struct policy base;
	char source[POLICY_SOURCE_MAX];
	struct net *net;
	struct secret *seal;  // NULL: none
	pthread_mutex_t lock; // guards the rest
	struct policy_info info;
	uint64_t info_due;
	bool info_asked, info_heard;
};

struct question {
	struct webhook *w;
	policy_done *done;
	void *arg;
};

static void on_reply(void *arg, const struct net_reply *r)
{
	struct question *q = arg;
	struct policy_answer a = { .rc = r->rc, .err = r->err };

	snprintf(a.source, sizeof a.source, "%s", q->w->source);
	if (!r->rc)
		webhook_reply_read(&a, r->body);
	q->done(q->arg, &a);
	free(q);
}

static void give_up(struct webhook *w, policy_done *done, void *arg, const char *why)
{
	struct policy_answer a = { 0 };

	snprintf(a.source, sizeof a.source, "%s", w->source);
	a.rc = err_code(&a.err, ERR_SYSTEM, "policy.busy", "%s", why);
	done(arg, &a);
}

static void webhook_ask(struct policy *base, const struct boot_info *b, enum policy_kind kind,
			policy_done *done, void *arg)
{
	struct webhook *w = (struct webhook *)base;
	auto_free char *body = malloc(BODY_MAX);
	struct question *q = calloc(1, sizeof *q);

	if (!q || !body) {
		free(q);
		give_up(w, done, arg, "out of memory");
		return;
	}
	struct wr out = wr_to(body, BODY_MAX);
	boot_info_write_json(&out, b);
	if (strcmp(b->anchor, "intel") && out.n) { // what upstream's servers do not know they pass over
		out.n--;
		wr_str(&out, ",\"anchor\":");
		wr_json(&out, span_str(b->anchor));
		wr_str(&out, "}");
	}
	if (out.bad) {
		free(q);
		give_up(w, done, arg, "the boot info is too long");
		return;
	}
	*q = (struct question){ w, done, arg };
	net_ask(w->net, kind == POLICY_APP ? "/bootAuth/app" : "/bootAuth/kms", body, out.n, UINT64_MAX,
		on_reply, q);
}

static void on_info(void *arg, const struct net_reply *r)
{
	struct webhook *w = arg;
	struct policy_info i;
	bool good = !r->rc && !webhook_info_read(&i, r->body);

	if (!good)
		log_warn("policy", "%s does not describe itself: %s", w->source,
			 r->rc ? r->err.text : "malformed answer");
	pthread_mutex_lock(&w->lock);
	if (good)
		w->info = i;
	w->info_asked = false;
	w->info_heard = true;
	w->info_due = time_mono_ms() + (good ? INFO_FRESH_MS : INFO_RETRY_MS);
	pthread_mutex_unlock(&w->lock);
}

// What was heard last; when that is old it is asked for again, for the next who wants to know.
static void webhook_info(struct policy *base, struct policy_info *out)
{
	struct webhook *w = (struct webhook *)base;

	pthread_mutex_lock(&w->lock);
	bool ask = !w->info_asked && time_mono_ms() >= w->info_due;
	w->info_asked |= ask;
	*out = w->info;
	out->pending = !w->info_heard;
	pthread_mutex_unlock(&w->lock);
	if (ask)
		net_ask(w->net, "", NULL, 0, UINT64_MAX, on_info, w);
}

static void webhook_stop(struct policy *base)
{
	net_stop(((struct webhook *)base)->net);
}

static void webhook_free(struct policy *base)
{
	struct webhook *w = (struct webhook *)base;

	net_free(w->net);
	secret_free(w->seal);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

struct policy *policy_webhook_new(const struct policy_webhook_opts *o, struct err *e)
{
	struct net_opts net = { .url = o->url,
				.ca_file = o->ca_file,
				.client_cert = o->client_cert,
				.client_key = o->client_key,
				.connect_ms = o->connect_ms ? o->connect_ms : 3000,
				.total_ms = o->total_ms ? o->total_ms : 10000,
				.reply_max = REPLY_MAX };
	struct policy_info info;

	if (policy_channel_check(o, e))
		return NULL;
	struct webhook *w = calloc(1, sizeof *w);
	if (!w) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	w->base = (struct policy){
		.ask = webhook_ask, .info = webhook_info, .stop = webhook_stop, .free = webhook_free
	};
	snprintf(w->source, sizeof w->source, "webhook %s", o->name && *o->name ? o->name : o->url);
	pthread_mutex_init(&w->lock, NULL);
	bool sealed = o->hmac_key_file && *o->hmac_key_file;
	w->seal = sealed ? policy_seal_key(o->hmac_key_file, e) : NULL;
	net.seal = w->seal;
	w->net = sealed && !w->seal ? NULL : net_new(&net, e);
	if (!w->net) {
		webhook_free(&w->base);
		return NULL;
	}
	webhook_info(&w->base, &info);
	return &w->base;
}
