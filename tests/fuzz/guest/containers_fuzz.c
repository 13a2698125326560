// Any bytes as the container engine's list: what is taken can be sent.
#include <stdlib.h>
#include "containers.h"
#include "rpc/pbjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	Host__ListContainersResponse r = HOST__LIST_CONTAINERS_RESPONSE__INIT;
	auto_arena *a = arena_new(8 << 20);
	struct err e = { 0 };
	auto_sb b = { 0 };

	if (a && !containers_parse(span_of(d, n), a, &r, &e)) {
		pbjson_write(&b, &r.base);
		if (b.bad || r.n_containers > 1024)
			abort();
	}
	return 0;
}
