// bootstrap - the birth of a KMS's roots, and the evidence that they were born in a TEE.
//
// The keys are made, the public ones attested, and everything appears in the key folder by one rename:
// a crash leaves no keys or all of them with their evidence. Existing keys are never touched. spec 20
// sections 2.2 and 2.7.
#pragma once
#include "../keys/keyfiles.h"
#include "../service/self.h"

struct bootstrap_info {
	uint8_t ca_spki[91], k256_pub[33];
	uint8_t *attestation; // malloc'd; NULL without a guest agent
	size_t attestation_n;
};

// Code kms.bootstrapped when there are keys already; `self` (NULL: not asked) must be allowed.
int bootstrap_run(const struct kms_config *c, struct self *self, const char *domain,
		  struct bootstrap_info *out, struct err *e);
void bootstrap_info_free(struct bootstrap_info *b);
