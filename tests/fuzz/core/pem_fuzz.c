// PEM text: never more bytes than the digits give, and reading ends.
#include "core/codec/pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct rd in = rd_from(data, n);
	uint8_t der[4096];
	size_t got;

	while (pem_next(&in, der, sizeof der, &got) == 1)
		if (got > sizeof der || got > n)
			__builtin_trap();
	return 0;
}
