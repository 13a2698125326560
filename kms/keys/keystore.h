// keystore - the root keys of a KMS: their files, their creation, and what only they can sign.
//
// Only the key process (and the offline `issue` command) has one. Files: spec 20 section 2.1. They are
// created by the set-up (setup.h), all together; a folder where some are missing is refused and never
// written to. Root sets after the first are in folders beside them (keyring.h).
#pragma once
#include <openssl/x509.h>

#include "base/secret.h"
#include "crypto/appkeys.h"
#include "crypto/rotation.h"

struct keystore_config {
	const char *dir;       // holds the key files and nothing else
	const char *state_dir; // the audit log; the key process's
	const char *const
		*names; // of the RPC certificate: DNS names and IP addresses, the first is its subject
	size_t n_names;
	bool handover; // the roots may leave the key process, for another KMS that the policy allows
};

struct keyset {                // a root set
	struct secret *secret; // a struct roots
	EVP_PKEY *ca_key;
	X509 *ca_cert;
	uint8_t ca_spki[91], k256_pub[33];
};
struct keystore {
	struct keyset set[ROOT_SETS_MAX];
	uint32_t n; // at least 1
	EVP_PKEY *rpc_key;
};

// Codes: kms.no_keys, kms.partial_keys, kms.ca_mismatch, roots.statement.
int keystore_open(struct keystore *s, const struct keystore_config *c, struct err *e);
void keystore_close(struct keystore *s);
// NULL: kms.no_root_set.
const struct keyset *keystore_set(const struct keystore *s, uint32_t root, struct err *e);
const struct roots *keystore_roots(const struct keyset *k);

// A set that follows the newest; keyset_free gives it up. `r`: the statement about it, at `time`.
int keystore_make_set(const struct keystore *s, struct keyset *out, uint64_t time, struct rotation *r,
		      struct err *e);
void keyset_free(struct keyset *k);
void keystore_take_set(struct keystore *s, struct keyset *k);

// Certificates follow the keys: the CAs are made anew when they would end within a year.
int keystore_renew(struct keystore *s, const struct keystore_config *c, struct err *e);
// The RPC certificate, always anew, for the key in rpc.key and the configured names only. `attestation` may
// be empty.
X509 *keystore_rpc_cert(const struct keystore *s, uint32_t root, const struct keystore_config *c,
			struct span attestation, struct err *e);
// The CA certificate of an app and, for `issue`, its key.
X509 *keystore_app_ca(const struct keyset *k, const uint8_t app[static APP_ID], EVP_PKEY **key,
		      struct err *e);
