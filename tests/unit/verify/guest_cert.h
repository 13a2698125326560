// guest_cert - certificates of the guest fixture: apart, because softtee and crypto/issue have types of one
// name.
#pragma once
#include <openssl/evp.h>

#include "core/codec/buf.h"

enum { GUEST_NOW = 1760000000, GUEST_ROOM = 1 << 18 };

struct cert_extras {
	struct span quote, event_log, app_id, app_info, attestation;
	bool none; // no evidence
};
struct span guest_cert(const struct cert_extras *x);
EVP_PKEY *guest_key(void); // theirs
uint8_t *guest_room(void); // GUEST_ROOM bytes, good until sixteen more were asked for
