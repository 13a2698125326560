// pccs - collateral for a platform, from Intel's PCS or a PCCS, kept in memory and on disk (spec 50 section
// 4).
//
// Everything fetched is bounded in size and time, redirects are not followed, signed documents are kept byte
// for byte. Nothing here proves anything: the caller verifies, then says so with pccs_verified. What is
// unverified is not kept, what has expired is not given out. Safe to call from several threads.
#pragma once
#include "base/err.h"
#include "core/attest/dcap.h"

struct pccs;

struct pccs *pccs_new(const char *url, const char *cache_dir,
		      struct err *e); // NULL url: Intel's; NULL dir: memory
void pccs_free(struct pccs *p);

struct pccs_answer {
	char *json; // QuoteCollateralV3; free()
	size_t n;
	bool cached; // not fetched just now
};
// `fresh`: do not answer from the cache (at most every 30 s a platform, else as without). ERR_AGAIN,
// collateral.fetch when nothing could be had.
int pccs_get(struct pccs *p, struct pccs_answer *out, const struct dcap_platform *platform, bool fresh,
	     struct err *e);
// This answer verified; it may be given out again until `expires`.
void pccs_verified(struct pccs *p, const struct dcap_platform *platform, const struct pccs_answer *a,
		   uint64_t expires);
