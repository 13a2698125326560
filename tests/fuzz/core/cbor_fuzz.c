// The CBOR reader: skipping a value and reading it by its type end at the same byte, and a map of texts and
// numbers is written again as it was read.
#include <stdlib.h>
#include <string.h>

#include "core/codec/cbor.h"

static void typed(const uint8_t *data, size_t n)
{
	struct rd in = rd_from(data, n), skip = in;
	uint8_t *out = malloc(n + 1);
	struct wr w = wr_to(out, n);
	size_t k;

	if (!out)
		abort();
	switch (n ? data[0] >> 5 : 8) {
	case 0:
		cbor_wr_uint(&w, cbor_rd_uint(&in));
		break;
	case 2:
		cbor_wr_bytes(&w, cbor_rd_bytes(&in));
		break;
	case 5:
		k = cbor_rd_map(&in);
		cbor_wr_map(&w, (uint32_t)k);
		for (size_t i = 0; i < k && !in.bad; i++) {
			struct span key = cbor_rd_text(&in);
			char text[64] = "";

			if (key.n >= sizeof text || (key.n && memchr(key.p, 0, key.n)))
				in.bad = true;
			else if (key.n)
				memcpy(text, key.p, key.n);
			cbor_wr_text(&w, text);
			cbor_wr_uint(&w, cbor_rd_uint(&in));
		}
		break;
	default:
		in.bad = true;
	}
	cbor_skip(&skip);
	if (!in.bad) {
		size_t used = (size_t)(in.p - data);

		if (skip.bad || skip.p != in.p || w.bad || w.n != used || (used && memcmp(out, data, used)))
			abort();
	}
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct rd all = rd_from(data, n);

	while (rd_left(&all))
		cbor_skip(&all);
	typed(data, n);
	return 0;
}
