// sealenv - variables on their way into a CVM: sealed to the app's key, which the KMS's root signed, and
// signed by the deployer.
#pragma once
#include "compose.h"
#include "crypto/appkeys.h"
#include "signer.h"
#include "vms.h"

struct sealenv {
	const uint8_t *app;          // APP_ID bytes
	const struct signer *signer; // not on: upstream's anonymous box
	uint64_t after;              // the version that the new one must exceed, 0: none
};

// `out` lies in v's arena; *version (may be NULL) is what was given, milliseconds since 1970 where nothing
// forbids it. Codes: kms.env_key_*, env.too_large.
int sealenv(struct vms *v, const struct sealenv *how, const struct env_list *envs, ProtobufCBinaryData *out,
	    uint64_t *version, struct err *e);
