// held - collateral that an engine keeps decoded, with what was proven of it: behind crypto/engine.h.
//
// A text is recognised by its bytes and the root it was decoded under, never by a name or a time. Only
// decoding and proofs are kept: time, revocation and policy are applied to it on every call. The least
// recently used gives way, one of which nothing was proven first, so that junk takes one place at most.
#pragma once
#include "core/attest/dcap_collateral.h"
#include "core/verdict/check.h"

enum { HELD = 4 };

struct held {
	uint64_t used; // when, by the owner's count; 0: empty
	size_t root_n, text_n, proofs;
	// Its bytes do not change while it is held, so where they lie says which signature it is.
	struct held_proof {
		enum reason reason;
		enum sig_alg alg;
		struct span msg, key, sig;
	} proof[SIG_CHECKS];
	struct dcap_collateral col;
	uint8_t root[DCAP_ROOT_MAX], text[DCAP_COLLATERAL_MAX];
};

struct held_set {
	uint64_t count, decoded; // calls, and those that had to decode
	struct held each[HELD];
};

// Decoded, from what is held or anew. Good until the next call.
const struct dcap_collateral *held_get(struct held_set *s, struct span text, struct span root,
				       enum anchor anchor);
// Is this check of bytes that are held, and proven before?
bool held_knows(const struct held_set *s, const struct sig_check *c);
void held_prove(struct held_set *s, const struct sig_check *c); // it was verified; ignored for other bytes
// Forget proofs of this reason or later; REASON_OK: everything.
void held_forget(struct held_set *s, enum reason from);
