// msgpack - MessagePack as far as envelopes and app info need it: maps, arrays, strings, binary, unsigned
// integers.
//
// A pull reader over bounded bytes with the sticky flag of buf.h; no recursion, nothing allocated. Counts are
// checked against what is left, so a forged count cannot cost more than the input's own length.
#pragma once
#include "core/codec/buf.h"

enum mp_kind { MP_NONE, MP_NIL, MP_BOOL, MP_UINT, MP_STR, MP_BIN, MP_ARRAY, MP_MAP, MP_OTHER };

enum mp_kind mp_peek(const struct rd *r); // of the next value; MP_NONE at the end
uint32_t mp_rd_map(struct rd *r);         // number of pairs
uint32_t mp_rd_array(struct rd *r);       // number of elements
struct span mp_rd_str(struct rd *r);      // borrowed
uint64_t mp_rd_uint(struct rd *r, uint64_t max);
void mp_rd_nil(struct rd *r);
// Bytes written either as BIN (borrowed) or as an array of integers 0..255 (collected in `scratch`).
struct span mp_rd_bytes(struct rd *r, struct wr *scratch);
enum { MP_SKIP_MAX = 1 << 17 };
void mp_skip(struct rd *r); // one value and all in it; more than MP_SKIP_MAX of them are refused

void mp_wr_map(struct wr *w, size_t n);
void mp_wr_array(struct wr *w, size_t n);
void mp_wr_str(struct wr *w, struct span s);
void mp_wr_key(struct wr *w, const char *s);
void mp_wr_bin(struct wr *w, struct span s);
void mp_wr_uint(struct wr *w, uint64_t v);
void mp_wr_nil(struct wr *w);
void mp_wr_ints(struct wr *w, struct span s); // bytes as an array of integers
