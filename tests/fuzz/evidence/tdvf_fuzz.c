// TDVF metadata of any firmware file: what is accepted is measured, and the TD HOB's witness reads back the
// same.
#include "core/measure/measure.h"

static void witness(const struct tdvf *t)
{
	uint8_t out[512], a[MEASURE_LEN], b[MEASURE_LEN];
	struct wr w = wr_to(out, sizeof out);
	struct tdvf back;
	struct fault f;
	bool hob = false;

	for (size_t i = 0; i < t->n; i++)
		hob |= t->s[i].type == TDVF_TD_HOB;
	if (td_hob_witness_write(&w, t) || w.bad || !hob || td_hob_witness_read(&back, span_of(out, w.n), &f))
		return;
	int one = measure_td_hob(a, t, 2ull << 30, &f), two = measure_td_hob(b, &back, 2ull << 30, &f);
	if (!one && !two && !span_eq(span_of(a, sizeof a), span_of(b, sizeof b)))
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t d[MEASURE_LEN];
	uint64_t pages = 0;
	struct tdvf t;
	struct fault f;

	if (!td_hob_witness_read(&t, span_of(data, n), &f))
		(void)!measure_td_hob(d, &t, 4ull << 30, &f);
	if (tdvf_read(&t, span_of(data, n), &f))
		return 0;
	for (size_t i = 0; i < t.n; i++)
		pages += t.s[i].size / 4096;
	if (pages < 64) { // hashing takes a second for the largest
		(void)!measure_mrtd(d, span_of(data, n), true, &f);
		(void)!measure_mrtd(d, span_of(data, n), false, &f);
	}
	witness(&t);
	return 0;
}
