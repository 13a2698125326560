// A TPM command and its answer: what the relay makes of them.
#include "registers.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct registers r = { 0 };
	size_t cut = n ? p[0] % n : 0;

	registers_watch(&r, span_of(p + (n > 0), cut), span_of(p + cut, n - cut));
	if (n >= TPM_HEAD)
		(void)tpm_size(p);
	return 0;
}
