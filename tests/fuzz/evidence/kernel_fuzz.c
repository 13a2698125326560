// The kernel's Authenticode hash: PE headers and sections of any file. The first four bytes are sizes.
#include "core/measure/measure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t d[MEASURE_LEN], again[MEASURE_LEN];
	struct rd in = rd_from(data, n);
	uint64_t initrd = (uint64_t)rd_le16(&in) << 16, memory = (uint64_t)rd_le16(&in) << 24;
	struct span s = rd_bytes(&in, rd_left(&in));
	struct fault f;

	if (measure_kernel(d, s, initrd, memory, &f))
		return 0;
	if (measure_kernel(again, s, initrd, memory, &f) ||
	    !span_eq(span_of(d, sizeof d), span_of(again, sizeof again)))
		__builtin_trap();
	return 0;
}
