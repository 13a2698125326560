// registry - who is registered: addresses, keys, leases; kept in the store, in WireGuard and in the routes.
//
// The control side's one shared object, under one lock that the data path never takes. Order of a change:
// store, then WireGuard, then routes; a restart replays the store. Facts about an instance come from a
// verified certificate (service.c), never from the request. spec 30 sections 3.1, 3.4 and 7.1.
#pragma once
#include <pthread.h>
#include "reactor.h"
#include "store.h"

struct registry_config {
	struct wg_cidr own;     // the gateway's address with the network's prefix
	struct wg_cidr clients; // addresses given to instances
	struct wg_cidr reserved[8];
	size_t n_reserved;
	uint64_t lease_s, grace_s; // trusted this long after a registration, then grace, then quarantined
	uint64_t recycle_s;        // removed after this long without registration and handshake, 0: never
};

struct registry {
	pthread_mutex_t lock;
	struct registry_config config;
	struct revocation *revocation; // NULL: certificates are not looked up
	struct store store;
	struct wg *wg;
	struct route_board *board;
	struct reactor *const *reactors;
	unsigned n_reactors;
	struct route_env env;
	struct instance *slots; // INSTANCES_MAX, `n` ever used
	size_t n;
	bool changed;            // since the last publication
	uint8_t own_key[WG_KEY]; // public
};

// What a registration is about, from the certificate.
struct registrant {
	uint8_t app_id[ID_SIZE], instance_id[ID_SIZE], compose_hash[32];
	uint64_t not_after; // of the certificate
	bool has_cert;
	struct revocation_cert cert;
};

// Opens the store and brings WireGuard and the routes to what it says. `wg` is up; its key is set.
int registry_init(struct registry *g, const char *store_path, const struct registry_config *config,
		  struct wg *wg, struct route_board *board, struct reactor *const *reactors,
		  unsigned n_reactors, struct err *e);
void registry_end(struct registry *g);
// Idempotent. Codes: register.id, register.app_mismatch, wg.key_taken, register.full.
int registry_register(struct registry *g, struct in_addr *ip, const struct registrant *claim,
		      const uint8_t key[static WG_KEY], const struct port_policy *policy, struct err *e);
int registry_handshakes(struct registry *g); // read them from WireGuard; -1: it does not answer
// WireGuard died and was made anew: use `wg` from now on, with all peers. The old handle is the caller's
// again.
int registry_rewire(struct registry *g, struct wg *wg, struct err *e);
// Before the first publication: certificates are looked up from now on, at first in the lists of before.
int registry_revocation(struct registry *g, const char *const *url, size_t n, const char *ca_file,
			uint64_t every_s, struct err *e);
// Fetches the lists of all who are registered and acts on them. Takes as long as the KMSs do.
void registry_revoke(struct registry *g);
void registry_tick(struct registry *g); // leases, recycling, publication of what changed
void registry_env(struct registry *g, const struct route_env *env); // publishes at once; takes the references
size_t registry_list(struct registry *g, struct instance *out, size_t cap);

// The lowest free address of the range; `taken` are ascending host-order addresses. 0: none is left.
uint32_t address_pick(const struct registry_config *c, const uint32_t *taken, size_t n);
int registry_config_check(const struct registry_config *c, struct err *e);
