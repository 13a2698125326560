// csr - dstack's certificate request: SCALE bytes signed by the key to be certified. Not PKCS#10.
//
// Parsing borrows from the input and bounds everything; nothing in a request is true before csr_verify and
// the check of its attestation. Versions 1 and 2 of spec 20 section 2.6, spec 50 section 8.3.
#pragma once
#include "base/err.h"
#include "core/codec/buf.h"

enum { CSR_SANS_MAX = 128, CSR_TEXT_MAX = 253, CSR_MAX = 10 * 1024 * 1024 + 64 * 1024 };

struct csr {
	struct span pubkey; // SPKI DER
	bool has_org;
	struct span org, subject;
	struct span sans[CSR_SANS_MAX];
	size_t n_sans;
	bool server_auth, client_auth, ext_quote, ext_app_info;
	bool has_not_before, has_not_after;
	uint64_t not_before, not_after;
	struct span attestation;      // version 2: envelope bytes
	struct span quote, event_log; // version 1
};

// Codes: csr.format, csr.confirm.
int csr_parse(struct span in, unsigned version, struct csr *out, struct err *e)
	__attribute__((warn_unused_result));
int csr_write(const struct csr *in, struct wr *w, struct err *e)
	__attribute__((warn_unused_result)); // version 2
// The signature over `in` holds by the request's own P-256 key. Codes: csr.key, csr.signature.
int csr_verify(struct span in, const struct csr *c, struct span sig, struct err *e)
	__attribute__((warn_unused_result));
