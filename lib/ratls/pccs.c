#include "ratls/pccs.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/time.h"
#include "ratls/pccs_disk.h"
#include "ratls/pccs_entry.h"
#include "ratls/pccs_fetch.h"
#include "ratls/pccs_seen.h"

enum {
	FRESH_EVERY = 30,   // seconds between fetches that a refused quote may cause
	FAILURE_KEPT = 5,   // seconds that a failure answers for a platform
	UNKNOWN_BURST = 20, // fetches for platforms never verified: so many, and one more each second
	CONNECT_MS = 5000,
	TOTAL_MS = 30000,
};

struct pccs {
	char *url, *dir;
	bool compat;
	int connect_ms, total_ms;
	uint64_t (*clock)(void);
	struct pccs_seen *seen;
	pthread_mutex_t lock;
	pthread_cond_t change; // a fetch ended, one is due, or it is time to stop
	pthread_t worker;
	bool has_worker;
	atomic_bool stop;
	uint64_t bucket, bucket_at;
	struct pccs_stats stats;
	struct pccs_table table;
};

// ---- answers

void pccs_release(struct pccs_answer *a)
{
	pccs_blob_drop(&a->blob);
	a->json = NULL;
	a->n = 0;
}

static int give(struct pccs_answer *a, struct pccs_blob *b, enum pccs_source source)
{
	struct pccs_blob *was = a->blob;

	a->blob = pccs_blob_ref(b);
	pccs_blob_drop(&was);
	a->json = b->json;
	a->n = b->n;
	a->source = source;
	a->unusable = false;
	a->tried |= 1u << source;
	return 0;
}

// ---- fetching

static bool may_fetch_unknown(struct pccs *p)
{
	uint64_t now = time_mono_ms() / 1000, more = now - p->bucket_at;

	p->bucket = p->bucket + more < UNKNOWN_BURST ? p->bucket + more : UNKNOWN_BURST;
	p->bucket_at = now;
	if (!p->bucket)
		return false;
	p->bucket--;
	return true;
}

static int request(const struct pccs *p, const struct dcap_platform *platform, struct pccs_blob **out,
		   struct err *e)
{
	struct pccs_http http = { .curl = curl_easy_init(),
				  .connect_ms = p->connect_ms,
				  .deadline = time_mono_ms() + (uint64_t)p->total_ms,
				  .stop = &p->stop };
	char *json = NULL;
	size_t n;
	int r = pccs_fetch(&http, p->url, platform, &json, &n, e);

	curl_easy_cleanup(http.curl);
	*out = r ? NULL : pccs_blob_new(json, n, p->clock());
	free(json);
	return r || *out ? r : err_set(e, ERR_SYSTEM, "out of memory");
}

// Called with the lock held, which is given back meanwhile. The result is the entry's candidate or failure.
static int fetch(struct pccs *p, struct pccs_entry *n, struct err *e)
{
	struct dcap_platform platform = n->platform;
	struct pccs_blob *got;

	n->busy = true;
	n->tried = p->clock();
	p->stats.fetches++;
	pthread_mutex_unlock(&p->lock);
	int r = request(p, &platform, &got, e);
	pthread_mutex_lock(&p->lock);
	n->busy = false;
	p->stats.ended++;
	if (r) {
		p->stats.failures++;
		n->failure = *e;
		n->failed_until = p->clock() + FAILURE_KEPT;
		if (pccs_is_kept(n, p->clock()) && !atomic_load(&p->stop)) // else the asker is told
			log_warn("collateral", "%s code=%s; what is kept serves on", e->text, e->code);
	} else {
		pccs_blob_drop(&n->candidate);
		n->candidate = got;
		n->failed_until = 0;
	}
	pthread_cond_broadcast(&p->change);
	return r;
}

static void *work(void *arg)
{
	struct pccs *p = arg;

	pthread_mutex_lock(&p->lock);
	while (!atomic_load(&p->stop)) {
		struct timespec until;
		struct err ignored;
		size_t i = 0;

		while (i < PCCS_ENTRIES && !pccs_is_due(&p->table.entry[i], p->clock()))
			i++;
		if (i < PCCS_ENTRIES) {
			(void)!fetch(p, &p->table.entry[i], &ignored);
			continue;
		}
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += PCCS_RETRY_EVERY;
		pthread_cond_timedwait(&p->change, &p->lock, &until);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

// ---- answering

// What an earlier process kept; `stale`: however long ago.
static bool from_disk(struct pccs *p, struct pccs_entry *n, struct pccs_answer *a, bool stale)
{
	uint64_t written = 0, now = p->clock();
	char *json = NULL;
	struct err e;
	size_t len;

	if (n->kept || n->no_disk || a->tried >> PCCS_DISK & 1)
		return false;
	if (pccs_disk_read(p->dir, &n->platform, &json, &len, &written, &e)) {
		n->no_disk = true;
		return false;
	}
	if (!stale && now >= written + PCCS_KEEP_MAX) {
		free(json);
		return false;
	}
	struct pccs_blob *b = pccs_blob_new(json, len, written < now ? written : now);

	free(json);
	if (!b)
		return false;
	give(a, b, PCCS_DISK);
	pccs_blob_drop(&b);
	return true;
}

// 0: answered; 1: not to be asked now; -1: failed. Waits for a fetch that is under way.
static int from_source(struct pccs *p, struct pccs_entry *n, struct pccs_answer *a, struct err *e)
{
	uint64_t now = p->clock();
	bool waited = false;

	if (a->tried >> PCCS_FETCHED & 1)
		return 1;
	while (n->busy && pccs_same(&n->platform, &a->platform)) {
		waited = true;
		pthread_cond_wait(&p->change, &p->lock);
	}
	if (waited && !pccs_same(&n->platform, &a->platform)) // the slot went to another platform meanwhile
		return err_code(e, ERR_AGAIN, "collateral.busy", "too many platforms at once");
	if (waited && n->candidate)
		return give(a, n->candidate, PCCS_FETCHED);
	if (waited && pccs_is_young(n, now)) // it was verified before we woke
		return give(a, n->kept, PCCS_FETCHED);
	if (n->failed_until > now) {
		*e = n->failure;
		return -1;
	}
	if (a->tried && now < n->tried + FRESH_EVERY)
		return 1;
	if (!n->kept && !may_fetch_unknown(p))
		return err_code(e, ERR_AGAIN, "collateral.busy",
				"too many questions about platforms not seen before");
	if (fetch(p, n, e))
		return -1;
	if (n->candidate)
		return give(a, n->candidate, PCCS_FETCHED);
	return n->kept ? give(a, n->kept, PCCS_FETCHED) : 1;
}

static bool untried(const struct pccs_answer *a, enum pccs_source s)
{
	return !(a->tried >> s & 1);
}

// In the order of preference. After collateral that is genuine but refuses the quote only a newer one is
// worth trying.
static int get(struct pccs *p, struct pccs_entry *n, struct pccs_answer *a, struct err *e)
{
	bool any = !a->tried || a->unusable;
	uint64_t now = n->asked = p->clock();

	if (pccs_is_due(n, now))
		pthread_cond_broadcast(&p->change);
	if (any && n->candidate && untried(a, PCCS_CANDIDATE) && untried(a, PCCS_FETCHED))
		return give(a, n->candidate, PCCS_CANDIDATE);
	if (any && pccs_is_young(n, now) && untried(a, PCCS_MEMORY))
		return give(a, n->kept, PCCS_MEMORY);
	if (any && from_disk(p, n, a, false))
		return 0;
	int r = from_source(p, n, a, e);

	if (!r || !any || !pccs_same(&n->platform, &a->platform))
		return r;
	if (pccs_is_kept(n, p->clock()) && untried(a, PCCS_MEMORY))
		return give(a, n->kept, PCCS_MEMORY);
	return from_disk(p, n, a, true) ? 0 : r;
}

int pccs_get(struct pccs *p, struct pccs_answer *a, const struct dcap_platform *platform, struct err *e)
{
	bool refused = a->tried && !a->unusable; // then the reason for that is what matters
	struct err why = { 0 };
	int r;

	a->platform = *platform;
	a->older = false;
	pthread_mutex_lock(&p->lock);
	struct pccs_entry *n = pccs_entry_make(&p->table, platform, p->dir);

	if (!n)
		r = err_code(&why, ERR_AGAIN, "collateral.busy", "too many platforms at once");
	else
		r = get(p, n, a, &why);
	pthread_mutex_unlock(&p->lock);
	if (r < 0 && refused)
		return 1;
	if (r < 0)
		*e = why;
	return r;
}

// ---- what became of it

// Reasons that lie in the collateral, whatever the quote.
static bool about_documents(const struct err *e)
{
	static const char *const stages[] = { "collateral.", "crl.", "tcb_info.", "qe_identity." };

	for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
		if (strncmp(e->code, stages[i], strlen(stages[i])) == 0)
			return true;
	return false;
}

static void forget(struct pccs_entry *n, struct pccs_answer *a)
{
	if (n->candidate == a->blob)
		pccs_blob_drop(&n->candidate);
	if (n->kept == a->blob)
		pccs_blob_drop(&n->kept);
	if (a->source == PCCS_DISK)
		n->no_disk = true;
	a->unusable = true;
}

void pccs_refused(struct pccs *p, struct pccs_answer *a, const struct err *e)
{
	pthread_mutex_lock(&p->lock);
	struct pccs_entry *n = pccs_entry_find(&p->table, &a->platform);

	// A quote under another root says nothing about the collateral, nor collateral under another root
	// about other collateral.
	a->unusable = !strcmp(e->code, "root.not_trusted");
	if (n && about_documents(e)) {
		forget(n, a);
		if (a->source == PCCS_FETCHED) {
			n->failure = *e;
			n->failed_until = p->clock() + FAILURE_KEPT;
		}
	}
	pthread_mutex_unlock(&p->lock);
}

// Older than seen before: in strict no use; in compat used this once, and kept only for want of a newer one.
static int judge_age(struct pccs *p, const struct dcap_platform *platform, struct span json, bool *older,
		     struct err *e)
{
	struct pccs_facts facts;

	if (pccs_facts_read(&facts, platform, json, e))
		return -1;
	if (!pccs_seen_check(p->seen, &facts, e)) {
		pccs_seen_record(p->seen, &facts);
		return 0;
	}
	log_warn("collateral", "%s code=%s mode=%s", e->text, e->code, p->compat ? "compat" : "strict");
	*older = true;
	return p->compat ? 0 : -1;
}

static void install(struct pccs_entry *n, struct pccs_answer *a, uint64_t expires, uint64_t now)
{
	bool better = pccs_is_kept(n, now) && a->older && !n->kept->older;

	a->blob->older = a->older;
	if (!better && n->kept != a->blob) {
		struct pccs_blob *b = pccs_blob_ref(a->blob);

		pccs_blob_drop(&n->kept);
		n->kept = b;
	}
	if (!better)
		n->expires = expires;
	if (n->candidate == a->blob)
		pccs_blob_drop(&n->candidate);
}

int pccs_verified(struct pccs *p, struct pccs_answer *a, uint64_t expires, struct err *e)
{
	struct err why;

	pthread_mutex_lock(&p->lock);
	struct pccs_entry *n = pccs_entry_find(&p->table, &a->platform);
	bool known = n && n->kept == a->blob;

	if (known) {
		n->expires = expires;
		a->older = a->blob->older;
	}
	pthread_mutex_unlock(&p->lock);
	if (known)
		return 0;
	int r = judge_age(p, &a->platform, span_of(a->json, a->n), &a->older, e);

	pthread_mutex_lock(&p->lock);
	n = pccs_entry_find(&p->table, &a->platform);
	if (n && r)
		forget(n, a);
	else if (n)
		install(n, a, expires, p->clock());
	a->unusable = r;
	pthread_mutex_unlock(&p->lock);
	// A cache: failing to write it loses nothing.
	if (!r && p->dir && !a->older && a->source != PCCS_DISK &&
	    pccs_disk_write(p->dir, &a->platform, a->json, a->n, &why))
		log_warn("collateral", "not kept on disk: %s", why.text);
	return r;
}

int pccs_offered(struct pccs *p, const struct dcap_result *q, struct span json, bool *older, struct err *e)
{
	struct dcap_platform platform = { .is_tdx = q->is_tdx };

	memcpy(platform.fmspc, q->fmspc, sizeof platform.fmspc);
	return judge_age(p, &platform, json, older, e);
}

struct pccs_stats pccs_stats(struct pccs *p)
{
	pthread_mutex_lock(&p->lock);
	struct pccs_stats s = p->stats;

	pthread_mutex_unlock(&p->lock);
	return s;
}

// ---- life

static void set_up_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

// Signals are for the program's own threads.
static int start_worker(struct pccs *p, struct err *e)
{
	sigset_t all, was;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	p->has_worker = !pthread_create(&p->worker, NULL, work, p);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	return p->has_worker ? 0 : err_set(e, ERR_SYSTEM, "start a thread for collateral");
}

static int open_parts(struct pccs *p, const struct pccs_config *c, struct err *e)
{
	p->url = pccs_base_url(c->url ? c->url : PCCS_INTEL);
	p->dir = c->cache_dir ? strdup(c->cache_dir) : NULL;
	if (!p->url || (c->cache_dir && !p->dir))
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (strncmp(p->url, "https://", 8) != 0 && strncmp(p->url, "http://", 7) != 0)
		return err_code(e, ERR_INPUT, "config.pccs_url",
				"collateral URL %.100s is neither http nor https", p->url);
	if ((p->dir && pccs_disk_open(p->dir, e)) || !(p->seen = pccs_seen_new(p->dir, e)))
		return -1;
	return start_worker(p, e);
}

struct pccs *pccs_new(const struct pccs_config *c, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct pccs *p = calloc(1, sizeof *p);
	pthread_condattr_t attr;

	if (!p) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	pthread_once(&once, set_up_curl);
	p->compat = c->compat;
	p->connect_ms = c->connect_ms ? c->connect_ms : CONNECT_MS;
	p->total_ms = c->total_ms ? c->total_ms : TOTAL_MS;
	p->clock = c->clock ? c->clock : time_now;
	p->bucket = UNKNOWN_BURST;
	p->bucket_at = time_mono_ms() / 1000;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->change, &attr);
	pthread_condattr_destroy(&attr);
	if (open_parts(p, c, e)) {
		pccs_free(p);
		return NULL;
	}
	return p;
}

void pccs_free(struct pccs *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	atomic_store(&p->stop, true);
	pthread_cond_broadcast(&p->change);
	pthread_mutex_unlock(&p->lock);
	if (p->has_worker)
		pthread_join(p->worker, NULL);
	for (size_t i = 0; i < PCCS_ENTRIES; i++) {
		pccs_blob_drop(&p->table.entry[i].kept);
		pccs_blob_drop(&p->table.entry[i].candidate);
	}
	pccs_seen_free(p->seen);
	pthread_cond_destroy(&p->change);
	pthread_mutex_destroy(&p->lock);
	free(p->url);
	free(p->dir);
	free(p);
}
