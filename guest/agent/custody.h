// custody - the process that alone holds the app's keys, and how the rest of the agent asks it.
//
// It is forked before anything else, reads the key file, takes its rights away (process.h, jail.h), and then
// answers messages of a fixed table (custody_wire.h), one at a time and in order; that is all it parses. The
// root key and the key of the app's CA never leave it. Keys that are derived do, since containers get them.
// A message of another shape ends it, and with it the agent; so does its end by accident.
#pragma once
#include <openssl/evp.h>
#include <pthread.h>
#include "core/codec/buf.h"
#include "files.h"
#include "keys.h"
#include "process.h"
#include "sign.h"

enum { CUSTODY_PEM = 16 << 10, CUSTODY_URL = 1024 };

// What of the key file is no secret.
struct app_public {
	uint8_t k256_signature[K256_SIGNATURE];
	size_t k256_signature_n; // 0 when no KMS signed
	enum key_provider provider;
	char ca_cert[CUSTODY_PEM];                              // PEM
	char kms_url[CUSTODY_URL];                              // "" unless the provider is a KMS
	char tmp_ca_cert[CUSTODY_PEM], tmp_ca_key[CUSTODY_PEM]; // of the KMS; "": not known
};

// The keys where they are.
struct keyring {
	struct key_file file;
	EVP_PKEY *ca; // NULL when a KMS signs
};

struct custody {
	struct process process;
	pthread_mutex_t lock; // callers are threads
	struct keyring *here; // in this process: the simulator's and tests'; else NULL
};

// Returns in the parent, when custody is ready. The key file becomes `user`'s, so that no other part of the
// agent can open it (unless started without root). Codes: agent.keys, agent.custody, those of base/file.
int custody_start(struct custody *c, const char *keys_file, uid_t user, struct app_public *out, struct err *e)
	__attribute__((warn_unused_result));
void custody_stop(struct custody *c);
// Without a process: for keys that are no secret. Takes `file`.
int custody_here(struct custody *c, struct keyring *k, struct key_file *file, struct app_public *out,
		 struct err *e) __attribute__((warn_unused_result));

// GetKey; as derive_key (keys.h). Also code agent.purpose: 60 KiB is the most.
int custody_key(struct custody *c, const char *path, const char *purpose, const char *algorithm,
		struct derived_key *out, struct err *e) __attribute__((warn_unused_result));
// The 32 bytes at a path and no more. Code: agent.path.
int custody_secret(struct custody *c, const char *path, uint8_t out[static 32], struct err *e)
	__attribute__((warn_unused_result));
// Sign; as app_sign (sign.h).
int custody_sign(struct custody *c, const char *algorithm, struct span data, struct app_signature *out,
		 struct err *e) __attribute__((warn_unused_result));
// The key it signs with: all of *out but the key itself.
int custody_signing_key(struct custody *c, const char *algorithm, struct derived_key *out, struct err *e)
	__attribute__((warn_unused_result));
// Of the app's own CA, over a SHA-256 digest: struct cert_issuer's `sign`. `custody` is a struct custody.
int custody_sign_cert(void *custody, const uint8_t digest[static 32], uint8_t *sig, size_t *sig_len,
		      struct err *e) __attribute__((warn_unused_result));
