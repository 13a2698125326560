// signer - the deployer's key: who may send an app its environment (requirements.env_signers).
//
// An Ed25519 seed, 64 hex digits in a file that only its owner can read: `deployer.key` of the stack's
// folder, made at first use, or one that the user names. Who loses it deploys the app anew.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/ed25519.h"

struct signer {
	bool on;
	uint8_t seed[ED25519_SEED], pub[ED25519_PUB];
};

// `file` NULL: the one of folder `dir`; "none": no signer. Codes: cli.env_signer.
int signer_open(struct signer *s, const char *dir, const char *file, struct err *e);
void signer_wipe(struct signer *s);
