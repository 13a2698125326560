// sign - Sign and Verify: signatures by the app's signing keys, and the pure check of anybody's.
//
// Spec 10 sections 3.7 and 3.8. The keys are GetKey's at path "vms" for purpose "signing", so whoever reads
// the chain finds the app's root key and the KMS behind it. ECDSA is RFC 6979 with s in the low half.
#pragma once
#include "core/codec/buf.h"
#include "keys.h"

enum { APP_SIGNATURE = 64 };
#define APP_SIGNING_PATH    "vms"
#define APP_SIGNING_PURPOSE "signing"

struct app_signature {
	uint8_t bytes[APP_SIGNATURE];
	uint8_t public[33];
	size_t public_n;
	uint8_t key_signature[K256_SIG]; // the app's root key over "signing:" and the public key
};

// May `algorithm` sign this? Codes: agent.algorithm, agent.digest.
int app_sign_check(const char *algorithm, struct span data, struct err *e);
// Where the root key is (custody.h). `algorithm`: "secp256k1", "k256", "secp256k1_prehashed", "ed25519".
// Codes: agent.algorithm, agent.digest.
int app_sign(const struct key_file *k, const char *algorithm, struct span data, struct app_signature *out,
	     struct err *e);
// With a key that was derived at APP_SIGNING_PATH. `algorithm` is one of the above.
int app_sign_with(const struct derived_key *d, const char *algorithm, struct span data,
		  struct app_signature *out, struct err *e);
// Malformed keys and signatures are errors: agent.algorithm, key.public, key.signature.
int app_verify(const char *algorithm, struct span data, struct span sig, struct span pub, bool *valid,
	       struct err *e);
// The signing key without a signature, for GetAttestationForAppKey. The caller wipes `out`.
int app_signing_key(const struct key_file *k, const char *algorithm, struct derived_key *out, struct err *e);
