// quote_show - every field of a quote, decoded for people or as JSON, the same from every program. Shows,
// proves nothing.
#pragma once
#include "core/attest/quote.h"

enum { QUOTE_SHOW_MAX = 4 * QUOTE_MAX }; // room that is always enough

void quote_show(struct wr *out, const struct quote *q, bool json); // ends with a newline
// The same of a quote or of an SEV-SNP report, whichever the bytes are. 0, or why they are neither; `arg` for
// wr_reason.
MUST_USE enum reason quote_show_any(struct wr *out, struct span bytes, bool json, uint32_t arg[static 2]);
