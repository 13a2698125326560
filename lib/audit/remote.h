// remote - the audit log of a KMS over RPC: its signed head, proofs about it, and what it keeps of other
// logs.
//
// Only the shape of an answer is checked here: who believes it must check the head's signature
// (audit/head.h) and the proof against the roots it knows (audit/merkle.h). Answers are bounded by the
// client's reply_max.
#pragma once
#include "audit/witness.h"
#include "base/arena.h"
#include "rpc/client.h"

enum { AUDIT_REMOTE_PEERS = 64 }; // a KMS that says it keeps more is not believed

struct audit_ask { // one GetAuditProof
	uint64_t size, first_size, seq;
	bool has_first, has_seq;
};

// Codes: audit.head, audit.proof for an answer of another shape; else the client's.
MUST_USE int audit_remote_head(struct rpc_client *c, struct arena *a, struct audit_head *h, struct err *e);
MUST_USE int audit_remote_prove(struct rpc_client *c, struct arena *a, const struct audit_ask *q,
				struct merkle_path *prefix, struct merkle_path *leaf, struct err *e);
// *out is in the arena.
MUST_USE int audit_remote_peers(struct rpc_client *c, struct arena *a, struct audit_witness **out, size_t *n,
				struct err *e);
