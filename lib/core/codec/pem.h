// pem - certificates in RFC 7468 armour, strictly: nothing but CERTIFICATE blocks, white space and NULs
// between them.
#pragma once
#include "core/codec/buf.h"

// The next certificate, decoded into `out`: 1; 0 at the end of the text; -1 when it is malformed or does not
// fit.
MUST_USE int pem_next(struct rd *in, uint8_t *out, size_t cap, size_t *n);
