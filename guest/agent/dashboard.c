#include "dashboard.h"

#include <stdlib.h>
#include <string.h>
#include <sodium.h>
#include "base/log.h"
#include "base/time.h"

enum { FRESH_MS = 1000, PAGE_MAX = 16 << 20, ARENA_MAX = 256 << 20 };

// One asker, freed with its connection or at its next request.
struct dashboard_wait {
	struct dashboard_wait *next, **prev; // prev NULL: answered
	struct http_conn *conn;
};

// A page on its way: what takes a while is gathered by a worker, then the engine is asked on the loop.
struct dashboard_build {
	struct containers_wait wait; // first: what `listed` is given
	struct dashboard *d;
	struct arena *a;
	Guest__AppInfo info;
	Host__SystemInfo system;
	int rc;
	struct err err;
};

static const char html_type[] = "text/html; charset=utf-8", text_type[] = "text/plain; charset=utf-8";

static void forget(void *arg)
{
	struct dashboard_wait *w = arg;

	if (w->prev) {
		*w->prev = w->next;
		if (w->next)
			w->next->prev = w->prev;
	}
	free(w);
}

static void reply(struct http_conn *c, const struct dashboard *d, const struct err *e)
{
	static const char failed[] = "the state of this guest cannot be read now\n";

	if (e)
		http_reply(c, 500, text_type, failed, sizeof failed - 1);
	else
		http_reply(c, 200, html_type, d->page, d->n);
}

// A reply may free its asker, or bring the next request of that connection.
static void tell(struct dashboard *d, const struct err *e)
{
	struct dashboard_wait *all = d->waiting;

	d->waiting = NULL;
	if (all)
		all->prev = &all;
	while (all) {
		struct dashboard_wait *w = all;
		all = w->next;
		if (all)
			all->prev = &all;
		w->prev = NULL;
		reply(w->conn, d, e);
	}
}

static void finish(struct dashboard_build *x, const struct err *e)
{
	struct dashboard *d = x->d;

	d->build = NULL;
	if (e)
		log_warn("agent", "dashboard: %s code=%s", e->text, e->code[0] ? e->code : "none");
	tell(d, e);
	arena_free(x->a);
	free(x);
}

static void set_notice(const char *tee, const char *notice[2])
{
	if (!tee) {
		notice[0] = "Simulator.";
		notice[1] = "There is no protected machine here: nothing on this page proves anything.";
	} else if (strcmp(tee, "tdx")) {
		notice[0] = "Development.";
		notice[1] = "The TEE of this machine is software: its host can read and change everything.";
	}
}

static void listed(struct containers_wait *w, const Host__ListContainersResponse *list, const struct err *e)
{
	struct dashboard_build *x = (struct dashboard_build *)w;
	struct dashboard *d = x->d;
	const struct app_files *app = d->outside->app;
	struct dashboard_view v = {
		.info = &x->info,
		.system = app->public_sysinfo ? &x->system : NULL,
		.containers = list,
		.logs = app->public_logs,
		.tcb = app->public_tcbinfo,
	};
	auto_sb b = { .max = PAGE_MAX };

	if (!list) {
		finish(x, e);
		return;
	}
	set_notice(d->outside->tee, v.notice);
	dashboard_write(&b, &v);
	size_t n = b.n;
	char *page = sb_take(&b);
	if (!page) {
		err_set(&x->err, ERR_SYSTEM, "the page is too large, or out of memory");
		finish(x, &x->err);
		return;
	}
	free(d->page);
	d->page = page;
	d->n = n;
	d->until_ms = time_mono_ms() + FRESH_MS;
	finish(x, NULL);
}

static void gather(void *arg)
{
	struct dashboard_build *x = arg;
	const struct outside *o = x->d->outside;

	x->rc = o->info(o, x->a, &x->info, &x->err);
	if (!x->rc && o->app->public_sysinfo)
		x->rc = o->sysinfo(o, x->a, &x->system, &x->err);
	if (!x->rc && arena_bad(x->a))
		x->rc = err_set(&x->err, ERR_SYSTEM, "out of memory");
}

static void gathered(void *arg, enum pool_end end)
{
	struct dashboard_build *x = arg;

	if (!x->rc && (end != POOL_DONE || x->d->stopping))
		x->rc = err_set(&x->err, ERR_AGAIN, "the agent stops");
	if (x->rc)
		finish(x, &x->err);
	else
		x->d->outside->containers(x->d->outside, &x->wait);
}

static void build(struct dashboard *d)
{
	struct dashboard_build *x = calloc(1, sizeof *x);
	struct err e = { 0 };

	if (!d->pool)
		d->pool = pool_new(d->base, 1);
	if (x)
		x->a = arena_new(ARENA_MAX);
	if (!d->pool || !x || !x->a) {
		free(x);
		err_set(&e, ERR_SYSTEM, "out of memory");
		tell(d, &e);
		return;
	}
	x->wait.done = listed;
	x->d = d;
	guest__app_info__init(&x->info);
	host__system_info__init(&x->system);
	x->rc = err_set(&x->err, ERR_AGAIN, "the agent stops"); // stands if the pool ends first
	d->build = x;
	if (pool_add(d->pool, gather, gathered, x))
		finish(x, &x->err);
}

static void answer(struct http_conn *c, void *arg)
{
	struct dashboard *d = arg;

	if (d->page && time_mono_ms() < d->until_ms) {
		reply(c, d, NULL);
		return;
	}
	struct dashboard_wait *w = calloc(1, sizeof *w);
	if (!w || d->stopping) {
		free(w);
		reply(c, d, &(struct err){ 0 });
		return;
	}
	w->conn = c;
	w->next = d->waiting;
	w->prev = &d->waiting;
	if (w->next)
		w->next->prev = &w->next;
	d->waiting = w;
	http_set_data(c, w, forget);
	if (!d->build)
		build(d);
}

// Nothing is loaded and nothing runs, whatever a page or a log may hold: only the dashboard's own style does.
static int set_headers(struct rpc_server *s)
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	auto_sb policy = { 0 };

	crypto_hash_sha256(hash, (const uint8_t *)dashboard_css, strlen(dashboard_css));
	sb_str(&policy, "Content-Security-Policy: default-src 'none'; style-src 'sha256-");
	sb_base64(&policy, hash, sizeof hash);
	sb_str(&policy, "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
	return policy.bad || rpc_server_header(s, policy.p) ||
	       rpc_server_header(s, "X-Content-Type-Options: nosniff") ||
	       rpc_server_header(s, "Referrer-Policy: no-referrer") ||
	       rpc_server_header(s, "Cache-Control: no-store");
}

int dashboard_mount(struct rpc_server *s, struct event_base *base, struct dashboard *d,
		    const struct outside *outside)
{
	*d = (struct dashboard){ .outside = outside, .base = base };
	return set_headers(s) || rpc_server_raw(s, "/", answer, d) ? -1 : 0;
}

void dashboard_stop(struct dashboard *d)
{
	d->stopping = true;
	pool_free(d->pool); // gives back the page being made, unless the engine has it
	d->pool = NULL;
}

void dashboard_free(struct dashboard *d)
{
	free(d->page);
	*d = (struct dashboard){ 0 };
}
