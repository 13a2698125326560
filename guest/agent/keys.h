// keys - GetKey, where the root key is (custody.h): keys that depend on nothing but the app's root key and a
// path.
//
// Spec 10 sections 3.2 and 7.1. The same 32 bytes serve secp256k1 and ed25519 at one path: upstream's rule,
// which clients rely on; choose different paths for different uses.
#pragma once
#include "base/err.h"
#include "crypto/k256.h"
#include "files.h"

struct derived_key {
	uint8_t key[32];
	uint8_t public[33]; // compressed secp256k1, or ed25519
	size_t public_n;
	uint8_t signature[K256_SIG]; // by the app's root key over purpose and public key
};

// `algorithm`: "secp256k1", "k256", "" or "ed25519". Codes: agent.algorithm, agent.path. The caller wipes
// `out`. The same bytes whether or not k->cache knows them.
int derive_key(const struct key_file *k, const char *path, const char *purpose, const char *algorithm,
	       struct derived_key *out, struct err *e);
// Only the 32 bytes. The path is at most KDF_INFO_MAX long.
int derive_secret(const struct secret *root, const char *path, uint8_t out[static 32], struct err *e);
