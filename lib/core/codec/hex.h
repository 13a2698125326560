// hex - bytes from hexadecimal digits, exactly as many as asked for. Writing them is wr_hex in buf.h.
//
// What is refused may still have been written over: only decode in place what is known to be digits.
#pragma once
#include "core/codec/buf.h"

int hex_digit(uint8_t c); // -1 when it is none
// Either case. -1, and nothing written, unless s is n bytes in hex; `out` may be where s is.
MUST_USE int hex_decode(uint8_t *out, size_t n, struct span s);
