// csr - what makes a certificate request credible: it is signed by the very key it wants certified.
//
// The request's bytes are read by core/attest/certext; nothing in it is true before csr_verify and the check
// of its attestation (spec 20 section 2.6, spec 50 section 8.3).
#pragma once
#include "base/err.h"
#include "core/attest/certext.h"

// The signature over `in` holds by the request's own P-256 key. Codes: csr.key, csr.signature.
int csr_verify(struct span in, const struct csr *c, struct span sig, struct err *e)
	__attribute__((warn_unused_result));
