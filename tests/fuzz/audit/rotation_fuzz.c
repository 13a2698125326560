// Statements about root sets: what is accepted is written again and reads back the same; none of them holds,
// for nobody who writes them has the keys.
#include <stdlib.h>
#include <string.h>

#include "crypto/rotation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t before[33] = { 2, 1 };
	struct rotation one, two;
	uint8_t signer[33];
	auto_sb text = { 0 };
	struct err e;

	if (rotation_read(&one, span_of(data, size), &e))
		return 0;
	rotation_write(&text, &one, span_of(data, size < 64 ? size : 64));
	if (text.bad || rotation_read(&two, span_of(text.p, text.n), &e) ||
	    memcmp(&one, &two, sizeof one) != 0)
		abort();
	(void)!rotation_signer(&one, signer, &e);
	if (!rotation_check(&one, one.index, before, &e))
		abort();
	return 0;
}
