// pool - a few threads for calls that would hold up the loop: quotes, signatures by the thousand, files.
//
// Work runs on a thread; its `done` runs on the loop's thread afterwards, always, once, and is told how it
// ended. A pool has lanes, each with threads and a queue of its own, so that slow work never stands before
// quick work; in a queue clients take turns (rpc/turns.h). A lane's threads start with its first job.
#pragma once
#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

enum { POOL_LANES = 4, POOL_CLIENT = 16 };

enum pool_end {
	POOL_DONE,   // it ran
	POOL_FULL,   // it had to leave a full queue for another client's
	POOL_LATE,   // it waited longer than the lane allows
	POOL_LEFT,   // pool_leave
	POOL_CLOSED, // the pool ended before its turn
};

struct pool_lane {
	unsigned threads;               // 1 to 16
	size_t waiting_max, per_client; // 0: 256, and as many
	uint32_t wait_ms;               // 0: any time
};

struct pool;
struct pool_job; // good until its `done` returns

struct pool *pool_new(struct event_base *base, unsigned threads); // one lane; NULL when the system has no
								  // more
struct pool *pool_new_lanes(struct event_base *base, const struct pool_lane *lanes, size_t n);
void pool_free(struct pool *p); // waits for what runs; `done` of the rest is called

// NULL: the queue has no room for this client.
struct pool_job *pool_queue(struct pool *p, unsigned lane, const uint8_t client[static POOL_CLIENT],
			    void (*work)(void *), void (*done)(void *, enum pool_end), void *arg)
	__attribute__((warn_unused_result));
// In lane 0, all of one client. -1: the queue is full.
int pool_add(struct pool *p, void (*work)(void *), void (*done)(void *, enum pool_end), void *arg)
	__attribute__((warn_unused_result));
// For work that was let in before and ran in this lane: no limit, before what waits, from any thread. Ends
// the process when out of memory.
void pool_again(struct pool *p, unsigned lane, void (*work)(void *), void (*done)(void *, enum pool_end),
		void *arg);
// Nobody waits for the job any more: if it does not run yet, it will not.
void pool_leave(struct pool *p, struct pool_job *j);
