// cases - every quote with collateral, root and time that tests/evidence has for DCAP: the altered cases, and
// real quotes each with every collateral of the pool. For tests that need many.
#pragma once
#include "core/attest/dcap.h"
#include "crypto/engine.h"

struct dcap_case {
	char name[160];
	struct span quote, collateral, root;
	uint64_t now;
};

size_t cases_load(const struct dcap_case **out); // 320 or so; free them with cases_free
void cases_free(void);
// What `dstack quote verify --json` prints, with `g` trusting the case's root alone. NUL-terminated.
void case_answer(struct engine *g, const struct dcap_case *c, uint64_t now, char *out, size_t cap);
