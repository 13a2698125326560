// A request in each form a peer may choose. What is accepted must survive writing and reading again
// unchanged.
#include <stdlib.h>
#include <string.h>
#include "gateway.pb-c.h"
#include "guest.pb-c.h"
#include "kms.pb-c.h"
#include "rpc/pbjson.h"
#include "vmm.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

static void again(const ProtobufCMessageDescriptor *d, const void *m, struct arena *a)
{
	auto_sb one = { 0 }, two = { 0 };
	struct err e;

	pbjson_write(&one, m);
	if (one.bad)
		return;
	const void *back = pbjson_read(d, span_of(one.p, one.n), a, &e);
	if (!back) {
		if (arena_bad(a) || strstr(e.text, "JSON")) // the reader's bounds on members and depth
			return;
		abort();
	}
	pbjson_write(&two, back);
	if (two.bad || strcmp(one.p, two.p))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	static const ProtobufCMessageDescriptor *const of[] = {
		&guest__get_tls_key_args__descriptor, &vmm__status_response__descriptor,
		&kms__get_meta_response__descriptor, &gateway__global_connections_stats__descriptor
	};
	struct err e;

	if (n < 2)
		return 0;
	const ProtobufCMessageDescriptor *t = of[d[0] & 3];
	struct span s = { d + 2, n - 2 };
	auto_arena *a = arena_new(1 << 20);
	const void *m = d[1] % 3 == 0   ? pbjson_read(t, s, a, &e)
			: d[1] % 3 == 1 ? pbjson_query(t, s, a, &e)
					: pb_read(t, s, a, &e);
	if (m && !arena_bad(a))
		again(t, m, a);
	return 0;
}
