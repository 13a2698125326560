// witness - what is remembered of somebody else's log: the newest signed head that held, and what did not.
//
// A head is believed for its signature. The next one must be of the same log, not shorter, and a consistency
// proof (RFC 6962 section 2.1.2) must lead from the kept one to it; else the kept one stays and the other is
// put beside it, because both together are the proof of a fork. As text: one JSON object, one file a log.
// docs/kms-audit.md.
#pragma once
#include "audit/head.h"

enum { AUDIT_WITNESS_NAME = 256, AUDIT_WITNESS_MAX = 4096 };

struct audit_witness {
	char name[AUDIT_WITNESS_NAME]; // of whom: as the configuration has it
	bool has_head, has_refused;
	struct audit_head head;    // the newest that held
	uint64_t seen;             // when it was last shown, or one that goes on from it: Unix milliseconds
	char code[48];             // why another was refused last; "" never
	uint64_t refused_at;       // and when
	struct audit_head refused; // and which, if it was a head at all
};

// Must a proof lead from the kept head to this one? Then `p` of audit_witness_take must not be NULL.
bool audit_witness_needs_proof(const struct audit_witness *w, const struct audit_head *now);
// Takes `now` as the head that holds. Codes of a refusal, which leaves *w as it was: audit.signature,
// audit.signer, audit.head, audit.other_log, audit.truncated, audit.time, audit.fork.
MUST_USE int audit_witness_take(struct audit_witness *w, const struct audit_head *now, const uint8_t *signer,
				const struct merkle_path *p, uint64_t now_ms, struct err *e);
// Is this a head that goes with `kept`, as far as can be said without a proof? The same codes.
MUST_USE int audit_heads_agree(const struct audit_head *kept, const struct audit_head *now, struct err *e);
// Keeps why, and the head when there is one. True: it says something that was not known.
bool audit_witness_refuse(struct audit_witness *w, const struct audit_head *now, const char *code,
			  uint64_t now_ms);
void audit_witness_write(struct wr *w, const struct audit_witness *x);                     // no newline
MUST_USE int audit_witness_read(struct audit_witness *x, struct span text, struct err *e); // audit.witness
