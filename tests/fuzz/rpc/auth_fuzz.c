// A policy server's request: what is accepted is what a KMS writes, member by member, in the same bytes.
#include <stdlib.h>
#include <string.h>

#include "../../../auth/boot.h"
#include "base/arena.h"
#include "rpc/pbjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

static size_t write_text(uint8_t *text, size_t cap, const struct boot_info *b)
{
	struct wr w = wr_to(text, cap);

	boot_info_write_json(&w, b);
	if (w.bad)
		abort();
	return w.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	static struct boot_info b, back;
	static uint8_t one[16384], two[16384];
	auto_arena *a = arena_new(1 << 20);
	struct err e = { 0 };
	const Auth__BootInfo *in = pbjson_read(&auth__boot_info__descriptor, span_of(d, n), a, &e);

	if (!in || boot_read(&b, in, &e)) {
		if (!*e.code)
			abort();
		return 0;
	}
	size_t m = write_text(one, sizeof one, &b);
	in = pbjson_read(&auth__boot_info__descriptor, span_of(one, m), a, &e);
	if (!in || boot_read(&back, in, &e) || write_text(two, sizeof two, &back) != m ||
	    memcmp(one, two, m) != 0)
		abort();
	return 0;
}
