#include "revocation.h"

#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "core/codec/x509.h"
#include "core/sig/ecdsa.h"
#include "rpc/client.h"

enum {
	LIST_MAX = 8 << 20,
	CONNECT_S = 3,
	TOTAL_S = 5,
	RETRY_MS = 5000,
	AHEAD_S = 300,
	SETS_MAX = 8,
	ROUNDS = 4
};

// The list of one CA at one KMS.
struct list {
	uint8_t app[ID_SIZE], issuer[REVOCATION_KEY];
	size_t kms;
	uint8_t *der; // NULL: none yet
	size_t n;
	struct revocation_list dates;
	uint64_t tried_ms; // monotonic; 0: never
	uint64_t round;    // that last wanted it
	unsigned set;      // the root set whose list it is
	struct err why;    // the last try brought none
};

struct kms {
	const char *url;
	pthread_mutex_t lock; // of the client, taken first
	struct rpc_client *client;
	uint64_t silent_ms; // since when it does not answer; 0: it does
};

struct revocation {
	struct kms kms[REVOCATION_URLS_MAX];
	size_t n;
	uint64_t every_ms, retry_ms;
	struct revocation_store store;
	pthread_mutex_t lock; // of the lists
	void *lists;          // tsearch
	uint64_t round;
	atomic_bool stopped;
};

static int compare(const void *x, const void *y)
{
	const struct list *a = x, *b = y;
	int r = memcmp(a->app, b->app, ID_SIZE);

	if (!r)
		r = memcmp(a->issuer, b->issuer, REVOCATION_KEY);
	return r ? r : a->kms < b->kms ? -1 : a->kms > b->kms;
}

static void list_free(void *p)
{
	struct list *l = p;

	free(l->der);
	free(l);
}

static struct list *find(struct revocation *r, const struct revocation_cert *c, size_t kms)
{
	struct list key = { .kms = kms };

	memcpy(key.app, c->app, ID_SIZE);
	memcpy(key.issuer, c->issuer, REVOCATION_KEY);
	struct list **at = tfind(&key, &r->lists, compare);
	return at ? *at : NULL;
}

static struct list *find_or_make(struct revocation *r, const struct revocation_cert *c, size_t kms)
{
	struct list *l = find(r, c, kms);

	if (l || !(l = calloc(1, sizeof *l)))
		return l;
	l->kms = kms;
	memcpy(l->app, c->app, ID_SIZE);
	memcpy(l->issuer, c->issuer, REVOCATION_KEY);
	if (tsearch(l, &r->lists, compare))
		return l;
	free(l);
	return NULL;
}

// ---- what holds

int revocation_read(struct revocation_list *out, struct span der, const uint8_t issuer[static REVOCATION_KEY],
		    uint64_t was, uint64_t now, struct err *e)
{
	struct x509_crl c;

	if (x509_crl_parse(&c, der))
		return err_code(e, ERR_UNTRUSTED, "crl.invalid",
				"the list of revoked certificates is malformed");
	if (!ecdsa_p256_sha256(issuer, c.tbs, c.sig))
		return err_code(
			e, ERR_UNTRUSTED, "crl.invalid",
			"the list of revoked certificates is not signed by the CA of the app's certificate");
	if (c.this_update < was)
		return err_code(e, ERR_UNTRUSTED, "crl.invalid",
				"the list of revoked certificates is older than one seen before");
	if (c.this_update > now + AHEAD_S)
		return err_code(
			e, ERR_UNTRUSTED, "crl.invalid",
			"the list of revoked certificates is from the future, %llu: is the clock right?",
			(unsigned long long)c.this_update);
	if (c.next_update <= now)
		return err_code(e, ERR_UNTRUSTED, "crl.stale",
				"the list of revoked certificates ended at %llu",
				(unsigned long long)c.next_update);
	*out = (struct revocation_list){ c.this_update, c.next_update };
	return 0;
}

static struct span minimal(const uint8_t serial[static REVOCATION_SERIAL])
{
	size_t at = 0;

	while (at < REVOCATION_SERIAL - 1 && !serial[at])
		at++;
	return span_of(serial + at, REVOCATION_SERIAL - at);
}

static int check_one(struct revocation *r, const struct revocation_cert *c, size_t kms, uint64_t now,
		     struct err *e)
{
	const struct list *l = find(r, c, kms);
	struct x509_crl list;

	if (!l || !l->der)
		return err_code(e, ERR_AGAIN,
				l && !strcmp(l->why.code, "crl.invalid") ? "crl.invalid" : "crl.stale",
				"no list of revoked certificates from %s%s%s", r->kms[kms].url,
				l && *l->why.text ? ": " : "", l ? l->why.text : "");
	// Also on one that has ended: what was revoked does not come back with it.
	if (x509_crl_parse(&list, span_of(l->der, l->n)) || x509_crl_has(&list, minimal(c->serial)))
		return err_code(e, ERR_DENIED, "revoked.cert", "certificate %s of app %s is revoked",
				STR_HEX(c->serial, REVOCATION_SERIAL), STR_HEX(c->app, ID_SIZE));
	if (now >= l->dates.next_update)
		return err_code(e, ERR_AGAIN, "crl.stale",
				"the list of revoked certificates from %s ended at %llu, and there is no "
				"newer one: %s",
				r->kms[kms].url, (unsigned long long)l->dates.next_update, l->why.text);
	return 0;
}

int revocation_check(struct revocation *r, const struct revocation_cert *c, struct err *e)
{
	uint64_t now = time_now();
	struct err first = { 0 }, one;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < r->n; i++)
		if (check_one(r, c, i, now, &one) && (first.class == ERR_NONE || one.class == ERR_DENIED))
			first = one;
	pthread_mutex_unlock(&r->lock);
	if (first.class == ERR_NONE)
		return 0;
	*e = first;
	return -1;
}

// ---- fetching

static int get(struct kms *k, const struct list *l, unsigned set, struct arena *a, int *status,
	       struct span *body, struct err *e)
{
	char path[96];

	snprintf(path, sizeof path, "/crl/app-%s-%u.crl", STR_HEX(l->app, ID_SIZE), set);
	return rpc_client_get(k->client, path, a, status, body, e);
}

// Of the root set of before, else of each until one is signed by the CA. The error is of the first.
static int get_its(struct kms *k, const struct list *l, struct arena *a, unsigned *set, struct span *body,
		   struct revocation_list *dates, struct err *e)
{
	uint64_t was = l->der ? l->dates.this_update : 0;
	struct err why = { 0 };
	int status = 0;

	*e = (struct err){ 0 };
	for (unsigned i = 0; i < SETS_MAX; i++) {
		*set = (l->set + i) % SETS_MAX;
		if (get(k, l, *set, a, &status, body, &why))
			return *e = why, -1;
		if (status == 404 && i)
			continue;
		if (status != 200)
			err_code(&why, ERR_AGAIN, "crl.stale", "the KMS answered %d", status);
		else if (!revocation_read(dates, *body, l->issuer, was, time_now(), &why))
			return 0;
		if (e->class == ERR_NONE)
			*e = why;
	}
	return -1;
}

// Whether it is to be asked for now, and a copy of what is needed meanwhile. *first: somebody else asks for
// it, and there is none yet.
static bool begin(struct revocation *r, const struct revocation_cert *c, size_t kms, struct list *copy,
		  bool *first)
{
	uint64_t now = time_mono_ms();

	pthread_mutex_lock(&r->lock);
	struct list *l = find_or_make(r, c, kms);
	uint64_t wait = l && l->why.class != ERR_NONE ? r->retry_ms : r->every_ms;
	bool due = l && (!l->tried_ms || now - l->tried_ms >= wait);
	*first = l && !l->der && l->why.class == ERR_NONE;
	if (l)
		l->round = r->round;
	if (due) {
		l->tried_ms = now;
		*copy = *l;
	}
	pthread_mutex_unlock(&r->lock);
	return due;
}

static void take(struct revocation *r, const struct revocation_cert *c, size_t kms, unsigned set,
		 struct span der, const struct revocation_list *dates)
{
	pthread_mutex_lock(&r->lock);
	struct list *l = find(r, c, kms);
	bool changed = l && (l->n != der.n || memcmp(l->der, der.p, der.n) != 0);
	uint8_t *copy = changed && dates->this_update >= l->dates.this_update ? malloc(der.n) : NULL;

	if (l && (!changed || copy)) {
		l->why = (struct err){ 0 };
		l->set = set;
	}
	if (copy) {
		memcpy(copy, der.p, der.n);
		free(l->der);
		l->der = copy;
		l->n = der.n;
		l->dates = *dates;
	}
	pthread_mutex_unlock(&r->lock);
	if (copy && r->store.put)
		r->store.put(r->store.arg, c->app, c->issuer, r->kms[kms].url, der);
}

static void fail(struct revocation *r, const struct revocation_cert *c, size_t kms, const struct err *why)
{
	pthread_mutex_lock(&r->lock);
	struct list *l = find(r, c, kms);
	if (l && strcmp(l->why.text, why->text) != 0) {
		log_warn("gateway", "no list of revoked certificates kms=%s app=%s: %s code=%s",
			 r->kms[kms].url, STR_HEX(c->app, ID_SIZE), why->text, why->code);
		l->why = *why;
	}
	pthread_mutex_unlock(&r->lock);
}

// One that does not answer is not asked again for every app.
static bool is_silent(const struct revocation *r, const struct kms *k)
{
	return k->silent_ms && time_mono_ms() - k->silent_ms < r->retry_ms;
}

static void fetch_one(struct revocation *r, const struct revocation_cert *c, size_t kms,
		      const struct list *copy)
{
	struct kms *k = &r->kms[kms];
	auto_arena *a = arena_new(LIST_MAX + (64 << 10));
	struct revocation_list dates;
	struct err e = { 0 };
	struct span body;
	unsigned set = 0;

	pthread_mutex_lock(&k->lock);
	int rc = !a ? err_set(&e, ERR_SYSTEM, "out of memory")
		 : is_silent(r, k)
			 ? err_code(&e, ERR_AGAIN, "rpc.connect", "the KMS did not answer a moment ago")
			 : get_its(k, copy, a, &set, &body, &dates, &e);
	if (!rc || (strcmp(e.code, "rpc.connect") != 0 && strcmp(e.code, "rpc.timeout") != 0))
		k->silent_ms = 0;
	else if (!is_silent(r, k))
		k->silent_ms = time_mono_ms();
	if (rc)
		fail(r, c, kms, &e);
	else
		take(r, c, kms, set, body, &dates); // before another may bring an older one
	pthread_mutex_unlock(&k->lock);
}

void revocation_fetch(struct revocation *r, const struct revocation_cert *c)
{
	struct list copy;
	bool first;

	for (size_t i = 0; i < r->n && !atomic_load(&r->stopped); i++) {
		if (begin(r, c, i, &copy, &first)) {
			fetch_one(r, c, i, &copy);
		} else if (first) { // wait until it is here
			pthread_mutex_lock(&r->kms[i].lock);
			pthread_mutex_unlock(&r->kms[i].lock);
		}
	}
}

// ---- life

void revocation_stop(struct revocation *r)
{
	atomic_store(&r->stopped, true);
}

void revocation_load(struct revocation *r, const uint8_t app[static ID_SIZE],
		     const uint8_t issuer[static REVOCATION_KEY], const char *url, struct span der)
{
	struct revocation_cert c = { 0 };
	struct revocation_list dates;
	struct err why;

	memcpy(c.app, app, ID_SIZE);
	memcpy(c.issuer, issuer, REVOCATION_KEY);
	for (size_t i = 0; i < r->n; i++) {
		if (strcmp(r->kms[i].url, url) != 0 ||
		    revocation_read(&dates, der, issuer, 0, time_now(), &why))
			continue;
		pthread_mutex_lock(&r->lock);
		struct list *l = find_or_make(r, &c, i);
		uint8_t *copy = l && !l->der ? malloc(der.n) : NULL;
		if (copy) {
			l->der = memcpy(copy, der.p, der.n);
			l->n = der.n;
			l->dates = dates;
		}
		pthread_mutex_unlock(&r->lock);
	}
}

struct walk {
	uint64_t round;
	struct list *old; // one that was not wanted for some rounds
};

static void look(const void *node, VISIT visit, void *arg)
{
	struct list *l = *(struct list *const *)node;
	struct walk *w = arg;

	if ((visit == postorder || visit == leaf) && !w->old && l->round + ROUNDS < w->round)
		w->old = l;
}

void revocation_round(struct revocation *r)
{
	for (bool more = true; more;) {
		struct list gone = { 0 };

		pthread_mutex_lock(&r->lock);
		struct walk w = { .round = r->round };
		twalk_r(r->lists, look, &w);
		struct list *l = w.old;
		more = l != NULL;
		if (l) {
			gone = *l;
			tdelete(l, &r->lists, compare);
			list_free(l);
		} else {
			r->round++;
		}
		pthread_mutex_unlock(&r->lock);
		if (more && r->store.drop)
			r->store.drop(r->store.arg, gone.app, gone.issuer);
	}
}

struct revocation *revocation_new(const char *const *url, size_t n, const char *ca_file, uint64_t every_s,
				  const struct revocation_store *store, struct err *e)
{
	const struct rpc_client_opts o = {
		.connect_s = CONNECT_S, .timeout_s = TOTAL_S, .reply_max = LIST_MAX, .ca_file = ca_file
	};
	struct revocation *r = calloc(1, sizeof *r);

	if (!r) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	pthread_mutex_init(&r->lock, NULL);
	r->every_ms = every_s * 1000;
	r->retry_ms = r->every_ms < RETRY_MS ? r->every_ms : RETRY_MS;
	r->store = *store;
	for (; r->n < n; r->n++) {
		struct kms *k = &r->kms[r->n];
		k->url = url[r->n];
		pthread_mutex_init(&k->lock, NULL);
		k->client = rpc_client_new(k->url, &o, e);
		if (k->client)
			continue;
		pthread_mutex_destroy(&k->lock);
		revocation_free(r);
		return NULL;
	}
	return r;
}

void revocation_free(struct revocation *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++) {
		rpc_client_free(r->kms[i].client);
		pthread_mutex_destroy(&r->kms[i].lock);
	}
	tdestroy(r->lists, list_free);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
