// Any bytes as SCALE values; a compact number that reads is the one form in which it is written.
#include <stdlib.h>

#include "core/codec/scale.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	struct rd r = rd_from(d, n), bytes = r, flags = r;

	while (rd_left(&r)) {
		const uint8_t *from = r.p;
		uint8_t room[8];
		struct wr w = wr_to(room, sizeof room);

		uint32_t v = scale_rd_compact(&r);
		if (r.bad)
			break;
		scale_wr_compact(&w, v);
		if (w.bad || !span_eq(span_of(room, w.n), span_of(from, (size_t)(r.p - from))))
			abort();
	}
	while (rd_left(&bytes)) {
		struct span s = scale_rd_bytes(&bytes);
		if (!bytes.bad && (s.p < d || s.n > n))
			abort();
	}
	while (rd_left(&flags))
		scale_rd_bool(&flags);
	return 0;
}
