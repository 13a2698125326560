// Sealed bytes from outside: never more is written than promised, and only what was sealed opens.
#include <stdlib.h>
#include <string.h>

#include "crypto/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t secret[SEAL_KEY] = { 1, 2, 3 };
	size_t n = size > SEAL_OVERHEAD ? size - SEAL_OVERHEAD : 0;
	uint8_t *plain = malloc(n ? n : 1), pub[SEAL_KEY];
	struct err e;

	(void)!seal_decrypt(secret, span_of(data, size), plain, &e);
	free(plain);
	if (size > 4096 || seal_public(secret, pub, &e))
		return 0;
	uint8_t *box = malloc(size + SEAL_OVERHEAD), *back = malloc(size + 1);
	if (seal_encrypt(pub, span_of(data, size), box, &e) ||
	    seal_decrypt(secret, span_of(box, size + SEAL_OVERHEAD), back, &e) || memcmp(back, data, size))
		__builtin_trap();
	free(box);
	free(back);
	return 0;
}
