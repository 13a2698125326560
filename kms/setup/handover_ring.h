// handover_ring - the root sets after the first, as another KMS hands them over: each must be the private
// half of what that KMS announced on the attested connection, and each must be proved to follow the one
// before it.
#pragma once
#include "../keys/keyfiles.h"
#include "kms.pb-c.h"

// `out` has set 0. Codes: onboard.keys_mismatch, onboard.keys, roots.statement.
int handover_take_ring(const Kms__GetMetaResponse *said, const Kms__KmsKeyResponse *given,
		       struct keyfiles_roots *out, struct err *e);
