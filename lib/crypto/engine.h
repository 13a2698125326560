// engine - runs the evidence core with OpenSSL: the one way by which programs verify a quote.
//
// dcap_verify lets the core list its signature checks, runs them, and lets the core give the result; nothing
// can be read from a quote that did not verify. Holds the trust anchors (Intel's root is compiled in, others
// are added and mark every verdict `development`), a small cache of proofs ("this signature over this message
// by this key holds", keyed by SHA-256) and the collateral used last, decoded. Verdicts are never cached:
// time, revocation and policy are applied on each call, so what is cached never changes an answer. An engine
// is not shared between threads. It does not grow: 1.8 MiB, of which 0.4 are touched with one collateral.
#pragma once
#include "base/err.h"
#include "core/attest/dcap.h"
#include "crypto/snp_roots.h"

struct engine;

MUST_USE struct engine *engine_new(struct err *e); // trusts Intel's SGX root and AMD's only
void engine_free(struct engine *g);
// Trust one more root (DER): as a development root, unless it is Intel's or AMD's own. Its form says for
// what.
MUST_USE int engine_add_root(struct engine *g, struct span der, struct err *e);
// The same, and no other. For `dstack quote verify --root`.
MUST_USE int engine_only_root(struct engine *g, struct span der, struct err *e);
bool engine_has_development(const struct engine *g);
size_t engine_roots(const struct engine *g); // how many are trusted for quotes
const struct snp_roots *engine_snp_roots(const struct engine *g);

// 0: the quote is genuine at `in->now` and `out` says what it attests. -1: `code` is one of
// core/verdict/reason.h, the class ERR_UNTRUSTED, or ERR_INPUT for collateral that cannot be read. With
// several anchors each is tried and the refusal that came furthest is reported.
MUST_USE int dcap_verify(struct engine *g, const struct dcap_input *in, struct dcap_result *out,
			 struct err *e);

// The same for an SEV-SNP report.
MUST_USE int snp_verify(struct engine *g, const struct snp_input *in, struct snp_result *out, struct err *e);

// For the native side of functions that call dcap_begin themselves: collateral decoded under the trusted root
// of that number, from the cache or anew. Good until the next call of this or of dcap_verify. engine_run
// knows its signatures.
const struct dcap_collateral *engine_collateral(struct engine *g, struct span text, size_t root);

// For the native side of other two-phase functions of the core: runs checks in the order of their reasons,
// to the first that fails (what follows cannot change the reason any more) or to those behind `reason`, the
// refusal found already (REASON_OK: none). Bit i of the result: check i holds. What held is cached.
MUST_USE uint32_t engine_run(struct engine *g, const struct sig_check *check, size_t n, enum reason reason);

// ECDSA P-256 over SHA-256 for callers that hold raw keys and signatures: true when it holds. Not cached.
bool engine_p256(struct engine *g, const uint8_t key[static 64], struct span msg,
		 const uint8_t sig[static 64]);

// Forget the proofs and keys of checks whose reason is `from` or later; REASON_OK: all. For measuring.
void engine_forget(struct engine *g, enum reason from);

struct engine_stats {
	uint64_t verified, cached; // signature checks run, and answered from the cache
	uint64_t decoded;          // collateral texts
};
struct engine_stats engine_stats(const struct engine *g);
