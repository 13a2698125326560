// Any bytes as the app's key file.
#include "files.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	struct key_file k;
	struct err e;

	if (!key_file_parse("fuzz", (const char *)d, n, &k, &e))
		key_file_free(&k);
	return 0;
}
