// qv_fixture - evidence made wrong on purpose (softtee/forge) and the verdict it gets, for the tests named
// QV-..
//
// Signatures are made and checked for real. The verifier trusts the root of the unaltered description, unless
// a case brings its own.
#pragma once
#include "crypto/engine.h"
#include "forge/forge.h"

enum { QV_NOW = 1768867200 };

struct qv {
	struct forge_keys keys;
	struct engine *engine;
	struct sb root; // DER, what is trusted
	struct dcap_input in;
	struct dcap_result result; // of the last verification
	struct err err;
	struct forge_out out;
};
extern struct qv qv;

int qv_setup(void **state);
int qv_teardown(void **state);
struct forge *qv_fresh(enum forge_kind kind); // what a genuine platform says; the same place each time

// Build, verify, compare: `code` is "ok" or the exact reason.
void qv_expect(struct forge *f, const char *code);
void qv_expect_own_root(struct forge *f, const char *code); // trusting the description's own root
void qv_verify(const char *code);                           // verify what qv.in says
void qv_build(struct forge *f);                             // into qv.out and qv.in
struct span qv_hex(const char *hex);                        // bytes; a few places take turns
