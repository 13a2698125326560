#include "rpc/rate.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

// Clients are found by a keyed sum of their name, so that nobody can choose whose place to take.
enum { WAYS = 8, SETS = RATE_CLIENTS / WAYS, TOKEN = 1000 };

struct bucket {
	uint64_t tokens, at; // thousandths; when they were counted
};

struct client {
	bool used;
	uint8_t key[RATE_KEY];
	struct bucket b;
};

struct rate {
	struct rate_limits limits;
	struct bucket all;
	uint64_t seed;
	struct client clients[SETS][WAYS];
};

struct rate *rate_new(const struct rate_limits *l)
{
	struct rate *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	r->limits = *l;
	r->all.tokens = (uint64_t)l->all_burst * TOKEN;
	if (getrandom(&r->seed, sizeof r->seed, GRND_NONBLOCK) < 0)
		r->seed = (uintptr_t)r;
	return r;
}

void rate_free(struct rate *r)
{
	free(r);
}

static void refill(struct bucket *b, uint32_t per_s, uint32_t burst, uint64_t now)
{
	uint64_t gone = now > b->at ? now - b->at : 0, full = (uint64_t)burst * TOKEN;

	// A thousandth of a token a millisecond for each token a second. An hour fills any bucket.
	b->tokens += (gone < 3600000 ? gone : 3600000) * per_s;
	if (b->tokens > full)
		b->tokens = full;
	b->at = now;
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93; // an odd number with well spread bits
	x ^= x >> 32;
	return x;
}

static struct client *find(struct rate *r, const uint8_t *key, uint64_t now)
{
	uint64_t half[2];

	memcpy(half, key, sizeof half);
	struct client *set = r->clients[mix(mix(half[0] ^ r->seed) ^ half[1]) % SETS], *quiet = set;
	for (struct client *c = set; c < set + WAYS; c++) {
		if (c->used && !memcmp(c->key, key, RATE_KEY))
			return c;
		if ((c->used ? c->b.at : 0) < (quiet->used ? quiet->b.at : 0))
			quiet = c;
	}
	*quiet = (struct client){ .used = true,
				  .b = { .tokens = (uint64_t)r->limits.burst * TOKEN, .at = now } };
	memcpy(quiet->key, key, RATE_KEY);
	return quiet;
}

bool rate_allow(struct rate *r, const uint8_t client[static RATE_KEY], uint64_t now_ms)
{
	const struct rate_limits *l = &r->limits;
	struct bucket *own = l->per_s ? &find(r, client, now_ms)->b : NULL;
	struct bucket *all = l->all_per_s ? &r->all : NULL;

	if (own)
		refill(own, l->per_s, l->burst, now_ms);
	if (all)
		refill(all, l->all_per_s, l->all_burst, now_ms);
	if ((own && own->tokens < TOKEN) || (all && all->tokens < TOKEN))
		return false;
	if (own)
		own->tokens -= TOKEN;
	if (all)
		all->tokens -= TOKEN;
	return true;
}
