// pccs - collateral for a platform, from Intel's PCS or a PCCS, kept in memory and on disk (spec 50 section
// 4).
//
// What is fetched is bounded in size and time, and signed documents are kept byte for byte. Nothing here
// proves anything: the caller verifies each answer and says so. Only what verified is kept; a kept answer is
// used for at most 24 hours or until its earliest nextUpdate, fetched anew in the background at half of that,
// used on until nextUpdate when the source fails, and never after it. What is older than collateral that
// verified before is refused. Several askers for one platform cause one fetch. Safe to call from several
// threads; blocks on the network.
//
//     struct pccs_answer a = { 0 };
//     while (!(got = pccs_get(p, &a, &platform, &e))) {
//             r = verify(a.json, a.n, &expires, &e);
//             if (r)
//                     pccs_refused(p, &a, &e);
//             else if (!(r = pccs_verified(p, &a, expires, &e)))
//                     break;
//     }
//     pccs_release(&a);
#pragma once
#include "base/err.h"
#include "core/attest/dcap.h"

struct pccs;
struct pccs_blob;

struct pccs_config {
	const char *url;          // NULL: Intel's
	const char *cache_dir;    // NULL: memory only
	bool compat;              // older collateral than seen before is labelled, not refused
	int connect_ms, total_ms; // 0: 5 and 30 seconds; the total is that of all requests for one platform
	uint64_t (*clock)(void);  // NULL: time_now
};

// Codes: config.pccs_url, collateral.newest.
struct pccs *pccs_new(const struct pccs_config *c, struct err *e);
void pccs_free(struct pccs *p); // no call may be under way; a fetch in the background is broken off

enum pccs_source { PCCS_NOTHING, PCCS_CANDIDATE, PCCS_MEMORY, PCCS_DISK, PCCS_FETCHED };

struct pccs_answer {
	const char *json; // QuoteCollateralV3; until the next pccs_get or pccs_release
	size_t n;
	enum pccs_source source; // PCCS_CANDIDATE: fetched before and not verified yet
	bool older;              // after pccs_verified in compat: older than seen before
	struct dcap_platform platform;
	struct pccs_blob *blob;
	unsigned tried; // sources
	bool unusable;  // the last answer was no use for any quote
};

// The next answer worth trying, starting with `a` all zero. 1: there is no other, `e` is left alone. -1:
// nothing could be had: collateral.fetch, .answer, .unknown_platform, .busy.
int pccs_get(struct pccs *p, struct pccs_answer *a, const struct dcap_platform *platform, struct err *e);
// The quote did not verify with this answer, for the reason in `e`: what is wrong with the collateral itself
// is not used again, what refuses a quote stays in force.
void pccs_refused(struct pccs *p, struct pccs_answer *a, const struct err *e);
// It verified and holds until `expires`. -1: collateral.downgrade.
int pccs_verified(struct pccs *p, struct pccs_answer *a, uint64_t expires, struct err *e);
void pccs_release(struct pccs_answer *a);
// Collateral from elsewhere (the requester's) that verified with `q`: is it older than seen before? 0,
// `older` only in compat; -1: collateral.downgrade. It is recorded, but not kept for others.
int pccs_offered(struct pccs *p, const struct dcap_result *q, struct span json, bool *older, struct err *e);

struct pccs_stats {
	uint64_t fetches, ended, failures; // groups of requests begun, done with, and without a result
};
struct pccs_stats pccs_stats(struct pccs *p);
