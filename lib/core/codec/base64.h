// base64 - RFC 4648 section 4, strict: padding there, no blanks, no other characters, spare bits zero.
// Freestanding.
#pragma once
#include "core/codec/buf.h"

MUST_USE int base64_decode(struct wr *out, struct span text); // appends; -1 when malformed or out of room
void wr_base64(struct wr *w, struct span s);
