// keyproc - the process that alone holds the root keys, and how the rest of the KMS asks it.
//
// It is forked before a byte from the network is read, loads the roots, takes its rights away, and then
// answers messages of one fixed size from a fixed table, in order. What it parses is this struct and nothing
// else; evidence for the RPC certificate follows in a second message and is copied, not read. A message of
// another shape ends it, and with it the KMS.
#pragma once
#include <openssl/x509.h>
#include <pthread.h>
#include <sys/types.h>

#include "crypto/appkeys.h"
#include "crypto/p256.h"
#include "keystore.h"

struct keyproc {
	int fd;
	pid_t pid;
	pthread_mutex_t lock; // callers are threads of one process
};

// Returns in the parent when the key process is ready, else its error.
int keyproc_start(struct keyproc *k, const struct keystore_config *c, struct err *e);
void keyproc_stop(struct keyproc *k);

int keyproc_public(struct keyproc *k, uint8_t ca_spki[static 91], uint8_t k256_pub[static 33], struct err *e);
int keyproc_app(struct keyproc *k, const uint8_t app[static APP_ID], struct span inst, struct app_keys *out,
		struct err *e);
int keyproc_env(struct keyproc *k, const uint8_t app[static APP_ID], uint64_t time, struct env_key *out,
		struct err *e);
X509 *keyproc_app_ca(struct keyproc *k, const uint8_t app[static APP_ID], struct err *e);
// A signature by the app's CA key over a SHA-256 digest.
int keyproc_sign_app(struct keyproc *k, const uint8_t app[static APP_ID], const uint8_t digest[static 32],
		     uint8_t *sig, size_t *sig_len, struct err *e);
// The KMS's own certificate, over its RPC key; `attestation` may be empty.
X509 *keyproc_rpc_cert(struct keyproc *k, struct span attestation, struct err *e);
// The roots, for another KMS: ERR_DENIED kms.no_handover unless configured. The caller wipes `out`.
struct keyproc_roots {
	char ca[P256_PEM_MAX], temp_ca[P256_PEM_MAX]; // PKCS#8
	uint8_t k256[32];
};
int keyproc_export(struct keyproc *k, struct keyproc_roots *out, struct err *e);
