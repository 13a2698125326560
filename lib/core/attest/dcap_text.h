// dcap_text - the words of `dstack quote verify`, for the command line and for the page: the verdict on a
// quote and its collateral alone, and the JSON text of it.
#pragma once
#include "core/attest/dcap.h"

// The closed verdict. `r` NULL: refused, for `code` and `error`.
bool dcap_verdict(struct verdict *v, const struct dcap_result *r, const char *code, const char *error);
// Inputs that could not be read at all, as opposed to evidence that does not hold: exit status 2, not 5.
bool dcap_unreadable(enum reason r);
// {"ok":false,"code":..,"error":..}: what every command prints with --json when it could not do its work.
void wr_refusal(struct wr *w, const char *code, const char *error);
// A quote in hex text, blanks at its end and 0x before it allowed, is decoded in place; else the bytes as
// they are.
struct span quote_unhex(uint8_t *p, size_t n);
