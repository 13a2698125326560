// fixture - an attestation from a file, handed out as if a TEE had just made it.
//
// A TDX envelope of either form (core/attest/envelope.h), read once. Every quote is the file's with
// report_data overwritten, so its signature is void unless somebody signs anew (fixture_sign_with); without
// patching it is the file's untouched, and report_data is not the caller's. Nothing is verified, nothing is
// proven.
#pragma once
#include "agent.h"

struct fixture {
	struct evidence_source source; // first: what `get` is called with
	struct arena *a;
	struct span quote;
	size_t report_data_at; // in the quote
	bool patch;
	int (*sign)(const void *signer, uint8_t *quote, struct err *e); // NULL: nobody
	const void *signer;
	struct eventlog log; // the firmware's events, then the runtime ones, all with digests
	size_t runtime_at;
};

// Codes: simulator.attestation, and those of base/file.
int fixture_read(struct fixture *x, const char *path, bool patch, struct err *e);
// From now on `quote` is handed out, with report data at `at`, signed by `sign` each time that is patched.
void fixture_sign_with(struct fixture *x, struct span quote, size_t at,
		       int (*sign)(const void *signer, uint8_t *quote, struct err *e), const void *signer);
void fixture_free(struct fixture *x);
