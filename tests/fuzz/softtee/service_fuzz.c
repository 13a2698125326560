// A guest's request on port 4050, against registers whose boot part must not move.
#include <stdlib.h>
#include <string.h>

#include "service.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static uint8_t out[SERVICE_ANSWER_MAX];
	static const struct pki_cert root = { .n = 4, .der = { 0x30, 2, 5, 0 } };
	static const struct quote_signer signer = { .root = &root };
	struct registers r = { .broken = true }; // no signature for each input
	struct quote_body before = r.body;
	struct wr w = wr_to(out, sizeof out);

	service_answer(&r, &signer, span_of(p, n), &w);
	memcpy(before.rtmr[3], r.body.rtmr[3], MR);
	if (w.bad || w.n == 0 || memcmp(&before, &r.body, sizeof before))
		abort();
	return 0;
}
