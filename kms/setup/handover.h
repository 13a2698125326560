// handover - takes the roots over from another KMS of ours or upstream's.
//
// Trusts nothing of the source's address. The first connection is accepted for the evidence in the server's
// certificate alone, which must hold and be allowed by the policy; every later one must show that very key,
// and what is handed over must be the private halves of what the attested connection announced. spec 20
// section 2.8; spec 70 CH-07, KM-17. Synchronous.
#pragma once
#include "../keys/keyfiles.h"
#include "../service/self.h"

struct handover {
	const struct kms_config *config;
	struct trust *trust;
	struct policy *policy;
};

// `source_url` with or without /prpc. Codes: onboard.url, ratls.no_evidence, onboard.source_denied,
// onboard.peer_changed, onboard.keys, onboard.keys_mismatch, and those of the verification.
int handover_fetch(const struct handover *h, struct keyfiles_roots *out, const char *source_url,
		   struct err *e);
