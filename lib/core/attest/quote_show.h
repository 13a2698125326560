// quote_show - every field of a quote, decoded for people or as JSON, the same from every program. Shows,
// proves nothing.
#pragma once
#include "core/attest/quote.h"

enum { QUOTE_SHOW_MAX = 4 * QUOTE_MAX }; // room that is always enough

void quote_show(struct wr *out, const struct quote *q, bool json); // ends with a newline
