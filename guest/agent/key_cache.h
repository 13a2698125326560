// key_cache - public halves of derived keys, and the root key's signatures over them, that were asked for
// before.
//
// Two multiplications on the curve are most of what GetKey costs; both results are public and always the
// same. The derived key itself is not kept: it is made anew for each answer. Bounded: the least recently used
// entry gives way, names that are too long are not kept. For any number of threads.
#pragma once
#include <stdbool.h>
#include "keys.h"

enum { KEY_CACHE_ENTRIES = 64, KEY_CACHE_NAMES = 128 };

struct key_cache *key_cache_new(void); // NULL when out of memory
void key_cache_free(struct key_cache *c);

// Fills public, public_n and signature of `d`. A cache of NULL knows nothing and keeps nothing.
bool key_cache_get(struct key_cache *c, bool ed25519, const char *path, const char *purpose,
		   struct derived_key *d);
void key_cache_put(struct key_cache *c, bool ed25519, const char *path, const char *purpose,
		   const struct derived_key *d);
