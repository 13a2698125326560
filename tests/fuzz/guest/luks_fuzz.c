// A LUKS2 header area: binary part and metadata are the input, with checksums made to hold, so that the rules
// behind them are reached.
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "header.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { SIZE = 16384, JSON = 4096, CSUM = 448 };

static void seal(uint8_t *copy)
{
	uint8_t digest[32];

	memset(copy + CSUM, 0, 64);
	SHA256(copy, SIZE, digest);
	memcpy(copy + CSUM, digest, sizeof digest);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static uint8_t *area;
	struct err e;

	if (!area && !(area = calloc(1, HEADER_AREA)))
		abort();
	memset(area, 0, 2 * SIZE);
	for (int i = 0; i < 2; i++) {
		uint8_t *copy = area + i * SIZE;

		memcpy(copy, i ? "SKUL\xba\xbe\0\2\0\0\0\0\0\0\x40\0" : "LUKS\xba\xbe\0\2\0\0\0\0\0\0\x40\0",
		       16);
		memcpy(copy + 72, "sha256", 6);
		copy[262] = (uint8_t)(i ? 0x40 : 0);
		memcpy(copy + JSON, p, n < SIZE - JSON - 1 ? n : SIZE - JSON - 1);
		seal(copy);
	}
	(void)!header_check(span_of(area, HEADER_AREA), &e);
	if (n > 600) { // and the raw bytes as they are
		memcpy(area, p, n < 2 * SIZE ? n : 2 * SIZE);
		(void)!header_check(span_of(area, HEADER_AREA), &e);
	}
	return 0;
}
