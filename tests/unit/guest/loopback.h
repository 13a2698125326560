// loopback - certificates and TLS servers on this machine for tests of the guest's connections.
#pragma once
#include <event2/event.h>
#include <pthread.h>
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "ratls/tls.h"
#include "rpc/server.h"

struct party {
	EVP_PKEY *key;
	X509 *cert;
	char pem[8192], key_pem[P256_PEM_MAX];
};

// A CA when `by` is NULL; else a leaf that it signs.
void party_make(struct party *p, const char *cn, const char *usage, struct span app_id,
		const struct party *by);
void party_drop(struct party *p);

// One event loop in a thread of its own.
struct loopback {
	struct event_base *base;
	pthread_t thread;
	int stop[2];
	struct event *on_stop;
};

void loopback_start(struct loopback *l); // after the servers are there
void loopback_stop(struct loopback *l);  // before they are freed
void loopback_free(struct loopback *l);

// A server with the leaf `own` that asks its clients for a certificate under `clients`; *url is https://….
struct rpc_server *loopback_serve(struct loopback *l, const struct party *own, const struct party *clients,
				  const char *mount, const char *prefix, const struct rpc_method *methods,
				  size_t n, void *arg, char url[static 64]);
// An address where connections are taken and nothing is ever said, and one where nobody is.
int loopback_mute(char url[static 64]); // the socket, for close
void loopback_dead(char url[static 64]);
