// keys - the app's keys: asked from a KMS with evidence, from this machine's local key provider (localkey.h),
// or made for this boot alone (provider none).
//
// Who gives them is measured afterwards (event key-provider); where the compose file has key_provider_id,
// nobody else is asked for them. They go to .appkeys.json (0600) for the agent, in upstream's form (spec 20
// section 2.9).
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "core/codec/buf.h"

enum { PROVIDER_ID_MAX = 256, KEYS_EARLIER_MAX = 7 };

struct guest_keys {
	uint8_t disk[32], env[32], k256[32], k256_sig[65];
	bool has_env;
	// Of epochs before the current one, newest first: a disk or environment may still be locked by them.
	uint8_t earlier_disk[KEYS_EARLIER_MAX][32], earlier_env[KEYS_EARLIER_MAX][32];
	size_t n_earlier;
	const char *gateway_app_id, *ca_cert;         // PEM
	const char *url, *temp_ca_cert, *temp_ca_key; // of the KMS; else NULL
	const char *own_ca_key;                       // PEM, providers none and local
	uint8_t provider_id[PROVIDER_ID_MAX]; // KMS: SPKI of its root CA; local: MRENCLAVE; none: empty
	size_t provider_id_n;
	uint8_t os_image_hash[32];
	bool has_os_image_hash;
};

struct setup;
struct compose;

// Codes: keys.provider, binding.key_provider, and those of kms.h and localkey.h.
int keys_obtain(struct setup *s, struct err *e);
int keys_json(const struct guest_keys *k, struct arena *a, struct span *out, struct err *e);
// Back from the file, for the gateway checker: url, CA and temporary CA only.
int keys_read(struct span json, struct arena *a, struct guest_keys *out, struct err *e);

// Is the provider with this id the one that the compose file pins, if it pins one? Code binding.key_provider.
int keys_check_pin(const struct compose *c, const uint8_t *id, size_t n, struct err *e);
