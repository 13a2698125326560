#include "ratls/pccs.h"

#include <ctype.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/time.h"
#include "ratls/pccs_fetch.h"

enum { ENTRIES = 16, FRESH_EVERY = 30, REFRESH_MAX = 24 * 3600 };

struct entry {
	struct dcap_platform platform;
	char *json; // NULL: nothing kept
	size_t n;
	uint64_t fetched, expires, tried; // Unix seconds
};

struct pccs {
	char *url, *dir;
	pthread_mutex_t lock; // also held while fetching: the second asker wants the same answer
	struct entry entry[ENTRIES];
	size_t next;
};

struct pccs *pccs_new(const char *url, const char *cache_dir, struct err *e)
{
	struct pccs *p = calloc(1, sizeof *p);

	if (p) {
		pthread_mutex_init(&p->lock, NULL);
		p->url = pccs_base_url(url ? url : PCCS_INTEL);
		p->dir = cache_dir ? strdup(cache_dir) : NULL;
	}
	if (!p || !p->url || (cache_dir && !p->dir)) {
		pccs_free(p);
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	if (strncmp(p->url, "https://", 8) != 0 && strncmp(p->url, "http://", 7) != 0) {
		err_code(e, ERR_INPUT, "config.pccs_url", "collateral URL %.100s is neither http nor https",
			 p->url);
		pccs_free(p);
		return NULL;
	}
	if (p->dir && file_mkdirs(p->dir, 0700, e)) {
		pccs_free(p);
		return NULL;
	}
	return p;
}

void pccs_free(struct pccs *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < ENTRIES; i++)
		free(p->entry[i].json);
	pthread_mutex_destroy(&p->lock);
	free(p->url);
	free(p->dir);
	free(p);
}

static bool same(const struct dcap_platform *a, const struct dcap_platform *b)
{
	return memcmp(a->fmspc, b->fmspc, sizeof a->fmspc) == 0 && a->is_tdx == b->is_tdx &&
	       a->processor_ca == b->processor_ca;
}

static struct entry *find(struct pccs *p, const struct dcap_platform *platform)
{
	struct entry *n;

	for (size_t i = 0; i < ENTRIES; i++)
		if (same(&p->entry[i].platform, platform) && (p->entry[i].tried || p->entry[i].json))
			return &p->entry[i];
	// Platforms that never verified give way first: made-up ones must not drive out genuine ones.
	n = NULL;
	for (size_t i = 0; i < ENTRIES; i++)
		if (!p->entry[i].json && (!n || p->entry[i].tried < n->tried))
			n = &p->entry[i];
	if (!n) {
		n = &p->entry[p->next];
		p->next = (p->next + 1) % ENTRIES;
	}
	free(n->json);
	*n = (struct entry){ .platform = *platform };
	return n;
}

static bool disk_path(char *out, const struct pccs *p, const struct dcap_platform *f)
{
	return p->dir &&
	       snprintf(out, PATH_MAX, "%s/%s-%02x%02x%02x%02x%02x%02x-%s.json", p->dir,
			f->is_tdx ? "tdx" : "sgx", f->fmspc[0], f->fmspc[1], f->fmspc[2], f->fmspc[3],
			f->fmspc[4], f->fmspc[5], f->processor_ca ? "processor" : "platform") < PATH_MAX;
}

static int give(struct pccs_answer *out, const char *json, size_t n, bool cached, struct err *e)
{
	char *copy = malloc(n + 1);

	if (!copy)
		return err_set(e, ERR_SYSTEM, "out of memory");
	memcpy(copy, json, n);
	copy[n] = 0;
	*out = (struct pccs_answer){ copy, n, cached };
	return 0;
}

static uint64_t refresh_at(const struct entry *n)
{
	uint64_t half = (n->expires - n->fetched) / 2;

	return n->fetched + (half < REFRESH_MAX ? half : REFRESH_MAX);
}

// What an earlier process kept. Its expiry is not known here: the caller's verification applies it.
static bool give_from_disk(struct pccs_answer *out, const struct pccs *p,
			   const struct dcap_platform *platform)
{
	char path[PATH_MAX];
	struct err ignored;
	auto_free char *json = NULL;
	size_t n;

	return disk_path(path, p, platform) && !file_read(path, DCAP_COLLATERAL_MAX, &json, &n, &ignored) &&
	       !give(out, json, n, true, &ignored);
}

static int fetch(struct pccs *p, struct pccs_answer *out, struct entry *n, struct err *e)
{
	*out = (struct pccs_answer){ 0 };
	n->tried = time_now();
	return pccs_fetch(p->url, &n->platform, &out->json, &out->n, e);
}

static int get(struct pccs *p, struct pccs_answer *out, const struct dcap_platform *platform, bool fresh,
	       struct err *e)
{
	struct entry *n = find(p, platform);
	uint64_t now = time_now();
	bool kept = n->json && now <= n->expires;

	if (fresh && now - n->tried < FRESH_EVERY)
		fresh = false;
	if (!fresh && kept && (now < refresh_at(n) || now - n->tried < FRESH_EVERY))
		return give(out, n->json, n->n, true, e);
	if (!fresh && !n->json && !n->tried && give_from_disk(out, p, platform))
		return 0;
	if (!fetch(p, out, n, e))
		return 0;
	return kept ? give(out, n->json, n->n, true, e) : -1;
}

int pccs_get(struct pccs *p, struct pccs_answer *out, const struct dcap_platform *platform, bool fresh,
	     struct err *e)
{
	pthread_mutex_lock(&p->lock);
	int r = get(p, out, platform, fresh, e);
	pthread_mutex_unlock(&p->lock);
	return r;
}

void pccs_verified(struct pccs *p, const struct dcap_platform *platform, const struct pccs_answer *a,
		   uint64_t expires)
{
	char path[PATH_MAX];
	struct err ignored;

	pthread_mutex_lock(&p->lock);
	struct entry *n = find(p, platform);
	bool known = n->json && n->n == a->n && memcmp(n->json, a->json, a->n) == 0;
	char *copy = known ? NULL : malloc(a->n);

	if (copy) {
		memcpy(copy, a->json, a->n);
		free(n->json);
		n->json = copy;
		n->n = a->n;
		n->fetched = time_now();
		n->expires = expires;
		if (!a->cached && disk_path(path, p, platform)) // a cache: failing to write it loses nothing
			(void)!file_write(path, 0600, a->json, a->n, &ignored);
	}
	pthread_mutex_unlock(&p->lock);
}
