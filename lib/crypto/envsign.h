// envsign - the sealed environment with its sender: a box of seal.h, signed by a deployer's Ed25519 key.
//
// The box alone is anonymous: whoever has the app's public key makes one. Around it lie a version and a
// signature over app id, version, signer and box, so that it can be judged before any key is asked for
// (docs/formats/sealed-env.md). The bytes come from the host; the signers from the measured compose file.
#pragma once
#include "base/err.h"
#include "core/codec/buf.h"
#include "crypto/ed25519.h"

enum {
	ENVSIGN_TAG = 16,
	ENVSIGN_HEAD = ENVSIGN_TAG + 8 + ED25519_PUB + ED25519_SIG, // before the box
	ENVSIGN_APP = 20,
	ENVSIGN_MAX = 256 * 1024 // what the guest takes, the head included
};

struct envsign {
	uint64_t version;
	const uint8_t *signer, *sig; // ED25519_PUB, ED25519_SIG bytes of what was read
	struct span box;
};

// Borrows `in`. Codes: env.unsigned (something else, or a bare box), env.envelope (cut short, version 0).
int envsign_read(struct span in, struct envsign *out, struct err *e) __attribute__((warn_unused_result));
// By one of `signers`, for this app. Codes: env.signer, env.signature.
int envsign_check(const struct envsign *s, const uint8_t app[static ENVSIGN_APP],
		  const uint8_t (*signers)[ED25519_PUB], size_t n, struct err *e)
	__attribute__((warn_unused_result));
// `out` takes ENVSIGN_HEAD + box.n bytes; version is not 0. Code: env.too_large.
int envsign_write(const uint8_t seed[static ED25519_SEED], const uint8_t app[static ENVSIGN_APP],
		  uint64_t version, struct span box, uint8_t *out, struct err *e)
	__attribute__((warn_unused_result));
