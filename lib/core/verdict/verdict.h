// verdict - what a verification found, as a list of claims: one type for every program and for the page.
//
// A claim says what was compared, what was found, which anchor stands behind it and, when it does not hold,
// the stable code and what to do. A verdict is false until verdict_close has seen every required claim hold;
// an absent claim is a failure, never a pass. Plain values without pointers: copy it, keep it. Freestanding.
#pragma once
#include "core/codec/buf.h"

enum { VERDICT_CLAIMS = 48 };

enum anchor { ANCHOR_NONE, ANCHOR_INTEL, ANCHOR_DEVELOPMENT, ANCHOR_AMD };

struct claim {
	char name[40];   // "quote", "tcb", "rtmr3", "compose_hash", ...
	char value[200]; // what was found, for people and scripts (hex, names)
	bool ok;
	enum anchor anchor; // the root this claim rests on
	bool fresh;         // bound to a challenge of this very verification
	char code[48];      // "" when ok
	char detail[240];   // one sentence; when not ok: expected, got, what to do
};

struct verdict {
	bool ok;
	enum anchor anchor; // the weakest of the claims: development if any is
	char code[48];      // of the first claim that does not hold
	char error[320];    // its sentence, "" when ok
	bool full;          // more claims than fit were added: such a verdict is never ok
	size_t n;
	struct claim claim[VERDICT_CLAIMS];
};

void verdict_init(struct verdict *v);
// Texts that do not fit are cut. Returns the claim to add to, never NULL (when full, the last one, and `full`
// is set).
struct claim *verdict_pass(struct verdict *v, const char *name, struct span value, enum anchor a);
struct claim *verdict_fail(struct verdict *v, const char *name, struct span value, enum anchor a,
			   const char *code, const char *detail);
struct claim *verdict_pass_hex(struct verdict *v, const char *name, const void *p, size_t n, enum anchor a);
// A comparison of bytes: fails with `code` and "expected X, got Y" unless equal. `want` absent (NULL) fails,
// too.
struct claim *verdict_equal(struct verdict *v, const char *name, struct span got, const struct span *want,
			    enum anchor a, const char *code);
const struct claim *verdict_find(const struct verdict *v, const char *name);
// `required` ends with NULL. ok = all of them are there and hold, no claim fails, and there is at least one
// claim.
bool verdict_close(struct verdict *v, const char *const *required);

const char *anchor_name(enum anchor a); // "none", "intel", "amd", "development"
// ,"code":..,"error":..,"claims":[{"name":..,"value":..,"ok":..},..],"anchor":..: the same bytes from every
// program.
void verdict_members_json(struct wr *w, const struct verdict *v);
