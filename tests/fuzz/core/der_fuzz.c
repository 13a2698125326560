// DER elements: whatever is read lies inside the input, and reading ends.
#include "core/codec/der.h"

static void walk(struct span s, int depth)
{
	struct rd r = rd_span(s);

	while (!r.bad && rd_left(&r) && depth < 32) {
		struct der d = der_any(&r);
		if (r.bad)
			return;
		if (d.body.p < s.p || d.body.p + d.body.n > s.p + s.n || d.whole.n < d.body.n + 2)
			__builtin_trap();
		walk(d.body, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span s = span_of(data, n);
	struct rd r[4] = { rd_span(s), rd_span(s), rd_span(s), rd_span(s) };
	uint8_t sig[64];

	walk(s, 0);
	(void)!der_ecdsa_p256(s, sig);
	(void)der_time(&r[0]);
	if (der_unsigned(&r[1], 20).n > 20 || der_u32(&r[2], 1000) > 1000)
		__builtin_trap();
	(void)der_true(&r[3]);
	return 0;
}
