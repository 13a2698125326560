// The local key provider's answer: what is carried to the guest is bounded and lies in the arena; what is not
// taken has its code.
#include <stdlib.h>
#include <string.h>

#include "runner/keyprovider.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	struct span box = { 0 }, quote = { 0 };
	auto_arena *a = arena_new(1 << 20);
	struct err e = { 0 };

	if (keyprovider_read(span_of(d, n), a, &box, &quote, &e)) {
		if (strcmp(e.code, "host.key_provider") != 0)
			abort();
		return 0;
	}
	if (!box.n || box.n > KEYPROVIDER_BOX_MAX || !quote.n || quote.n > KEYPROVIDER_QUOTE_MAX)
		abort();
	return 0;
}
