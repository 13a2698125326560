// external - the listener for strangers, as a process of its own.
//
// Two processes, both under the listener's user without any right (process.h, jail.h): the keeper holds the
// listening socket and starts the one that serves, again after a second when that one ends by accident, so
// that a fault in what reads strangers' bytes costs strangers a second and containers nothing. What is served
// is asked of the main process (ask.h). The keeper's own end is the agent's.
#pragma once
#include <event2/event.h>
#include "base/config.h"
#include "dashboard.h"
#include "logs.h"
#include "metrics.h"
#include "outside.h"
#include "process.h"

// What the external listener serves, on `s`; also the simulator's. `x` lives as long as the server.
struct external {
	struct outside outside;
	struct metrics metrics;
	struct logs logs;
	struct dashboard dashboard;
};
int external_mount(struct rpc_server *s, struct external *x);
void external_stop(struct external *x); // before the server is freed
void external_free(struct external *x); // after

// Returns in the parent when the socket listens. The listener stops when the parent shuts its end down.
int external_start(struct process *p, const struct config *c, const struct app_files *app, const char *tee,
		   struct err *e) __attribute__((warn_unused_result));
