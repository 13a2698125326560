// store - registered instances on disk: SQLite in WAL mode, so that a kill at any moment loses nothing told.
//
// One connection, used under the registry's lock. Uniqueness of address and WireGuard key is the database's:
// a second claim fails there whatever the caller believed.
#pragma once
#include <sqlite3.h>
#include "revocation.h"
#include "wg/wg.h"

struct instance {
	struct route route; // route.index is the slot in the registry
	uint8_t key[WG_KEY];
	uint8_t compose_hash[32];
	uint64_t lease_until;
	bool used;     // the slot holds an instance
	bool has_cert; // what it registered with is known; not of rows of before
	bool refused;  // that certificate is not good any more
	struct revocation_cert cert;
};

struct store {
	sqlite3 *db;
};

int store_open(struct store *s, const char *path, struct err *e);
void store_close(struct store *s);
// Calls `fn` for each instance; its refusal ends the walk.
int store_load(struct store *s, int (*fn)(void *arg, const struct instance *i, struct err *e), void *arg,
	       struct err *e);
int store_put(struct store *s, const struct instance *i, struct err *e); // by instance id; wg.key_taken
// Lists of revoked certificates.
int store_put_list(struct store *s, const uint8_t app[static ID_SIZE],
		   const uint8_t issuer[static REVOCATION_KEY], const char *url, struct span der,
		   struct err *e);
int store_drop_lists(struct store *s, const uint8_t app[static ID_SIZE],
		     const uint8_t issuer[static REVOCATION_KEY], struct err *e);
int store_load_lists(struct store *s, struct revocation *r, struct err *e);
int store_delete(struct store *s, const uint8_t instance_id[static ID_SIZE], struct err *e);
