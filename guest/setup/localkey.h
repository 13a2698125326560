// localkey - the local key provider, seen from the guest: a seed that this machine gives this measured guest.
//
// An X25519 key is quoted and handed to the host, which carries it to the provider's enclave (HostApi
// GetSealingKey). What comes back is believed only with the enclave's quote over it: verified like any other
// quote, under Intel's root, or under the software TEE's development root where that is the guest's own TEE.
// The enclave's MRENCLAVE becomes the measured provider id; docs/formats/sealing.md.
#pragma once
#include "setup.h"

enum { LOCALKEY_SEED = 32, LOCALKEY_MR = 32, LOCALKEY_PUBLIC = 32, LOCALKEY_SECRET = 32 };

// Codes: localkey.host, localkey.quote, localkey.binding, localkey.box.
int localkey_seed(struct setup *s, uint8_t seed[static LOCALKEY_SEED], uint8_t mr[static LOCALKEY_MR],
		  struct err *e);

// The same from an answer: `quote` verified already as `sgx`.
struct sgx_report;
int localkey_open(const struct sgx_report *sgx, struct span box, const uint8_t public[static LOCALKEY_PUBLIC],
		  const uint8_t secret[static LOCALKEY_SECRET], uint8_t seed[static LOCALKEY_SEED],
		  struct err *e);
