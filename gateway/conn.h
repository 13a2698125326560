// conn - one client's connection and the reactor that owns it.
//
// A connection lives in a slab of its reactor and is touched by that thread only. While idle it owns no
// buffer and no pipe: some 120 bytes. States: HELLO (reading the ClientHello) -> DIAL (connecting to the
// instance) -> RELAY; or HANDSHAKE -> TLS_DIAL -> TLS when the session ends here; then gone. spec 83
// section 5.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include "pipes.h"
#include "route.h"

enum conn_state {
	CONN_HELLO,
	CONN_DIAL,
	CONN_RELAY,
	CONN_HANDSHAKE,
	CONN_TLS_DIAL,
	CONN_TLS,
	CONN_TLS_FAILED, // no instance: waiting for the request that is answered with 502
	CONN_DEAD
};

enum { CLIENT = 0, BACKEND = 1 };

// Of a flow: bytes from side i to the other.
enum {
	FLOW_READY = 1,     // the source may hold bytes
	FLOW_FIN = 2,       // its end was announced
	FLOW_EOF = 4,       // and has been passed on
	FLOW_BIG = 8,       // bulk: splice
	FLOW_NO_SPLICE = 16 // the kernel refused to: copy
};

// Bytes read that could not be written yet.
struct spill {
	uint32_t at, n;
	uint8_t b[];
};

struct flow {
	struct spill *spill; // copied bytes, or NULL
	int32_t pipe;        // PIPE_NONE, or a pipe of the pool with `held` bytes in it
	uint32_t held;
	uint8_t flags, full; // full: reads in a row that filled the buffer
};

struct terminate;

struct conn {
	int fd[2];
	struct flow flow[2];
	struct conn *prev, *next; // in the queue of its state, oldest first
	struct conn *ready;       // in the reactor's ready list or graveyard
	struct terminate *tls;    // when the session ends here
	uint64_t bytes[2];
	uint32_t instance;    // index of the instance's counters, NO_INSTANCE before one is chosen
	uint32_t started;     // seconds of the reactor's clock
	uint32_t active;      // when bytes last moved
	uint32_t due;         // when its queue looks at it
	uint8_t id[ID_SIZE];  // what the client asked for, for a second choice of instance
	uint16_t port, tried; // tried: bits of candidates
	uint8_t state;
	bool out[2];   // EPOLLOUT is registered
	bool is_ready; // in the ready list
};

#define NO_INSTANCE UINT32_MAX

// Connections that wait the same time, so that the oldest is always due first.
struct queue {
	struct conn *first, *last;
	uint32_t seconds;
};

struct reactor_config {
	uint32_t hello_s, connect_s, idle_s, total_s, half_closed_s;
	uint32_t connections_max;         // of this reactor
	uint32_t connections_per_app_max; // of the process, 0: no limit
	uint32_t top_n;
	uint32_t pipes;
	bool unknown_policy_allowed;
};

// Counters are written by their reactor only and read by anyone.
struct counters {
	_Atomic uint64_t accepted, open, routed, refused_sni, refused_route, refused_policy, refused_limit,
		connect_failed, bytes_in, bytes_out, spliced, timeouts, revoked;
};

static inline void count(_Atomic uint64_t *c, uint64_t by)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + by, memory_order_relaxed);
}

struct reactor {
	unsigned number;
	int epoll, listener, wake;
	struct reactor_config config;
	struct route_board *board;
	const struct route_table *routes; // pinned for this turn
	uint64_t routes_seen;             // number of the table whose revoked instances were cut off
	struct reactor *const *all;       // every reactor, for summing counters
	unsigned n_all;
	_Atomic uint32_t *live; // connections by instance index
	struct counters counters;
	struct pipes pipes;
	uint8_t *buffer; // shared scratch: nothing stays in it between two connections
	uint32_t now;
	struct queue hello, dial, idle;
	struct conn *free, *ready, *graveyard;
	void **slabs;
	size_t n_slabs;
	bool listening;
	uint32_t no_accept_until; // out of descriptors: the listener rests until then
	atomic_bool stop;
};

enum { BUFFER_SIZE = 256 << 10, INSTANCES_MAX = 16384 };

struct conn *conn_new(struct reactor *r, int fd); // NULL when out of memory
void conn_end(struct reactor *r, struct conn *c); // closes both sides; freed at the end of the turn
void conn_reset(struct conn *c);                  // the next close of both sides sends a reset
void conn_bury(struct reactor *r);                // frees what ended in this turn

void conn_watch(struct reactor *r, struct conn *c, int side, uint32_t extra); // first registration
void conn_want_out(struct reactor *r, struct conn *c, int side);              // tell when it can be written
void conn_again(struct reactor *r, struct conn *c); // go on with it in the next turn

void queue_add(struct reactor *r, struct queue *q, struct conn *c);
void queue_remove(struct queue *q, struct conn *c);
struct queue *conn_queue(struct reactor *r, const struct conn *c); // of its state

// Keep `n` bytes that could not be written. Replaces what the flow held. -1: out of memory.
int flow_keep(struct flow *f, const void *p, size_t n);
// Write what a flow holds in memory: 0 all gone, 1 not all, -1 broken.
int flow_send(struct flow *f, int fd);
void flow_drop(struct flow *f);
