// reactor - one edge-triggered epoll loop a core: accept, read the name, choose an instance, connect, relay.
//
// Shares nothing with other reactors but the published route table and the counters it alone writes. What
// arrives before the relay comes from anyone: it is bounded in bytes and time. spec 83 section 5.
#pragma once
#include "conn.h"

// `listener` is a non-blocking listening socket (SO_REUSEPORT, TCP_NODELAY); taken. `all` are the reactors
// that share `board`.
int reactor_init(struct reactor *r, unsigned number, int listener, const struct reactor_config *config,
		 struct route_board *board, struct reactor *const *all, unsigned n_all, struct err *e);
void reactor_run(struct reactor *r);  // until reactor_stop
void reactor_stop(struct reactor *r); // from any thread
void reactor_end(struct reactor *r);

uint32_t reactors_live(struct reactor *const *all, unsigned n,
		       uint32_t instance); // connections of an instance
// For terminate.c: choose an instance for c->id and connect. 0: under way (c->fd[BACKEND]), -1: refused.
int reactor_dial(struct reactor *r, struct conn *c);
