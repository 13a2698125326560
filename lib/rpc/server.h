// server - RPC over HTTP: protobuf or JSON bodies, methods in tables, on unix, TCP, TLS and vsock sockets.
//
// One event loop. A method is called when its request is decoded; it fills `out` and returns 0, sets the
// error and returns -1, or returns RPC_LATER and calls rpc_finish on the loop's thread. Methods marked
// `worker` run on the pool instead; one that waits for something gives its thread back: it returns RPC_LATER
// and rpc_continue, from any thread, has the next stage run on the pool. The wire rules are upstream's (spec:
// prpc): POST or GET <mount>/<Method>; JSON by GET, ?json or content type, else protobuf; errors are 400
// {"error","code"}.
//
//     static const struct rpc_method kms_methods[] = {
//             { "GetMeta", &prpc__empty__descriptor, &kms__get_meta_response__descriptor, get_meta },
//     };
//     struct rpc_server *s = rpc_server_new(base);
//     rpc_server_mount(s, "/prpc", "KMS.", kms_methods, COUNT, &kms);
//     rpc_server_listen(s, "tcp:127.0.0.1:8000", tls, 0, &e);
#pragma once
#include <event2/event.h>
#include <openssl/ssl.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/arena.h"
#include "base/err.h"
#include "rpc/http.h"
#include "rpc/pbjson.h"
#include "rpc/pool.h"
#include "rpc/rate.h"

enum { RPC_LATER = 1, RPC_BODY_MAX = 10 << 20 };

struct rpc_call;
struct rpc_server;

typedef int rpc_fn(struct rpc_call *call, const void *in, void *out, struct err *e);

struct rpc_method {
	const char *name;
	const ProtobufCMessageDescriptor *in, *out;
	rpc_fn *fn;
	bool worker;     // runs on a thread of the pool
	size_t body_max; // 0: RPC_BODY_MAX
	unsigned lane;   // of the pool, see rpc_server_pool
};

struct rpc_server *rpc_server_new(struct event_base *base); // NULL when out of memory; ignores SIGPIPE
void rpc_server_free(struct rpc_server *s);

// Methods under `path` ("" for /Method, "/prpc"). `prefix` ("KMS.") may stand before the name, any number of
// times; NULL: none. Several mounts may share a path: the first that knows the method takes the call.
int rpc_server_mount(struct rpc_server *s, const char *path, const char *prefix,
		     const struct rpc_method *methods, size_t n, void *arg);
// Anything that is not RPC: GET and HEAD of `path` (a final '*' matches any rest). http_reply or http_stream.
int rpc_server_raw(struct rpc_server *s, const char *path, void (*fn)(struct http_conn *, void *arg),
		   void *arg);
// Runs before every method, after decoding (authentication, evidence of the peer's certificate).
void rpc_server_gate(struct rpc_server *s, int (*gate)(struct rpc_call *, void *arg, struct err *e),
		     void *arg);
// Runs before everything, raw paths and unknown ones included. Not 0: answered with that status (401, 403,
// 429, 503) and the error; `headers` (NULL, or whole lines) go with it.
void rpc_server_door(struct rpc_server *s, int (*door)(struct http_conn *, void *arg, struct err *e),
		     const char *headers, void *arg);
// Before a method's good answer goes: fills `lines`, RPC_SEAL_LINES bytes, with whole header lines that go
// with it (or leaves it empty). -1: it does not go, the peer gets an error.
enum { RPC_SEAL_LINES = 256 };
void rpc_server_seal(struct rpc_server *s,
		     int (*seal)(struct http_conn *, struct span body, char *lines, void *arg), void *arg);
// Texts of all errors go to the peer, not only those about its request: for listeners only administrators
// reach.
void rpc_server_show_errors(struct rpc_server *s);
// Another limit of a method's body, at most RPC_BODY_MAX; before the method is mounted, too. `method` must
// live as long as the server. -1: too many.
int rpc_server_body_max(struct rpc_server *s, const char *method, uint64_t max);
// "Name: value" added to every reply.
int rpc_server_header(struct rpc_server *s, const char *line);
// The threads of methods marked `worker`, shared with other servers; the caller ends it before them. Without:
// four of the server's own. Clients (rpc/client_key.h) take turns. Codes: rpc.busy, rpc.wait_timeout.
void rpc_server_pool(struct rpc_server *s, struct pool *p);
// Requests of one address, and of all, beyond these are refused with status 429 and rpc.rate_limited as soon
// as their head is read. -1: out of memory.
int rpc_server_rate(struct rpc_server *s, const struct rate_limits *l);
// Connections of one address, and of all, beyond these are closed when they come, before a handshake.
int rpc_server_conn_rate(struct rpc_server *s, const struct rate_limits *l);
// Told how each call ended, on the loop's thread.
void rpc_server_watch(struct rpc_server *s,
		      void (*fn)(void *arg, const char *method, const struct err *e, uint64_t us), void *arg);
// Requests and connections refused by rate, calls alive.
struct rpc_counts {
	uint64_t requests_refused, conns_refused;
	size_t conns, calls;
};
struct rpc_counts rpc_server_counts(const struct rpc_server *s);
void rpc_server_limits(struct rpc_server *s, size_t conns_max, int idle_s, int request_s, int handler_s);

// address: "unix:/path" (mode, 0 = 0600; a stale socket is replaced), "tcp:127.0.0.1:8080" (port 0: any),
// "tcp:[::1]:8080", "vsock:8000" (any CID) or "vsock:2:8000", "fd:3". May be called again for more listeners.
int rpc_server_listen(struct rpc_server *s, const char *address, SSL_CTX *tls, mode_t mode, struct err *e);
// On a socket that listens already (rpc_socket); `address` is for the log. The caller keeps `fd`.
int rpc_server_listen_fd(struct rpc_server *s, int fd, const char *address, SSL_CTX *tls, struct err *e);
uint16_t rpc_server_port(const struct rpc_server *s); // of the first TCP listener

// Stops listening and lets open requests end; `done` (may be NULL) runs on the loop when all are, or after
// `seconds`.
void rpc_server_stop(struct rpc_server *s, int seconds, void (*done)(void *), void *arg);

// What a method may ask about its call.
void *rpc_arg(const struct rpc_call *c);                    // of the mount
struct arena *rpc_arena(struct rpc_call *c);                // freed after the reply
const struct http_peer *rpc_peer(const struct rpc_call *c); // a copy: valid on workers
SSL *rpc_ssl(struct rpc_call *c);                           // not on workers
void *rpc_tls_data(const struct rpc_call *c); // SSL_CTX_get_app_data of the listener's; NULL without TLS
X509 *rpc_peer_cert(struct rpc_call *c);      // borrowed, NULL if none; valid on workers
X509 *rpc_peer_issuer(struct rpc_call *c);    // of a verified chain, the same
const char *rpc_id(const struct rpc_call *c); // the request id, also on every log line of the call
const char *rpc_header(struct rpc_call *c, const char *name); // in the arena, NULL if absent
const char *rpc_method_name(const struct rpc_call *c);
struct http_conn *rpc_conn(struct rpc_call *c); // for http_data; not on workers; NULL when gone

// For a worker method that returns RPC_LATER, once for each time, before or after it has returned: `next`
// runs on the pool with the same in and out, and may again return RPC_LATER.
void rpc_continue(struct rpc_call *c, rpc_fn *next);
void rpc_set_state(struct rpc_call *c, void *state); // of the method, for its next stage
void *rpc_state(const struct rpc_call *c);
// `fn` runs once, on the loop's thread, when the call has ended and its answer is in the connection's output,
// or there is nobody to answer; what the arena holds is still there. Once for a call, from any of its stages.
void rpc_on_end(struct rpc_call *c, void (*fn)(void *arg), void *arg);

// Completes a call on the loop that returned RPC_LATER: rc 0 sends `out`, -1 the error. On the loop's thread
// only. `out` is what the method was given (rpc_out).
void rpc_finish(struct rpc_call *c, int rc, const struct err *e);
void *rpc_out(struct rpc_call *c);

// Opens a listening socket as rpc_server_listen does (nonblocking, close-on-exec): -1 on failure.
int rpc_socket(const char *address, mode_t mode, struct err *e);
