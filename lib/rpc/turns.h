// turns - a bounded queue in which clients take turns: one of each, round and round, first come first served
// within a client.
//
// Who asks a thousand times waits behind its own questions, not before those of others. When the queue is
// full, a newcomer takes the place of the last question of whoever has most waiting; who has most itself is
// refused. The caller says the time and who a client is; nothing here is trusted or locked.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TURNS_KEY = 16 };

struct turns;
struct turns_client;

// One that waits; part of the caller's job.
struct turn {
	struct turn *next, *prev;
	struct turns_client *client; // NULL: not waiting
	uint64_t since;
};

// At most `max` wait, of one client at most `per_client`. NULL when out of memory.
struct turns *turns_new(size_t max, size_t per_client);
void turns_free(struct turns *q); // what still waits is forgotten

// -1: refused. 0: `t` waits; *out, unless NULL, had to leave for it.
int turns_add(struct turns *q, struct turn *t, const uint8_t client[static TURNS_KEY], uint64_t now,
	      struct turn **out) __attribute__((warn_unused_result));
struct turn *turns_take(struct turns *q);                       // whose turn it is; NULL: nobody waits
struct turn *turns_take_older(struct turns *q, uint64_t since); // one that waits since before then, or NULL
void turns_remove(struct turns *q, struct turn *t);             // one that waits
size_t turns_waiting(const struct turns *q);
