// extension - one extension of a certificate or CRL whose shape was checked, or of one that nobody has
// verified yet: a name where something is, an age. Nothing read by it decides trust. RFC 5280 sections 4.1
// and 5.1.
#pragma once
#include <stdbool.h>
#include "core/codec/buf.h"

enum { EXTENSIONS_CERT = 0xa3, EXTENSIONS_CRL = 0xa0 }; // tags of the last field of a TBS part

// The value of extension `oid` of the TBS part `tbs` (its SEQUENCE and all). False: there is none.
bool extension_find(struct span tbs, uint8_t tag, struct span oid, struct rd *value);
