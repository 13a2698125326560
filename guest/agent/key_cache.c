#include "key_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	uint64_t used; // when, counted in questions; 0: empty
	size_t name_n;
	char name[KEY_CACHE_NAMES];
	size_t public_n;
	uint8_t public[sizeof((struct derived_key *)0)->public];
	uint8_t signature[K256_SIG];
};

struct key_cache {
	pthread_mutex_t lock;
	uint64_t now;
	struct entry entries[KEY_CACHE_ENTRIES];
};

struct key_cache *key_cache_new(void)
{
	struct key_cache *c = calloc(1, sizeof *c);

	if (c && pthread_mutex_init(&c->lock, NULL)) {
		free(c);
		return NULL;
	}
	return c;
}

void key_cache_free(struct key_cache *c)
{
	if (!c)
		return;
	pthread_mutex_destroy(&c->lock);
	free(c);
}

// Algorithm, path, 0, purpose: no two questions read alike, since neither string contains a 0. Returns the
// length, 0 when too long to keep.
static size_t name_of(bool ed25519, const char *path, const char *purpose, char name[static KEY_CACHE_NAMES])
{
	size_t a = strlen(path), b = strlen(purpose);

	if (a > KEY_CACHE_NAMES - 2 || b > KEY_CACHE_NAMES - 2 - a)
		return 0;
	name[0] = ed25519 ? 'e' : 'k';
	memcpy(name + 1, path, a + 1);
	memcpy(name + a + 2, purpose, b);
	return a + b + 2;
}

static struct entry *find(struct key_cache *c, const char *name, size_t n)
{
	for (struct entry *t = c->entries; t < c->entries + KEY_CACHE_ENTRIES; t++)
		if (t->used && t->name_n == n && !memcmp(t->name, name, n))
			return t;
	return NULL;
}

static struct entry *oldest(struct key_cache *c)
{
	struct entry *least = c->entries;

	for (struct entry *t = c->entries; t < c->entries + KEY_CACHE_ENTRIES; t++)
		if (t->used < least->used)
			least = t;
	return least;
}

bool key_cache_get(struct key_cache *c, bool ed25519, const char *path, const char *purpose,
		   struct derived_key *d)
{
	char name[KEY_CACHE_NAMES];
	size_t n = c ? name_of(ed25519, path, purpose, name) : 0;

	if (!n)
		return false;
	pthread_mutex_lock(&c->lock);
	struct entry *t = find(c, name, n);
	if (t) {
		t->used = ++c->now;
		memcpy(d->public, t->public, sizeof d->public);
		d->public_n = t->public_n;
		memcpy(d->signature, t->signature, sizeof d->signature);
	}
	pthread_mutex_unlock(&c->lock);
	return t != NULL;
}

void key_cache_put(struct key_cache *c, bool ed25519, const char *path, const char *purpose,
		   const struct derived_key *d)
{
	char name[KEY_CACHE_NAMES];
	size_t n = c ? name_of(ed25519, path, purpose, name) : 0;

	if (!n)
		return;
	pthread_mutex_lock(&c->lock);
	struct entry *t = find(c, name, n); // when two threads were asked at once
	if (!t)
		t = oldest(c);
	t->used = ++c->now;
	memcpy(t->name, name, n);
	t->name_n = n;
	memcpy(t->public, d->public, sizeof t->public);
	t->public_n = d->public_n;
	memcpy(t->signature, d->signature, sizeof t->signature);
	pthread_mutex_unlock(&c->lock);
}
