// pccs_fetch - the four requests behind pccs.h, made into one QuoteCollateralV3 text.
#pragma once
#include "base/err.h"
#include "core/attest/dcap.h"

#define PCCS_INTEL "https://api.trustedservices.intel.com"

char *pccs_base_url(const char *url); // without trailing slash and API path; owned, NULL when out of memory
int pccs_fetch(const char *base, const struct dcap_platform *platform, char **json, size_t *n, struct err *e);
