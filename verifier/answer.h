// answer - the JSON of an answer: upstream's members exactly, and `verdict`, what `dstack verify --json`
// prints.
#pragma once
#include "base/sb.h"
#include "ratls/trust.h"

// What fails decides how the reason begins.
enum stage { STAGE_NONE, STAGE_QUOTE, STAGE_EVENTS, STAGE_IMAGE, STAGE_CERTIFICATE, STAGE_INTERNAL };

struct answer {
	const struct trust_result *result; // NULL: nothing was judged
	const struct err *err;             // why not, when it did not verify
	enum stage failed;                 // STAGE_NONE: valid
	bool debug;
};

// The stage of the first claim that does not hold.
enum stage answer_stage(const struct trust_result *r, const struct err *e);
void answer_json(struct sb *out, const struct answer *a);
// The members alone, without the outer braces, for answers that say more.
void answer_members(struct sb *out, const struct answer *a);
