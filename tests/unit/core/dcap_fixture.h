// dcap_fixture - two quotes with their collateral, and cases made from them, for the tests of DCAP's rules.
#pragma once
#include "core/attest/collateral.h"
#include "core/attest/dcap.h"
#include "core/attest/pck.h"

enum {
	V4_BODY = 48,
	V5_BODY = 54,
	V4_QE = V4_BODY + 584 + 4 + 128 + 6,
	V5_QE = V5_BODY + 648 + 4 + 128 + 6,
	NOW = 1768867200
};

struct fixture {
	struct span v4, v5, root, col_text;
	struct collateral col;
	uint8_t arena[1 << 17];
	struct pck pck;
};

extern struct fixture base;
extern struct dcap work;
extern struct dcap_collateral held;
extern struct dcap_result result;

// One case: copies that a test may alter.
struct trial {
	uint8_t quote[8192];
	size_t n;
	struct collateral col;
	struct dcap_input in;
};

int load(void **state);                 // a group's set-up
struct trial *trial(struct span quote); // the same place each time
enum reason begin(struct trial *t);     // verify, signatures taken for good
void expect(struct trial *t, enum reason want);
struct span replaced(struct span text, const char *from, const char *to);
