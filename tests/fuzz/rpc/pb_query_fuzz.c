// Any query string as a request: bounded, and what it gives can be written as JSON.
#include "base/sb.h"
#include "guest.pb-c.h"
#include "rpc/pbjson.h"
#include "vmm.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	auto_arena *a = arena_new(1 << 20);
	auto_sb out = { 0 };
	struct err e;

	if (n == 0)
		return 0;
	const void *m = pbjson_query(d[0] & 1 ? &vmm__vm_configuration__descriptor
					      : &guest__get_tls_key_args__descriptor,
				     span_of(d + 1, n - 1), a, &e);
	if (m)
		pbjson_write(&out, m);
	return 0;
}
