// Times: what is accepted is written again as it was, and the forms of certificates say the same second.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/codec/utc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint64_t t, u;
	char text[32];

	if (!utc_rfc3339(span_of(data, n), &t)) {
		struct wr w = wr_to(text, sizeof text);

		wr_utc(&w, t);
		if (w.n != n || memcmp(text, data, n))
			abort();
	}
	if (n && !utc_asn1(data[0], span_of(data + 1, n - 1), &t)) {
		struct wr w = wr_to(text, sizeof text);
		char again[16];

		wr_utc(&w, t);
		snprintf(again, sizeof again, "%.4s%.2s%.2s%.2s%.2s%.2sZ", text, text + 5, text + 8,
			 text + 11, text + 14, text + 17);
		if (utc_asn1(0x18, span_of(again, 15), &u) || u != t ||
		    memcmp(again + 15 - (n - 1 == 13 ? 13 : 15), data + 1, n - 1))
			abort();
	}
	return 0;
}
