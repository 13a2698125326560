// What a KMS keeps of another's log, as a file and as a peer's answer: any bytes; what reads writes back.
#include <stdlib.h>
#include <string.h>

#include "audit/witness.h"
#include "base/arena.h"
#include "kms.pb-c.h"
#include "rpc/pbjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_file(struct span s)
{
	struct audit_witness w, again;
	char text[4 * AUDIT_WITNESS_MAX];
	struct wr out = wr_to(text, sizeof text);
	struct err e;

	if (audit_witness_read(&w, s, &e))
		return;
	audit_witness_write(&out, &w);
	if (out.bad || audit_witness_read(&again, span_of(text, out.n), &e) ||
	    memcmp(&w, &again, sizeof w) != 0)
		abort();
	// Whatever the file says, a head that its signer did not sign is not taken.
	const struct audit_witness was = w;
	if (audit_witness_take(&w, &w.refused, w.refused.signer, NULL, 1, &e) &&
	    memcmp(&w, &was, sizeof w) != 0)
		abort();
}

static void as_answer(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(0);
	struct err e;

	if (a) {
		(void)!pbjson_read(&kms__peer_checkpoints__descriptor, span_of(data, size), a, &e);
		(void)!pbjson_read(&kms__audit_proof__descriptor, span_of(data, size), a, &e);
	}
	arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	as_file(span_of(data, size));
	as_answer(data, size);
	return 0;
}
