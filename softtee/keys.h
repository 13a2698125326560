// keys - the development PKI's keys, and signatures by them in the forms that quotes and certificates use.
//
// The keys are for development only and prove nothing about a machine; still they are files of mode 0600.
// ECDSA P-256 with SHA-256 throughout; a raw signature is r || s, 32 bytes each, big-endian.
#pragma once
#include <openssl/evp.h>
#include <stdint.h>
#include "base/err.h"

enum { KEY_RAW = 64, KEY_SIG_DER_MAX = 72, KEY_ID = 20 };

struct dev_key {
	EVP_PKEY *pkey;
	uint8_t pub[KEY_RAW]; // X || Y
};

int key_make(struct dev_key *k, struct err *e);
int key_load(struct dev_key *k, const char *path, struct err *e);
int key_save(const struct dev_key *k, const char *path, struct err *e); // a new file, 0600
void key_free(struct dev_key *k);

int key_sign_raw(const struct dev_key *k, const void *msg, size_t n, uint8_t sig[static KEY_RAW],
		 struct err *e);
int key_sign_der(const struct dev_key *k, const void *msg, size_t n, uint8_t sig[static KEY_SIG_DER_MAX],
		 size_t *sign, struct err *e);
// The key that a seed and a label name, the same everywhere, and ECDSA with the nonce of RFC 6979: what is
// made from a seed is the same bytes each time. For evidence that tests are made of, never for secrets.
int key_from_seed(struct dev_key *k, const char *seed, const char *label, struct err *e);
int key_sign_fixed(const struct dev_key *k, const void *msg, size_t n, uint8_t sig[static KEY_RAW],
		   struct err *e);
void key_id(const struct dev_key *k, uint8_t id[static KEY_ID]); // RFC 5280 section 4.2.1.2 method 1
