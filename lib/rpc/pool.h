// pool - a few threads for calls that would hold up the loop: quotes, signatures by the thousand, files.
//
// Work runs on a thread; its `done` runs on the loop's thread afterwards, always, once.
#pragma once
#include <event2/event.h>
#include <stddef.h>

struct pool;

struct pool *pool_new(struct event_base *base, unsigned threads); // NULL when the system has no more
void pool_free(struct pool *p); // waits for what runs; `done` of the rest is called
// -1: the queue is full.
int pool_add(struct pool *p, void (*work)(void *), void (*done)(void *), void *arg)
	__attribute__((warn_unused_result));
// For work that was let in before: no limit, from any thread. Ends the process when out of memory.
void pool_again(struct pool *p, void (*work)(void *), void (*done)(void *), void *arg);
