// tpm - which PCR extends a TPM 2.0 command made, told from the command and its answer.
//
// TCG TPM 2.0 Library part 3: PCR_Extend carries the digests in the command, PCR_Event and
// EventSequenceComplete give them in the answer. The bytes come from the guest and are not trusted: what the
// TPM took but cannot be read here is TPM_UNREADABLE, after which registers must not be vouched for.
#pragma once
#include "core/codec/buf.h"

enum {
	TPM_HEAD = 10, // tag u16, size u32, code u32
	TPM_MESSAGE_MAX = 8192,
	TPM_DIGEST = 48,
	TPM_PCRS = 24,
};

enum tpm_seen { TPM_NOTHING, TPM_EXTEND, TPM_UNREADABLE };

struct tpm_extend {
	uint32_t pcr;
	uint8_t digest[TPM_DIGEST]; // SHA-384 bank
};

// Size that the head of a message tells, or 0 when it is not one (shorter than a head, or too long).
size_t tpm_size(const uint8_t head[static TPM_HEAD]);

enum tpm_seen tpm_watch(struct span command, struct span answer, struct tpm_extend *out);
