// bytelist - bytes as a JSON array of numbers, [1,2,255]: the form that the local key provider's protocol
// has.
//
// One frame is a 4-byte big-endian length and a JSON document with such members (docs/formats/sealing.md).
#pragma once
#include "base/sb.h"
#include "core/codec/json.h"

// -1: no array, a number that is no byte, or more than `cap`.
MUST_USE int bytelist_read(struct json v, uint8_t *out, size_t cap, size_t *n);
void bytelist_write(struct sb *b, const void *p, size_t n);
