// head - a signed tree head: the root key of a KMS says "my log had these records at this time".
//
// The signature is by the root secp256k1 key of the KMS (GetMeta.k256_pubkey), over
// Keccak-256("dstack-kms-audit:" || log id || u64be(size) || u64be(time) || root). The log id, the hash of
// the first record, tells the logs of replicas with the same root key apart. As text: one JSON object.
#pragma once
#include "audit/merkle.h"

enum { AUDIT_HEAD_MAX = 600 };

struct audit_head {
	merkle_hash log_id, root;
	uint64_t size, time; // Unix milliseconds
	uint8_t signer[33], signature[65];
};

int audit_head_sign(struct audit_head *h, const uint8_t k256[static 32], struct err *e); // signer, signature
// Codes: audit.signature; audit.signer when it is by another key than `signer` (NULL: any).
int audit_head_check(const struct audit_head *h, const uint8_t *signer, struct err *e);
void audit_head_write(struct wr *w, const struct audit_head *h);            // no newline
int audit_head_read(struct audit_head *h, struct span text, struct err *e); // audit.head
