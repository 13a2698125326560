// Attestation envelopes: what reads writes again; a V0 one to the same bytes.
#include "core/attest/envelope.h"

#include <stdlib.h>
#include <string.h>

static struct event log_store[128], runtime_store[128];
static struct envelope_tpm tpm;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t *text = malloc(n + 1), *out = malloc(8 * n + 4096);
	struct wr s = wr_to(text, n), w = wr_to(out, 8 * n + 4096);
	struct envelope env = { .log = { log_store, 0, 128 },
				.runtime = { runtime_store, 0, 128 },
				.tpm = &tpm };
	struct fault f;

	if (!envelope_read(&env, &s, span_of(data, n), &f)) {
		if (envelope_write(&w, &env, &f) || w.bad)
			__builtin_trap();
		if (env.version == 0 && (w.n != n || memcmp(out, data, n) != 0))
			__builtin_trap();
		(void)envelope_vm_config(&env, &s);
		envelope_strip(&env);
	} else if (!f.code || !f.text) {
		__builtin_trap();
	}
	free(text);
	free(out);
	return 0;
}
