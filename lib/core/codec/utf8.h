// utf8 - the one reading of UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
// Freestanding.
#pragma once
#include "core/codec/buf.h"

size_t utf8_len(const uint8_t *p, size_t left); // bytes of the character at p, 0 when it is none; left > 0
bool utf8_is(struct span s);
