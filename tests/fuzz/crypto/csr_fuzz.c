// Certificate requests: what is read can be written back to the same bytes, and nothing verifies by accident.
#include <stdlib.h>

#include "crypto/csr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t no_sig[8];
	struct csr c;
	struct fault f;
	struct err e;

	if (size < 1)
		return 0;
	struct span in = span_of(data + 1, size - 1);
	if (csr_read(&c, in, data[0] % 4, &f))
		return 0;
	if (!csr_verify(in, &c, span_of(no_sig, sizeof no_sig), &e))
		__builtin_trap();
	uint8_t *again = malloc(size + 64);
	struct wr w = wr_to(again, size + 64);
	csr_write(&w, &c);
	struct csr back;
	// SCALE lengths have longer forms, so the bytes may differ; the meaning may not.
	if (w.bad || csr_read(&back, span_of(again, w.n), c.version, &f) || !span_eq(back.pubkey, c.pubkey) ||
	    !span_eq(back.subject, c.subject) || back.n_names != c.n_names ||
	    !span_eq(back.attestation, c.attestation) || back.not_after != c.not_after)
		__builtin_trap();
	free(again);
	return 0;
}
