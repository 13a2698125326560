// cbor - RFC 8949 as far as measurement files need it: definite maps, text, byte strings, unsigned integers.
//
// Strict: shortest length forms only, no tags, no indefinite lengths, no floats. Sticky flag of buf.h.
#pragma once
#include "core/codec/buf.h"

uint64_t cbor_rd_uint(struct rd *r);
struct span cbor_rd_bytes(struct rd *r);
struct span cbor_rd_text(struct rd *r);
uint32_t cbor_rd_map(struct rd *r); // number of pairs
void cbor_skip(struct rd *r);       // one value; arrays and maps too, not tags or floats

void cbor_wr_uint(struct wr *w, uint64_t v);
void cbor_wr_bytes(struct wr *w, struct span s);
void cbor_wr_text(struct wr *w, const char *s);
void cbor_wr_map(struct wr *w, uint32_t pairs);
