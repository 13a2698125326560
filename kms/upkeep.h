// upkeep - what a running KMS does for itself: fresh evidence of itself, a fresh RPC certificate.
//
// On a thread of its own beside the loop. A self check that fails stops the key methods until one holds; a
// certificate that cannot be renewed stays, and is tried again with the next self check. docs/kms.md.
#pragma once
#include "service.h"

struct upkeep {
	struct service *service;
	SSL_CTX *tls; // of the listener; its certificate is replaced on the loop's thread
	struct pool *pool;
	struct event *timer;
	uint64_t renew_at; // monotonic ms
	X509 *fresh;       // from the thread to the loop
	bool busy;
};

// The first certificate, before there is a listener: writes rpc.crt. Blocks. With core.attest_rpc_cert it
// fails without evidence.
int upkeep_first_cert(struct service *s, struct err *e);
int upkeep_start(struct upkeep *u, struct service *s, SSL_CTX *tls, struct event_base *base, struct err *e);
void upkeep_free(struct upkeep *u);
