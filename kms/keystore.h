// keystore - the root keys of a KMS: their files, their creation, and what only they can sign.
//
// Only the key process (and the offline `issue` command) has one. Files: spec 20 section 2.1. They are
// created all together by one rename, or not at all; a folder where some are missing is refused and never
// written to.
#pragma once
#include <openssl/x509.h>

#include "base/secret.h"
#include "crypto/appkeys.h"

struct keystore_config {
	const char *dir; // holds the key files and nothing else
	const char *const
		*names; // of the RPC certificate: DNS names and IP addresses, the first is its subject
	size_t n_names;
	bool bootstrap; // make the keys if there are none
};

struct keystore {
	struct secret *secret; // a struct roots
	EVP_PKEY *ca_key;
	X509 *ca_cert;
	uint8_t ca_spki[91], k256_pub[33];
};

// Codes: kms.no_keys, kms.partial_keys, kms.ca_mismatch, kms.dir_not_empty.
int keystore_open(struct keystore *s, const struct keystore_config *c, struct err *e);
void keystore_close(struct keystore *s);
const struct roots *keystore_roots(const struct keystore *s);
// Certificates follow the keys: the RPC leaf is made anew, the CAs when they would end within a year.
int keystore_renew(struct keystore *s, const struct keystore_config *c, struct err *e);
// The CA certificate of an app and, for `issue`, its key.
X509 *keystore_app_ca(const struct keystore *s, const uint8_t app[static APP_ID], EVP_PKEY **key,
		      struct err *e);

int keystore_check(const struct keystore_config *c,
		   struct err *e); // what --check can say without reading keys
