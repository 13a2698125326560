// containers - the containers of this guest as the engine lists them, for the dashboard and for the host.
//
// Nothing blocks: who asks is told on the loop. However many ask, the engine has one question at a time and
// its answer serves for a second; it is bounded in time and size. Names and states are the app's own words,
// only ever passed on as text.
#pragma once
#include <event2/event.h>
#include "base/arena.h"
#include "base/err.h"
#include "core/codec/buf.h"
#include "host.pb-c.h"

struct containers;

// Who waits for the list; lives until `done` has run, which is always and once, perhaps at once. The list is
// only valid meanwhile; NULL on failure (code agent.engine).
struct containers_wait {
	struct containers_wait *next;
	void (*done)(struct containers_wait *w, const Host__ListContainersResponse *list,
		     const struct err *e);
};

// `socket`: of the engine, which has `answer_s` to answer; "" or a path without a file: no engine, no
// containers. NULL when out of memory.
struct containers *containers_new(struct event_base *base, const char *socket, int answer_s);
void containers_free(struct containers *c); // who still waits is told of the end
void containers_list(struct containers *c, struct containers_wait *w);

// What GET /containers/json answered.
int containers_parse(struct span json, struct arena *a, Host__ListContainersResponse *out, struct err *e);
