// appkeys - what an app gets from a KMS, computed from the roots and the app's identity alone.
//
// The same roots, app id and instance id give the same keys for ever (spec 20 section 2.3); nothing is
// stored. The caller owns the secrets and wipes them with appkeys_wipe.
#pragma once
#include "base/err.h"
#include "core/codec/buf.h"

enum { APP_ID = 20, APPKEYS_SEED_MAX = 64 };

struct app_keys {
	uint8_t disk[32], env[32], k256[32];
	uint8_t k256_sig[65]; // by the root K256 key over the app's public key
};

struct env_key { // the answer to GetAppEnvEncryptPubKey
	uint8_t pub[32];
	uint8_t sig[65], sig_v1[65]; // v1 also covers the time
	uint8_t sig_v2[65];          // ours: also the epoch and the deployment seed
};

struct roots {
	uint8_t ca[32], k256[32]; // private scalars, P-256 and secp256k1
};

// A derivation epoch: other secrets from the same roots, signed by the same roots. Epoch 0 without a seed is
// upstream's derivation to the byte; any other is HKDF of the root under a salt of its own (spec 20
// section 7.2).
struct app_epoch {
	uint64_t epoch;
	struct span seed; // at most APPKEYS_SEED_MAX bytes
};
int appkeys_epoch_roots(const struct roots *r, const struct app_epoch *at, struct roots *out, struct err *e)
	__attribute__((warn_unused_result));

// `inst` is 20 bytes or empty; `at` NULL: epoch 0.
int appkeys_derive_at(const struct roots *r, const struct app_epoch *at, const uint8_t app[static APP_ID],
		      struct span inst, struct app_keys *out, struct err *e)
	__attribute__((warn_unused_result));
int appkeys_env_at(const struct roots *r, const struct app_epoch *at, const uint8_t app[static APP_ID],
		   uint64_t time, struct env_key *out, struct err *e) __attribute__((warn_unused_result));
// The same in epoch 0.
int appkeys_derive(const struct roots *r, const uint8_t app[static APP_ID], struct span inst,
		   struct app_keys *out, struct err *e) __attribute__((warn_unused_result));
// Without a KMS (key provider none, local, tpm): from a 32-byte seed. env and k256_sig stay zero; `ca` is the
// scalar of the app's own CA (spec 20 section 2.4).
int appkeys_from_seed(const uint8_t seed[static 32], struct app_keys *out, uint8_t ca[static 32],
		      struct err *e) __attribute__((warn_unused_result));
int appkeys_ca(const struct roots *r, const uint8_t app[static APP_ID], uint8_t ca[static 32], struct err *e)
	__attribute__((warn_unused_result));
int appkeys_env(const struct roots *r, const uint8_t app[static APP_ID], uint64_t time, struct env_key *out,
		struct err *e) __attribute__((warn_unused_result));
void appkeys_wipe(struct app_keys *k);

// The client's side: `k` was said at `time` (0 < time within 300 s before and 60 s after `now`) by the KMS
// whose root K256 public key is `signer`. Refused: policy code `kms.env_key_signature`, `kms.env_key_time`.
int appkeys_env_check(const struct env_key *k, const uint8_t app[static APP_ID], uint64_t time, uint64_t now,
		      const uint8_t signer[static 33], struct err *e) __attribute__((warn_unused_result));
// The same by sig_v2: said of this epoch and seed.
int appkeys_env_check_at(const struct env_key *k, const struct app_epoch *at,
			 const uint8_t app[static APP_ID], uint64_t time, uint64_t now,
			 const uint8_t signer[static 33], struct err *e) __attribute__((warn_unused_result));
