#include "registry.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"

enum { KEEPALIVE = 25, BATCH = 64 };

static uint32_t mask_of(const struct wg_cidr *c)
{
	return c->prefix ? UINT32_MAX << (32 - c->prefix) : 0;
}

static bool contains(const struct wg_cidr *c, uint32_t ip)
{
	return ((ip ^ ntohl(c->ip.s_addr)) & mask_of(c)) == 0;
}

static bool within(const struct wg_cidr *outer, const struct wg_cidr *inner)
{
	return inner->prefix >= outer->prefix && contains(outer, ntohl(inner->ip.s_addr));
}

int registry_config_check(const struct registry_config *c, struct err *e)
{
	bool own_reserved = false;

	for (size_t i = 0; i < c->n_reserved; i++) {
		if (!within(&c->own, &c->reserved[i]))
			return err_code(e, ERR_INPUT, "config.wg",
					"a reserved_net lies outside the network of wg.ip");
		own_reserved |= contains(&c->reserved[i], ntohl(c->own.ip.s_addr));
	}
	if (!own_reserved)
		return err_code(e, ERR_INPUT, "config.wg", "wg.ip lies in no reserved_net");
	if (!within(&c->own, &c->clients))
		return err_code(e, ERR_INPUT, "config.wg",
				"wg.client_ip_range lies outside the network of wg.ip");
	return 0;
}

static bool usable(const struct registry_config *c, uint32_t ip)
{
	uint32_t first = ntohl(c->clients.ip.s_addr) & mask_of(&c->clients),
		 last = first | ~mask_of(&c->clients);

	if (ip <= first || ip >= last || ip == ntohl(c->own.ip.s_addr) ||
	    ip == (ntohl(c->own.ip.s_addr) | ~mask_of(&c->own)))
		return false;
	for (size_t i = 0; i < c->n_reserved; i++)
		if (contains(&c->reserved[i], ip))
			return false;
	return true;
}

uint32_t address_pick(const struct registry_config *c, const uint32_t *taken, size_t n)
{
	uint32_t first = ntohl(c->clients.ip.s_addr) & mask_of(&c->clients),
		 last = first | ~mask_of(&c->clients);
	size_t at = 0;

	for (uint32_t ip = first; ip < last; ip++) {
		while (at < n && taken[at] < ip)
			at++;
		if ((at == n || taken[at] != ip) && usable(c, ip))
			return ip;
	}
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, 4);
	memcpy(&y, b, 4);
	return x < y ? -1 : x > y;
}

static uint32_t free_address(struct registry *g)
{
	uint32_t *taken = malloc((g->n + 1) * sizeof *taken), ip = 0;
	size_t n = 0;

	if (!taken)
		return 0;
	for (size_t i = 0; i < g->n; i++)
		if (g->slots[i].used)
			taken[n++] = ntohl(g->slots[i].route.ip.s_addr);
	qsort(taken, n, sizeof *taken, by_value);
	ip = address_pick(&g->config, taken, n);
	free(taken);
	return ip;
}

static struct instance *find(struct registry *g, const uint8_t id[static ID_SIZE])
{
	for (size_t i = 0; i < g->n; i++)
		if (g->slots[i].used && memcmp(g->slots[i].route.instance_id, id, ID_SIZE) == 0)
			return &g->slots[i];
	return NULL;
}

// A slot whose counters nobody uses any more.
static struct instance *free_slot(struct registry *g)
{
	for (size_t i = 0; i < g->n; i++)
		if (!g->slots[i].used && reactors_live(g->reactors, g->n_reactors, (uint32_t)i) == 0)
			return &g->slots[i];
	return g->n < INSTANCES_MAX ? &g->slots[g->n++] : NULL;
}

static void peer_of(struct wg_change *c, const struct instance *i)
{
	*c = (struct wg_change){ .allowed_n = 1, .keepalive = KEEPALIVE };
	memcpy(c->key, i->key, WG_KEY);
	c->allowed[0] = (struct wg_cidr){ i->route.ip, 32 };
}

static enum route_state state_at(const struct registry *g, const struct instance *i, uint64_t now)
{
	return i->refused                                 ? ROUTE_REVOKED
	       : now < i->lease_until                     ? ROUTE_TRUSTED
	       : now < i->lease_until + g->config.grace_s ? ROUTE_GRACE
							  : ROUTE_QUARANTINED;
}

static int publish(struct registry *g, struct err *e)
{
	struct route *list = malloc((g->n + 1) * sizeof *list);
	size_t n = 0;

	if (!list)
		return err_set(e, ERR_SYSTEM, "publish routes: out of memory");
	for (size_t i = 0; i < g->n; i++)
		if (g->slots[i].used)
			list[n++] = g->slots[i].route;
	struct route_table *t = route_table_new(list, n, &g->env, e);
	free(list);
	if (!t)
		return -1;
	route_publish(g->board, t);
	g->changed = false;
	return 0;
}

static int load_one(void *arg, const struct instance *i, struct err *e)
{
	struct registry *g = arg;

	if (g->n == INSTANCES_MAX)
		return err_set(e, ERR_SYSTEM, "more than %d instances in the store", INSTANCES_MAX);
	g->slots[g->n] = *i;
	g->slots[g->n].route.index = (uint32_t)g->n;
	g->n++;
	return 0;
}

// Guests could not renew while we were away. Who was in good standing when we last heard of anyone gets a
// new lease; who had fallen behind the others by then stays behind.
static void renew_after_restart(struct registry *g, uint64_t now)
{
	uint64_t latest = 0;

	for (size_t i = 0; i < g->n; i++)
		if (g->slots[i].lease_until > latest)
			latest = g->slots[i].lease_until;
	uint64_t stopped = latest > g->config.lease_s ? latest - g->config.lease_s : 0;
	for (size_t i = 0; i < g->n; i++) {
		struct instance *x = &g->slots[i];
		if (x->lease_until + g->config.grace_s >= stopped && x->lease_until < now + g->config.lease_s)
			x->lease_until = now + g->config.lease_s;
		x->route.state = state_at(g, x, now);
	}
}

// Peers in WireGuard that nobody registered (a crash between removal and its store) go; the rest are set.
static int restore_peers(struct registry *g, struct err *e)
{
	struct wg_peer *seen = malloc((INSTANCES_MAX + 1) * sizeof *seen);
	struct wg_change batch[BATCH];
	size_t n = 0;
	int r = 0;
	long peers = seen ? wg_peers(g->wg, seen, INSTANCES_MAX, e) : err_set(e, ERR_SYSTEM, "out of memory");

	for (long i = 0; i < peers && !r; i++) {
		bool known = false;
		for (size_t k = 0; k < g->n && !known; k++)
			known = g->slots[k].used && memcmp(g->slots[k].key, seen[i].key, WG_KEY) == 0;
		if (known)
			continue;
		batch[n] = (struct wg_change){ .remove = true };
		memcpy(batch[n++].key, seen[i].key, WG_KEY);
		if (n == BATCH) {
			r = wg_change_peers(g->wg, batch, n, e);
			n = 0;
		}
	}
	free(seen);
	for (size_t k = 0; k < g->n && !r && peers >= 0; k++) {
		if (!g->slots[k].used)
			continue;
		peer_of(&batch[n++], &g->slots[k]);
		if (n == BATCH) {
			r = wg_change_peers(g->wg, batch, n, e);
			n = 0;
		}
	}
	return peers < 0 || r ? -1 : wg_change_peers(g->wg, batch, n, e);
}

int registry_init(struct registry *g, const char *store_path, const struct registry_config *config,
		  struct wg *wg, struct route_board *board, struct reactor *const *reactors,
		  unsigned n_reactors, struct err *e)
{
	*g = (struct registry){ .lock = PTHREAD_MUTEX_INITIALIZER,
				.config = *config,
				.wg = wg,
				.board = board,
				.reactors = reactors,
				.n_reactors = n_reactors,
				.slots = calloc(INSTANCES_MAX, sizeof *g->slots) };
	if (!g->slots)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (store_open(&g->store, store_path, e) || store_load(&g->store, load_one, g, e))
		return -1;
	renew_after_restart(g, time_now());
	return restore_peers(g, e) ? err_wrap(e, "restore %zu peers", g->n) : 0;
}

void registry_end(struct registry *g)
{
	revocation_free(g->revocation);
	store_close(&g->store);
	free(g->slots);
	SSL_CTX_free(g->env.tls);
	SSL_CTX_free(g->env.tls_h2);
}

// One name space, two kinds of id: an instance may not be called like an app, nor the reverse.
static bool ids_collide(struct registry *g, const struct registrant *claim)
{
	for (size_t i = 0; i < g->n; i++) {
		const struct route *r = &g->slots[i].route;
		if (g->slots[i].used && (memcmp(r->app_id, claim->instance_id, ID_SIZE) == 0 ||
					 memcmp(r->instance_id, claim->app_id, ID_SIZE) == 0))
			return true;
	}
	return memcmp(claim->app_id, claim->instance_id, ID_SIZE) == 0;
}

static int check_claim(struct registry *g, const struct registrant *claim, const uint8_t *key,
		       const struct instance *was, struct err *e)
{
	static const uint8_t none[WG_KEY];

	if (memcmp(claim->app_id, none, ID_SIZE) == 0 || memcmp(claim->instance_id, none, ID_SIZE) == 0)
		return err_code(e, ERR_INPUT, "register.id", "app id or instance id is empty");
	if (memcmp(key, none, WG_KEY) == 0 || memcmp(key, g->own_key, WG_KEY) == 0)
		return err_code(e, ERR_INPUT, "wg.key", "not a key of an instance");
	if (was && memcmp(was->route.app_id, claim->app_id, ID_SIZE) != 0)
		return err_code(e, ERR_DENIED, "register.app_mismatch",
				"this instance belongs to another app");
	if (!was && ids_collide(g, claim))
		return err_code(e, ERR_DENIED, "register.id", "app id and instance id collide");
	for (size_t i = 0; i < g->n; i++)
		if (g->slots[i].used && &g->slots[i] != was && memcmp(g->slots[i].key, key, WG_KEY) == 0)
			return err_code(e, ERR_DENIED, "wg.key_taken",
					"this WireGuard key belongs to another instance");
	return 0;
}

static int tell_wireguard(struct registry *g, const struct instance *now, const struct instance *was,
			  struct err *e)
{
	struct wg_change changes[2];
	size_t n = 0;

	if (was && memcmp(was->key, now->key, WG_KEY) != 0) {
		changes[n] = (struct wg_change){ .remove = true };
		memcpy(changes[n++].key, was->key, WG_KEY);
	}
	peer_of(&changes[n++], now);
	return wg_change_peers(g->wg, changes, n, e);
}

static int register_locked(struct registry *g, struct in_addr *ip, const struct registrant *claim,
			   const uint8_t key[static WG_KEY], const struct port_policy *policy, struct err *e)
{
	struct instance *slot = find(g, claim->instance_id), was = { 0 }, i = { 0 };
	uint64_t now = time_now();

	if (check_claim(g, claim, key, slot, e))
		return -1;
	if (slot)
		i = was = *slot;
	else
		i.route.registered = now;
	if (!usable(&g->config, ntohl(i.route.ip.s_addr))) // new, or the ranges changed since
		i.route.ip.s_addr = htonl(free_address(g));
	if (!i.route.ip.s_addr)
		return err_code(e, ERR_AGAIN, "register.full", "IP pool exhausted");
	if (!slot && !(slot = free_slot(g)))
		return err_code(e, ERR_AGAIN, "register.full", "more than %d instances", INSTANCES_MAX);
	memcpy(i.route.instance_id, claim->instance_id, ID_SIZE);
	memcpy(i.route.app_id, claim->app_id, ID_SIZE);
	memcpy(i.compose_hash, claim->compose_hash, sizeof i.compose_hash);
	memcpy(i.key, key, WG_KEY);
	i.used = true;
	i.has_cert = claim->has_cert;
	i.cert = claim->cert;
	i.refused = false;
	i.route.index = (uint32_t)(slot - g->slots);
	i.route.policy = *policy;
	i.lease_until =
		now + g->config.lease_s < claim->not_after ? now + g->config.lease_s : claim->not_after;
	i.route.state = state_at(g, &i, now);
	bool same = was.used && memcmp(&was.route, &i.route, sizeof i.route) == 0 &&
		    memcmp(was.key, i.key, WG_KEY) == 0;
	if (store_put(&g->store, &i, e))
		return -1;
	*slot = i;
	*ip = i.route.ip;
	if (same)
		return 0;
	g->changed = true;
	if (tell_wireguard(g, &i, was.used ? &was : NULL, e) || publish(g, e))
		return err_wrap(e, "register");
	log_info("gateway", "registered instance=%s app=%s ip=%s", STR_HEX(i.route.instance_id, ID_SIZE),
		 STR_HEX(i.route.app_id, ID_SIZE), inet_ntoa(i.route.ip));
	return 0;
}

int registry_register(struct registry *g, struct in_addr *ip, const struct registrant *claim,
		      const uint8_t key[static WG_KEY], const struct port_policy *policy, struct err *e)
{
	pthread_mutex_lock(&g->lock);
	int r = register_locked(g, ip, claim, key, policy, e);
	pthread_mutex_unlock(&g->lock);
	return r;
}

static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, WG_KEY); // the key is the first member
}

int registry_handshakes(struct registry *g)
{
	struct err e = { 0 };
	struct wg_peer *seen = malloc((INSTANCES_MAX + 1) * sizeof *seen);

	_Static_assert(offsetof(struct wg_peer, key) == 0, "by_key");
	pthread_mutex_lock(&g->lock);
	long n = seen ? wg_peers(g->wg, seen, INSTANCES_MAX, &e) : 0;
	if (n < 0)
		log_warn("gateway", "%s", e.text);
	if (n > 0)
		qsort(seen, (size_t)n, sizeof *seen, by_key);
	for (size_t i = 0; n > 0 && i < g->n; i++) {
		struct instance *x = &g->slots[i];
		struct wg_peer *p = bsearch(x->key, seen, (size_t)n, sizeof *seen, by_key);
		if (x->used && p && p->handshake != x->route.handshake) {
			x->route.handshake = p->handshake;
			g->changed = true;
		}
	}
	pthread_mutex_unlock(&g->lock);
	free(seen);
	return n < 0 ? -1 : 0;
}

int registry_rewire(struct registry *g, struct wg *wg, struct err *e)
{
	pthread_mutex_lock(&g->lock);
	g->wg = wg;
	int r = restore_peers(g, e);
	pthread_mutex_unlock(&g->lock);
	return r;
}

static void recycle(struct registry *g, struct instance *x)
{
	struct err e = { 0 };
	struct wg_change gone = { .remove = true };

	memcpy(gone.key, x->key, WG_KEY);
	if (store_delete(&g->store, x->route.instance_id, &e) || wg_change_peers(g->wg, &gone, 1, &e)) {
		log_warn("gateway", "recycle: %s", e.text);
		return;
	}
	log_info("gateway", "recycled instance=%s", STR_HEX(x->route.instance_id, ID_SIZE));
	x->used = false;
	g->changed = true;
}

// ---- revoked certificates

static void keep_list(void *arg, const uint8_t app[static ID_SIZE],
		      const uint8_t issuer[static REVOCATION_KEY], const char *url, struct span der)
{
	struct registry *g = arg;
	struct err e;

	pthread_mutex_lock(&g->lock);
	if (store_put_list(&g->store, app, issuer, url, der, &e))
		log_warn("gateway", "%s", e.text);
	pthread_mutex_unlock(&g->lock);
}

static void drop_list(void *arg, const uint8_t app[static ID_SIZE],
		      const uint8_t issuer[static REVOCATION_KEY])
{
	struct registry *g = arg;
	struct err e;

	pthread_mutex_lock(&g->lock);
	if (store_drop_lists(&g->store, app, issuer, &e))
		log_warn("gateway", "%s", e.text);
	pthread_mutex_unlock(&g->lock);
}

// With the lock. Connections of who is refused end with the next publication.
static void judge(struct registry *g, struct instance *x)
{
	struct err e = { 0 };
	bool refused = x->has_cert && revocation_check(g->revocation, &x->cert, &e);

	if (refused == x->refused)
		return;
	x->refused = refused;
	if (refused)
		log_warn("gateway", "certificate refused instance=%s app=%s: %s code=%s",
			 STR_HEX(x->route.instance_id, ID_SIZE), STR_HEX(x->route.app_id, ID_SIZE), e.text,
			 e.code);
}

static void judge_all(struct registry *g)
{
	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < g->n; i++)
		if (g->slots[i].used)
			judge(g, &g->slots[i]);
	pthread_mutex_unlock(&g->lock);
}

int registry_revocation(struct registry *g, const char *const *url, size_t n, const char *ca_file,
			uint64_t every_s, struct err *e)
{
	const struct revocation_store store = { keep_list, drop_list, g };

	g->revocation = revocation_new(url, n, ca_file, every_s, &store, e);
	if (!g->revocation || store_load_lists(&g->store, g->revocation, e))
		return -1;
	judge_all(g);
	for (size_t i = 0; i < g->n; i++)
		g->slots[i].route.state = state_at(g, &g->slots[i], time_now());
	return 0;
}

static int by_ca(const void *a, const void *b)
{
	return memcmp(a, b, offsetof(struct revocation_cert, serial));
}

// One certificate of each CA.
static size_t issuers(struct registry *g, struct revocation_cert **out)
{
	size_t n = 0;

	pthread_mutex_lock(&g->lock);
	struct revocation_cert *list = malloc((g->n + 1) * sizeof *list);
	for (size_t i = 0; list && i < g->n; i++)
		if (g->slots[i].used && g->slots[i].has_cert)
			list[n++] = g->slots[i].cert;
	pthread_mutex_unlock(&g->lock);
	if (n)
		qsort(list, n, sizeof *list, by_ca);
	*out = list;
	return n;
}

void registry_revoke(struct registry *g)
{
	struct revocation_cert *list = NULL;
	size_t n = issuers(g, &list);

	revocation_round(g->revocation);
	for (size_t i = 0; i < n; i++)
		if (!i || by_ca(&list[i - 1], &list[i]) != 0)
			revocation_fetch(g->revocation, &list[i]);
	free(list);
	judge_all(g);
	registry_tick(g);
}

void registry_tick(struct registry *g)
{
	struct err e = { 0 };
	uint64_t now = time_now();

	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < g->n; i++) {
		struct instance *x = &g->slots[i];
		uint64_t heard = x->route.handshake > x->lease_until ? x->route.handshake : x->lease_until;
		if (!x->used)
			continue;
		if (g->config.recycle_s && now > heard && now - heard > g->config.recycle_s) {
			recycle(g, x);
			continue;
		}
		enum route_state s = state_at(g, x, now);
		if (s == x->route.state)
			continue;
		log_info("gateway", "%s instance=%s",
			 s == ROUTE_TRUSTED   ? "trusted again"
			 : s == ROUTE_GRACE   ? "lease ended, grace"
			 : s == ROUTE_REVOKED ? "revoked, cut off"
					      : "quarantined",
			 STR_HEX(x->route.instance_id, ID_SIZE));
		x->route.state = s;
		g->changed = true;
	}
	if (g->changed && publish(g, &e))
		log_error("gateway", "%s", e.text);
	route_collect(g->board);
	pthread_mutex_unlock(&g->lock);
}

void registry_env(struct registry *g, const struct route_env *env)
{
	struct err e = { 0 };

	pthread_mutex_lock(&g->lock);
	SSL_CTX_free(g->env.tls);
	SSL_CTX_free(g->env.tls_h2);
	g->env = *env;
	if (publish(g, &e))
		log_error("gateway", "%s", e.text);
	pthread_mutex_unlock(&g->lock);
}

size_t registry_list(struct registry *g, struct instance *out, size_t cap)
{
	size_t n = 0;

	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < g->n && n < cap; i++)
		if (g->slots[i].used)
			out[n++] = g->slots[i];
	pthread_mutex_unlock(&g->lock);
	return n;
}
