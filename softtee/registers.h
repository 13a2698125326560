// registers - MRTD, MRCONFIGID and RTMR0-3 of one machine, as the software TEE keeps them.
//
// RTMR0-2 only move by extends that the relay saw on the way to the TPM (UEFI's mapping of PCRs, without 0
// and 10); RTMR3 only by the guest's requests, and only forwards. All start at zero when the TPM starts.
// `broken` is set for good when something passed that could not be followed: no quote is given from then on.
#pragma once
#include "quote.h"
#include "tpm.h"

struct registers {
	struct quote_body body;
	unsigned extends; // seen since the TPM started
	bool broken;
};

void registers_reset(struct registers *r);
void registers_watch(struct registers *r, struct span command, struct span answer);
void registers_extend(struct registers *r, int index, const uint8_t digest[static MR]);
