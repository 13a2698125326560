// measurement.tdx.cbor: what is accepted is measured, and what is written from it reads back the same.
#include "core/measure/measure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t out[2048], d[MEASURE_LEN];
	struct wr w = wr_to(out, sizeof out);
	struct measurement_tdx m, back;
	struct fault f;

	if (measurement_tdx_read(&m, span_of(data, n), &f))
		return 0;
	(void)!measure_td_hob(d, &m.hob, 2ull << 30, &f);
	if (!measurement_tdx_write(&w, &m) && measurement_tdx_read(&back, span_of(out, w.n), &f))
		__builtin_trap();
	return 0;
}
