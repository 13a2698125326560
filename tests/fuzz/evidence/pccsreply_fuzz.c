// What a collateral service answers: the encoded header, a certificate's CRL address, the documents' ages.
#include <stdlib.h>

#include "ratls/pccs_fetch.h"
#include "ratls/pccs_seen.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static char out[PCCS_CHAIN_MAX];
	struct dcap_platform platform = { .is_tdx = true };
	struct pccs_facts facts;
	struct err e;
	size_t len;

	if (!n)
		return 0;
	if (*p == 0) {
		if (!pccs_percent_decode(out, sizeof out, &len, (const char *)p + 1, n - 1) && len > n - 1)
			abort();
	} else if (*p == 1) {
		(void)pccs_crl_point(span_of(p + 1, n - 1), out, 100);
	} else {
		(void)!pccs_facts_read(&facts, &platform, span_of(p + 1, n - 1), &e);
	}
	return 0;
}
