// report_data - the 64 bytes that a quote is to carry, made of what a caller wants to be bound.
//
// Spec 10 sections 5 and 7.3: hash(tag ":" content) on the left, zeros on the right, or 64 bytes as they are;
// for the app's signing keys "dip1::" with the kind and base64 of the key, which fits without a hash.
#pragma once
#include "base/err.h"
#include "core/codec/buf.h"
#include "tee/tee.h"

#define REPORT_TAG  "app-data"
#define REPORT_HASH "sha512"

// `hash`: sha256, sha384, sha512, sha3-256, sha3-384, sha3-512, keccak256, keccak384, keccak512; "raw": 64
// bytes as they are, without a tag. Codes: agent.hash, agent.report_data.
int report_data_of(const char *hash, const char *tag, struct span content,
		   uint8_t out[static TEE_REPORT_DATA], struct err *e);
// `pub`: 32 bytes of ed25519 or 33 of secp256k1.
int report_data_of_key(struct span pub, uint8_t out[static TEE_REPORT_DATA], struct err *e);
// Raw bytes of a container, which may not speak for the system (core/attest/reportdata.h). Code:
// agent.reserved.
int report_data_of_app(struct span data, struct err *e);
