// route - from an id to the instances that may serve it: an immutable table, published by pointer swap.
//
// The control side builds a new table from its instances and publishes it; each reactor pins the table it
// works with for one turn of its loop, takes no lock, and an old table is freed once no reactor pins it.
// Ids are checked by the caller; a table never changes after it was built. spec 30 sections 1.5 and 1.6.
#pragma once
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "name.h"

// Quarantined: no new connections. Revoked: those that are there are ended, too.
enum route_state { ROUTE_TRUSTED, ROUTE_GRACE, ROUTE_QUARANTINED, ROUTE_REVOKED };

enum { ROUTE_PORTS_MAX = 64, ROUTE_REACTORS_MAX = 64, ROUTE_DOMAIN_MAX = 253 };

struct port_policy {
	bool known;      // the guest said what it wants
	bool restricted; // only the listed ports
	uint16_t n;
	uint16_t ports[ROUTE_PORTS_MAX]; // ascending
};

// One instance as a table holds it.
struct route {
	uint8_t instance_id[ID_SIZE], app_id[ID_SIZE];
	struct in_addr ip;
	uint32_t index; // of its counters, unique among live instances
	enum route_state state;
	uint64_t handshake, registered; // seconds since 1970
	struct port_policy policy;
};

struct route_table;

// What else a turn of a reactor must see together with the routes.
struct route_env {
	char domain[ROUTE_DOMAIN_MAX + 1];
	SSL_CTX *tls, *tls_h2; // NULL: nothing is terminated; the table takes its own references
};

// Copies `list`. Candidates of an app are ordered: trusted first, then the latest handshake.
struct route_table *route_table_new(const struct route *list, size_t n, const struct route_env *env,
				    struct err *e);
void route_table_free(struct route_table *t);
const struct route_env *route_env(const struct route_table *t);
// The instances of an app, or the one of that id. NULL and 0 when there is none.
const struct route *const *route_find(const struct route_table *t, const uint8_t id[static ID_SIZE],
				      size_t *n);
// The table's number, and whether the instance with these counters is revoked in it; and if any is.
uint64_t route_number(const struct route_table *t);
bool route_is_revoked(const struct route_table *t, uint32_t index);
bool route_any_revoked(const struct route_table *t);
bool route_allows(const struct route *r, uint16_t port, bool unknown_allowed);

// Publication. One writer at a time; each reader has its own slot.
struct route_board {
	_Atomic(struct route_table *) now;
	_Atomic(struct route_table *) pinned[ROUTE_REACTORS_MAX];
	struct route_table *retired; // writer's, linked
};

void route_publish(struct route_board *b, struct route_table *t); // takes `t`
void route_collect(struct route_board *b);                        // free what nobody pins any more
void route_board_end(struct route_board *b);                      // when no reactor runs
const struct route_table *route_pin(struct route_board *b, unsigned reactor);
void route_unpin(struct route_board *b, unsigned reactor);
