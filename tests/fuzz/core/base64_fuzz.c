// Base64 and hex: what is accepted is written again just as it was.
#include <stdlib.h>
#include <string.h>

#include "core/codec/base64.h"
#include "core/codec/hex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t *plain = malloc(n + 1), *again = malloc(n + 4);
	struct wr w = wr_to(plain, n), back = wr_to(again, n);

	if (!plain || !again)
		abort();
	if (!base64_decode(&w, span_of(data, n))) {
		wr_base64(&back, span_of(plain, w.n));
		if (back.bad || back.n != n || (n && memcmp(again, data, n)))
			abort();
	}
	if (!hex_decode(plain, n / 2, span_of(data, n))) {
		back = wr_to(again, n);
		wr_hex(&back, plain, n / 2);
		if (back.bad || back.n != n)
			abort();
		for (size_t i = 0; i < n; i++)
			if (hex_digit(again[i]) != hex_digit(data[i]))
				abort();
	}
	free(again);
	free(plain);
	return 0;
}
