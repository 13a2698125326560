// client - RPC calls over HTTP with libcurl: TCP, TLS, unix and vsock, synchronous, always with a timeout.
//
// Not for an event loop's thread. A client keeps its connection; it is not shared between threads. TLS is
// decided by the caller: without a hook the server must have a certificate of the system's store for its
// name; with a hook (RA-TLS) the hook sets certificates and its own verification on the SSL_CTX, and the
// client refuses to connect if verification is off then.
#pragma once
#include <openssl/ssl.h>
#include <protobuf-c/protobuf-c.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/err.h"
#include "core/codec/buf.h"

struct rpc_client;

struct rpc_client_opts {
	int connect_s, timeout_s;                           // 0: 5 and 60
	size_t reply_max;                                   // 0: 16 MiB
	int (*tls)(SSL_CTX *ctx, void *arg, struct err *e); // sets up the context of one connection
	void *arg;
	const struct err *reason; // where the hook's verification leaves why it refused; may be NULL
	bool insecure;            // accept any server certificate (say so in your log)
	const char *ca_file;      // trust these roots (PEM) instead of the system's
	const char *header;       // one more "Name: value", or NULL
	const atomic_bool *stop;  // gives up within about a second once it is true (rpc.timeout); may be NULL
};

// url: "https://host:port/prpc", "http://...", "unix:/run/x.sock" (+ ":/prpc" for a mount path),
// "vsock://2:10000/api". The method is appended. `o` may be NULL.
struct rpc_client *rpc_client_new(const char *url, const struct rpc_client_opts *o, struct err *e);
void rpc_client_free(struct rpc_client *c);

// One call, in JSON. `in` may be NULL for an empty request. *out is in the arena; with `d` NULL the answer is
// ignored. A refusal of the peer becomes the error: its text and code, class ERR_DENIED for 401/403,
// ERR_ABSENT for 404, ERR_AGAIN for 503, else ERR_INPUT. Codes when there was no answer: rpc.connect,
// rpc.timeout, rpc.tls.
int rpc_client_call(struct rpc_client *c, const char *method, const ProtobufCMessage *in,
		    const ProtobufCMessageDescriptor *d, struct arena *a, void **out, struct err *e);

// A plain request to the client's url + path: for what is not RPC. *status is the HTTP status; body in the
// arena.
int rpc_client_get(struct rpc_client *c, const char *path, struct arena *a, int *status, struct span *body,
		   struct err *e);
int rpc_client_post(struct rpc_client *c, const char *path, const char *type, struct span data,
		    struct arena *a, int *status, struct span *body, struct err *e);
// A header of the last reply, "" if absent; valid until the next request.
const char *rpc_client_header(const struct rpc_client *c, const char *name);
// A streamed GET: `fn` gets each piece; a value other than 0 ends it. `timeout_s` is then between pieces.
int rpc_client_stream(struct rpc_client *c, const char *path, int (*fn)(void *arg, const char *p, size_t n),
		      void *arg, struct err *e);

int rpc_client_setup(void); // curl_global_init, once before threads; -1 when it fails

static inline void rpc_client_cleanup(struct rpc_client **c)
{
	rpc_client_free(*c);
}
#define auto_rpc_client __attribute__((cleanup(rpc_client_cleanup))) struct rpc_client
