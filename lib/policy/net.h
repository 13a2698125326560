// net - bounded HTTP questions to a policy service, over one thread with libcurl's multi interface.
//
// Connections are kept and pooled. The other side is not trusted: connecting, total time, headers and body
// are bounded, redirects and proxies are not followed, nothing is decompressed. What waits for a free
// connection spends its own time doing so. Private to lib/policy. RFC 9110.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "core/codec/buf.h"

enum { NET_ACTIVE_MAX = 64, NET_WAITING_MAX = 1024, NET_HEADERS_MAX = 32 << 10 };

struct net_opts {
	const char *url; // "https://host", "http://127.0.0.1:8000/base", "unix:/run/auth.sock" (+ ":/base")
	const char *ca_file, *client_cert, *client_key; // NULL or "": the system's roots, none
	const struct secret *seal; // questions with a body and their answers are sealed with it; NULL: not
	long connect_ms, total_ms;
	size_t reply_max;
};

struct net;

// rc 0: `status` is 2xx and `body` the whole body, valid during the call. -1: err, with policy.timeout,
// .connect, .tls, .status, .seal, .reply_too_large, .busy or .stopping.
struct net_reply {
	int rc;
	struct err err;
	long status;
	struct span body;
};
typedef void net_done(void *arg, const struct net_reply *r);

struct net *net_new(const struct net_opts *o, struct err *e);
// `done` is called once: by the thread of `n`, or at once when the question is not taken. `path` is put
// behind the url. `body` is copied; NULL: GET. `deadline` (time_mono_ms) may only shorten the time.
void net_ask(struct net *n, const char *path, const char *body, size_t body_n, uint64_t deadline,
	     net_done *done, void *arg);
void net_stop(struct net *n); // all is answered; not from `done`
void net_free(struct net *n);
