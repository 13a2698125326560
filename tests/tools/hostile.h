// hostile - evidence made to be expensive: what somebody without a single good signature can make a verifier
// do. For the named test RB-02 and for `make bench BENCH=verify`.
#pragma once
#include "core/codec/buf.h"
#include "crypto/engine.h"

enum hostile_kind {
	HOSTILE_EVIDENCE, // to the whole verifier: read, begin, run the checks
	HOSTILE_QUOTE,
	HOSTILE_JSON,
	HOSTILE_ENVELOPE,
	HOSTILE_LOG,
	HOSTILE_CCEL,
	HOSTILE_TPM
};

struct hostile {
	const char *name;
	enum hostile_kind kind;
	struct span bytes;
	struct span collateral; // beside a quote
};

// Built on the first call from the real quote in tests/evidence. Up to 1 MiB each, 40 MiB in all.
const struct hostile *hostile_all(size_t *n);
void hostile_free(void);
// What a program does with such input. True when it was refused; `code` says why.
bool hostile_run(const struct hostile *h, struct engine *g, char *code, size_t cap);
