// certificate - dstack-verifier --verify-cert: an RA-TLS certificate by itself, without the connection it is
// for (RFC 5280).
//
// It must be signed by its own key, be valid now, allow digital signatures for a server or a client, name
// whom it is for, and carry evidence bound to that key.
#pragma once
#include "check.h"

// `file`: PEM or DER. True when all of it holds; `out` is the report's JSON either way.
bool certificate_check(struct checker *k, struct span file, struct sb *out);
