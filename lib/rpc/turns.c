#include "rpc/turns.h"

#include <stdlib.h>
#include <string.h>

// A client exists while something of it waits. Clients are in a list, whose turn is next first.
struct turns_client {
	struct turns_client *next, *prev;
	struct turn *first, *last;
	size_t n;
	uint8_t key[TURNS_KEY];
};

struct turns {
	struct turns_client *first, *last;
	size_t n, max, per_client;
};

struct turns *turns_new(size_t max, size_t per_client)
{
	struct turns *q = calloc(1, sizeof *q);

	if (q) {
		q->max = max;
		q->per_client = per_client < max ? per_client : max;
	}
	return q;
}

void turns_free(struct turns *q)
{
	while (q && turns_take(q))
		;
	free(q);
}

static void unlink_client(struct turns *q, struct turns_client *c)
{
	*(c->prev ? &c->prev->next : &q->first) = c->next;
	*(c->next ? &c->next->prev : &q->last) = c->prev;
	c->next = c->prev = NULL;
}

static void append_client(struct turns *q, struct turns_client *c)
{
	c->prev = q->last;
	c->next = NULL;
	*(q->last ? &q->last->next : &q->first) = c;
	q->last = c;
}

// At most one for each that waits: a walk is short beside the work that is waited for.
static struct turns_client *find(const struct turns *q, const uint8_t *key)
{
	struct turns_client *c = q->first;

	while (c && memcmp(c->key, key, TURNS_KEY) != 0)
		c = c->next;
	return c;
}

static struct turns_client *with_most(const struct turns *q)
{
	struct turns_client *most = q->first;

	for (struct turns_client *c = most; c; c = c->next)
		if (c->n > most->n)
			most = c;
	return most;
}

void turns_remove(struct turns *q, struct turn *t)
{
	struct turns_client *c = t->client;

	*(t->prev ? &t->prev->next : &c->first) = t->next;
	*(t->next ? &t->next->prev : &c->last) = t->prev;
	t->client = NULL;
	q->n--;
	if (--c->n)
		return;
	unlink_client(q, c);
	free(c);
}

// Makes room in a full queue: *out is who leaves. -1 when the newcomer's client has as much as anybody.
static int make_room(struct turns *q, size_t has, struct turn **out)
{
	struct turns_client *most = with_most(q);

	if (!most || has + 1 >= most->n)
		return -1;
	*out = most->last;
	turns_remove(q, *out);
	return 0;
}

int turns_add(struct turns *q, struct turn *t, const uint8_t client[static TURNS_KEY], uint64_t now,
	      struct turn **out)
{
	struct turns_client *c = find(q, client);

	*out = NULL;
	if (c && c->n >= q->per_client)
		return -1;
	struct turns_client *fresh = c ? NULL : calloc(1, sizeof *fresh);
	if ((!c && !fresh) || (q->n >= q->max && make_room(q, c ? c->n : 0, out))) {
		free(fresh);
		return -1;
	}
	if (fresh) {
		c = fresh;
		memcpy(c->key, client, TURNS_KEY);
		append_client(q, c);
	}
	*t = (struct turn){ .prev = c->last, .client = c, .since = now };
	*(c->last ? &c->last->next : &c->first) = t;
	c->last = t;
	c->n++;
	q->n++;
	return 0;
}

struct turn *turns_take(struct turns *q)
{
	struct turns_client *c = q->first;

	if (!c)
		return NULL;
	struct turn *t = c->first;
	unlink_client(q, c);
	append_client(q, c);
	turns_remove(q, t);
	return t;
}

struct turn *turns_take_older(struct turns *q, uint64_t since)
{
	for (struct turns_client *c = q->first; c; c = c->next) {
		if (c->first->since >= since)
			continue;
		struct turn *t = c->first;
		turns_remove(q, t);
		return t;
	}
	return NULL;
}

size_t turns_waiting(const struct turns *q)
{
	return q->n;
}
