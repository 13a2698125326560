// keystore - the root keys of a KMS: their files, their creation, and what only they can sign.
//
// Only the key process (and the offline `issue` command) has one. Files: spec 20 section 2.1. They are
// created by the set-up (setup.h), all together; a folder where some are missing is refused and never
// written to.
#pragma once
#include <openssl/x509.h>

#include "base/secret.h"
#include "crypto/appkeys.h"

struct keystore_config {
	const char *dir;       // holds the key files and nothing else
	const char *state_dir; // the audit log; the key process's
	const char *const
		*names; // of the RPC certificate: DNS names and IP addresses, the first is its subject
	size_t n_names;
	bool handover; // the roots may leave the key process, for another KMS that the policy allows
};

struct keystore {
	struct secret *secret; // a struct roots
	EVP_PKEY *ca_key, *rpc_key;
	X509 *ca_cert;
	uint8_t ca_spki[91], k256_pub[33];
};

// Codes: kms.no_keys, kms.partial_keys, kms.ca_mismatch.
int keystore_open(struct keystore *s, const struct keystore_config *c, struct err *e);
void keystore_close(struct keystore *s);
const struct roots *keystore_roots(const struct keystore *s);
// Certificates follow the keys: the CAs are made anew when they would end within a year.
int keystore_renew(struct keystore *s, const struct keystore_config *c, struct err *e);
// The RPC certificate, always anew, for the key in rpc.key and the configured names only. `attestation` may
// be empty.
X509 *keystore_rpc_cert(const struct keystore *s, const struct keystore_config *c, struct span attestation,
			struct err *e);
// The CA certificate of an app and, for `issue`, its key.
X509 *keystore_app_ca(const struct keystore *s, const uint8_t app[static APP_ID], EVP_PKEY **key,
		      struct err *e);
