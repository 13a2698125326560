// vm_config: what is accepted lies inside the scratch space and the ranges the measuring functions rely on.
#include <stdlib.h>

#include "core/measure/measure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t *text = malloc(n + 1);
	struct wr scratch = wr_to(text, n);
	struct vm_config c;
	struct fault f;
	bool two;

	if (!text)
		abort();
	if (!vm_config_read(&c, &scratch, span_of(data, n), &f)) {
		if (scratch.n > n || c.image.n > n || c.tdx_measurement.n > n || c.two_pass < -1 ||
		    c.two_pass > 1)
			abort();
		(void)!measure_two_pass(&two, &c, &f);
		(void)measure_memory_ok(&c);
	}
	free(text);
	return 0;
}
