// pccs_fetch - the four requests behind pccs.h, made into one QuoteCollateralV3 text.
//
// Trusts nothing: the text is well formed and bounded, and that is all. The root CRL comes from the PCCS
// path, or from the distribution point that the root certificate of the QE identity's chain names, if that
// is on the source's own host or Intel's.
#pragma once
#include "core/attest/dcap.h"
#include "ratls/pccs_http.h"

#define PCCS_INTEL "https://api.trustedservices.intel.com"

char *pccs_base_url(const char *url); // without trailing slash and API path; owned, NULL when out of memory
// Codes: collateral.fetch, collateral.answer, collateral.unknown_platform.
int pccs_fetch(struct pccs_http *h, const char *base, const struct dcap_platform *platform, char **json,
	       size_t *n, struct err *e);

// The first URL of the CRL distribution points extension of a certificate; false when there is none.
bool pccs_crl_point(struct span der, char *out, size_t cap);
