// keyring - the root sets after the first: folders roots/<r>/ of the key folder. Private to the keystore, the
// key maker and the set-up.
//
// A set is written into a folder of its own beside its place and renamed there, so it is whole or absent, and
// is never overwritten. Sets follow each other without a gap. Keys 0600, the rest public.
#pragma once
#include "base/secret.h"
#include "crypto/p256.h"
#include "crypto/rotation.h"

enum { KEYRING_CERT_MAX = 2048, KEYRING_STATEMENT_MAX = 128 * 1024 };
extern const char keyring_statement[]; // "rotation.json"

struct keyring_files {
	char ca_key[P256_PEM_MAX], ca_cert[KEYRING_CERT_MAX]; // PEM
	uint8_t k256[32];
};
// As the set-up has them from another KMS.
struct keyring_set {
	struct secret *files; // a struct keyring_files
	char *statement;      // the text of rotation.json
};
void keyring_set_free(struct keyring_set *s);

// How many sets there are, the first included. Code: kms.partial_keys.
int keyring_count(const char *dir, uint32_t *n, struct err *e);
// The folder of a set; of set 0 `dir` itself. NULL: out of memory.
char *keyring_folder(const char *dir, uint32_t root, struct err *e);
int keyring_add(const char *dir, uint32_t root, const struct keyring_files *f, const char *statement,
		struct err *e);
// What a KMS that was killed while it made a set left behind.
void keyring_sweep(const char *dir);
