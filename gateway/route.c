#include "route.h"

#include <stdlib.h>
#include <string.h>

// Open addressing over a power of two at least twice the number of ids; ids are hashes already, so their
// first bytes spread well, and an attacker cannot choose them without finding SHA-256 prefixes.
struct slot {
	uint32_t first, n; // into `order`; n 0: empty
	uint8_t id[ID_SIZE];
};

struct route_table {
	struct route_env env;
	struct route *routes;
	const struct route **order; // apps' candidates, then each instance by itself
	struct slot *slots;
	size_t mask;
	uint64_t number;
	uint32_t *revoked; // indexes, ascending
	size_t n_revoked;
	struct route_table *next; // when retired
};

static size_t slot_of(const struct route_table *t, const uint8_t id[static ID_SIZE])
{
	uint64_t h;

	memcpy(&h, id, sizeof h);
	for (size_t i = (size_t)h & t->mask;; i = (i + 1) & t->mask)
		if (!t->slots[i].n || memcmp(t->slots[i].id, id, ID_SIZE) == 0)
			return i;
}

static void put(struct route_table *t, const uint8_t id[static ID_SIZE], size_t first, size_t n)
{
	struct slot *s = &t->slots[slot_of(t, id)];

	if (s->n)
		return; // an instance named like an app: the app was first
	memcpy(s->id, id, ID_SIZE);
	s->first = (uint32_t)first;
	s->n = (uint32_t)n;
}

static int by_app(const void *x, const void *y)
{
	const struct route *a = *(const struct route *const *)x, *b = *(const struct route *const *)y;
	int r = memcmp(a->app_id, b->app_id, ID_SIZE);

	if (r)
		return r;
	if (a->state != b->state)
		return a->state < b->state ? -1 : 1;
	if (a->handshake != b->handshake)
		return a->handshake > b->handshake ? -1 : 1;
	if (a->registered != b->registered)
		return a->registered > b->registered ? -1 : 1;
	return memcmp(a->instance_id, b->instance_id, ID_SIZE);
}

static int by_index(const void *x, const void *y)
{
	uint32_t a, b;

	memcpy(&a, x, sizeof a);
	memcpy(&b, y, sizeof b);
	return a < b ? -1 : a > b;
}

static int add_revoked(struct route_table *t, size_t n)
{
	static _Atomic uint64_t numbers;

	t->number = atomic_fetch_add(&numbers, 1) + 1;
	for (size_t i = 0; i < n; i++)
		t->n_revoked += t->routes[i].state == ROUTE_REVOKED;
	if (!t->n_revoked)
		return 0;
	t->revoked = malloc(t->n_revoked * sizeof *t->revoked);
	if (!t->revoked)
		return -1;
	for (size_t i = 0, k = 0; i < n; i++)
		if (t->routes[i].state == ROUTE_REVOKED)
			t->revoked[k++] = t->routes[i].index;
	qsort(t->revoked, t->n_revoked, sizeof *t->revoked, by_index);
	return 0;
}

struct route_table *route_table_new(const struct route *list, size_t n, const struct route_env *env,
				    struct err *e)
{
	struct route_table *t = calloc(1, sizeof *t);
	size_t slots = 8;

	while (slots < 4 * n)
		slots *= 2;
	if (t) {
		t->routes = malloc((n + 1) * sizeof *t->routes);
		t->order = calloc(2 * n + 1, sizeof(void *));
		t->slots = calloc(slots, sizeof *t->slots);
	}
	if (!t || !t->routes || !t->order || !t->slots) {
		if (t)
			route_table_free(t);
		err_set(e, ERR_SYSTEM, "build a route table: out of memory");
		return NULL;
	}
	t->env = *env;
	if (env->tls)
		SSL_CTX_up_ref(env->tls);
	if (env->tls_h2)
		SSL_CTX_up_ref(env->tls_h2);
	t->mask = slots - 1;
	for (size_t i = 0; i < n; i++) {
		t->routes[i] = list[i];
		t->order[i] = &t->routes[i];
	}
	if (add_revoked(t, n)) {
		route_table_free(t);
		err_set(e, ERR_SYSTEM, "build a route table: out of memory");
		return NULL;
	}
	qsort(t->order, n, sizeof(void *), by_app);
	for (size_t i = 0, k; i < n; i = k) {
		for (k = i + 1; k < n && memcmp(t->order[i]->app_id, t->order[k]->app_id, ID_SIZE) == 0;)
			k++;
		put(t, t->order[i]->app_id, i, k - i);
	}
	for (size_t i = 0; i < n; i++) {
		t->order[n + i] = &t->routes[i];
		put(t, t->routes[i].instance_id, n + i, 1);
	}
	return t;
}

void route_table_free(struct route_table *t)
{
	SSL_CTX_free(t->env.tls);
	SSL_CTX_free(t->env.tls_h2);
	free(t->routes);
	free(t->order);
	free(t->slots);
	free(t->revoked);
	free(t);
}

const struct route_env *route_env(const struct route_table *t)
{
	return &t->env;
}

const struct route *const *route_find(const struct route_table *t, const uint8_t id[static ID_SIZE],
				      size_t *n)
{
	const struct slot *s = &t->slots[slot_of(t, id)];

	*n = s->n;
	return s->n ? &t->order[s->first] : NULL;
}

uint64_t route_number(const struct route_table *t)
{
	return t->number;
}

bool route_any_revoked(const struct route_table *t)
{
	return t->n_revoked != 0;
}

bool route_is_revoked(const struct route_table *t, uint32_t index)
{
	return t->n_revoked && bsearch(&index, t->revoked, t->n_revoked, sizeof index, by_index);
}

bool route_allows(const struct route *r, uint16_t port, bool unknown_allowed)
{
	if (!r->policy.known)
		return unknown_allowed;
	if (!r->policy.restricted)
		return true;
	for (size_t i = 0; i < r->policy.n; i++)
		if (r->policy.ports[i] == port)
			return true;
	return false;
}

void route_publish(struct route_board *b, struct route_table *t)
{
	struct route_table *was = atomic_exchange(&b->now, t);

	if (was) {
		was->next = b->retired;
		b->retired = was;
	}
	route_collect(b);
}

static bool is_pinned(struct route_board *b, const struct route_table *t)
{
	for (size_t i = 0; i < ROUTE_REACTORS_MAX; i++)
		if (atomic_load(&b->pinned[i]) == t)
			return true;
	return false;
}

void route_collect(struct route_board *b)
{
	struct route_table **at = &b->retired;

	while (*at) {
		struct route_table *t = *at;
		if (is_pinned(b, t)) {
			at = &t->next;
			continue;
		}
		*at = t->next;
		route_table_free(t);
	}
}

void route_board_end(struct route_board *b)
{
	route_publish(b, NULL);
}

// A hazard pointer: announced first, then looked at again. Once both agree the writer cannot have missed it.
const struct route_table *route_pin(struct route_board *b, unsigned reactor)
{
	struct route_table *t = atomic_load(&b->now), *again;

	for (;; t = again) {
		atomic_store(&b->pinned[reactor], t);
		again = atomic_load(&b->now);
		if (again == t)
			return t;
	}
}

void route_unpin(struct route_board *b, unsigned reactor)
{
	atomic_store_explicit(&b->pinned[reactor], NULL, memory_order_release);
}
