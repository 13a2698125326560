// scale - the SCALE encoding as far as envelopes and signing requests need it: compact lengths, strings,
// options.
//
// Integers are little-endian and read with buf.h. Compact lengths must be canonical (the shortest form).
#pragma once
#include "core/codec/buf.h"

uint32_t scale_rd_compact(struct rd *r);             // up to 2^30 - 1, else marks bad
uint32_t scale_rd_count(struct rd *r, uint32_t max); // a compact count; above max marks bad
struct span scale_rd_bytes(struct rd *r);            // compact length and bytes; borrowed
bool scale_rd_bool(struct rd *r);                    // also the tag of an option: 0 or 1, else bad
void scale_wr_compact(struct wr *w, size_t n);       // above 2^30 - 1 marks bad
void scale_wr_bytes(struct wr *w, struct span s);
