// A request head to the collateral service.
#include <stdlib.h>

#include "serve.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct pki pki;
	auto_sb out = { 0 };
	struct err e;

	if (!pki.key[0].pkey) {
		char dir[] = "/tmp/pccs-fuzz.XXXXXX";
		if (!mkdtemp(dir) || pki_make(dir, 1700000000, &e) || pki_load(&pki, dir, &e))
			abort();
	}
	serve_answer(&pki, p, n, 1700000000, &out);
	if (out.bad)
		abort();
	return 0;
}
