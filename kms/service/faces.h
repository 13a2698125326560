// faces - what a KMS shows of each of its root sets: certificate, public keys, the statement about it, and
// the TLS context of the address that serves it.
//
// Set 0 is served at rpc.address, another at the address that rpc.root gives it. Faces are only ever added,
// while the KMS runs, by faces_add; what is below `n` does not change but for the certificate in `tls`.
// docs/kms-roots.md.
#pragma once
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "../config.h"
#include "kms.pb-c.h"
#include "rpc/server.h"

struct face {
	uint32_t root;
	const char *address; // "" : not served
	char *ca_pem;
	uint8_t ca_spki[91], k256_pub[33];
	char *text; // JSON about its birth, NULL: none. Set 0: BootstrapResponse, others: RootRotation
	SSL_CTX *_Atomic tls; // NULL: no certificate yet
	bool is_listening;    // on the loop's thread
};

struct faces {
	const struct kms_config *config;
	struct face face[ROOT_SETS_MAX];
	atomic_uint n;
	pthread_mutex_t turn; // one rotation at a time
	int listener;         // rpc.address's, open already; the others are opened here
};

// Reads what is in the key folder. faces_close is safe after a failure.
int faces_open(struct faces *f, const struct kms_config *c, struct err *e);
void faces_close(struct faces *f);
// The set that was made: read, not yet counted; then counted.
struct face *faces_read_next(struct faces *f, struct err *e);
void faces_add(struct faces *f);
// Opens the addresses that have a certificate and are not open yet. On the loop's thread.
int faces_listen(struct faces *f, struct rpc_server *server, struct err *e);

// Where the call came in.
const struct face *face_of(const struct faces *f, const struct rpc_call *call);
// For GetMeta.
int face_bootstrap_info(const struct face *f, struct arena *a, Kms__BootstrapResponse **out);
int faces_rotations(const struct faces *f, struct arena *a, Kms__RootRotation ***out, size_t *n,
		    struct err *e);
