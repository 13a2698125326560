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
		size_t short_form = memcmp(text, "2050", 4) < 0 ? 2 : 0; // RFC 5280 section 4.1.2.5

		snprintf(again, sizeof again, "%.4s%.2s%.2s%.2s%.2s%.2sZ", text, text + 5, text + 8,
			 text + 11, text + 14, text + 17);
		struct span whole = span_of(again + short_form, 15 - short_form);

		if (whole.n != n - 1 || memcmp(whole.p, data + 1, n - 1))
			abort(); // one encoding of each second, and this was it
		if (utc_asn1(short_form ? 0x17 : 0x18, whole, &u) || u != t)
			abort();
	}
	return 0;
}
