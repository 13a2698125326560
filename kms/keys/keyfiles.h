// keyfiles - the files of a KMS's key folder, one by one. Private to the keystore and the set-up.
//
// Keys are 0600 and refused when others may read them; the rest is public.
#pragma once
#include <openssl/x509.h>

#include "base/secret.h"
#include "keyring.h"

enum keyfiles_state { KEYFILES_NONE, KEYFILES_ALL, KEYFILES_BAD };

// Upstream's default, 1975-01-01: a guest may ask before its clock is right.
enum { KEYFILES_NOT_BEFORE = 157766400 };

// KEYFILES_BAD sets the error: kms.partial_keys names what is missing.
extern const char keyfiles_bootstrap_info[], keyfiles_domain[]; // names of public files
enum keyfiles_state keyfiles_state(const char *dir, struct err *e);

// What a KMS begins with: made here, or taken over from another KMS.
struct keyfiles_roots {
	EVP_PKEY *ca, *temp_ca;
	struct secret *k256;                    // 32 bytes
	struct keyring_set more[ROOT_SETS_MAX]; // sets 1 and up
	uint32_t n_more;
};
int keyfiles_roots_new(struct keyfiles_roots *r, struct err *e);
void keyfiles_roots_free(struct keyfiles_roots *r);
// All files at once, with a fresh RPC key and fresh certificates: a folder is filled beside `dir` and renamed
// to it. `bootstrap_info`: JSON, or NULL. Codes: kms.dir_not_empty.
int keyfiles_install(const char *dir, const char *domain, const struct keyfiles_roots *r,
		     const char *bootstrap_info, struct err *e);

int keyfiles_read_secret(const char *dir, const char *name, struct secret **out, struct err *e);
EVP_PKEY *keyfiles_read_key(const char *dir, const char *name, struct err *e);
X509 *keyfiles_read_cert(const char *dir, const char *name, struct err *e);
int keyfiles_write_cert(const char *dir, const char *name, X509 *c, struct err *e);
X509 *keyfiles_root_cert(EVP_PKEY *key, struct err *e);
X509 *keyfiles_temp_ca_cert(EVP_PKEY *key, struct err *e);
