// dcap_job - what the steps of one verification share. Private to attest/dcap*.c; numbers are steps of
// docs/formats/dcap.md.
#pragma once
#include "core/attest/dcap.h"
#include "core/attest/pck.h"
#include "core/codec/x509.h"

struct dcap_job {
	struct dcap *d;
	const struct dcap_input *in;
	const struct dcap_collateral *col;
	struct quote quote;
	struct sgx_report qe;
	const struct x509 *leaf; // PCK
	struct pck pck;
};

// What the failures of one signed document are called.
struct dcap_names {
	enum reason format, future, expired, chain_short, chain_bad, signature;
};

// All return -1, or 0 when the step passed.
int dcap_fail(struct dcap_job *j, enum reason why, uint32_t a, uint32_t b);
int dcap_want(struct dcap_job *j, enum reason why, struct span msg, const uint8_t key[64],
	      const uint8_t sig[64]);
MUST_USE int dcap_roots(struct dcap_job *j); // 1, 2
MUST_USE int dcap_signed(struct dcap_job *j, const struct dcap_document *doc,
			 const struct dcap_names *name); // 4, 5
MUST_USE int dcap_pck(struct dcap_job *j);               // 6
MUST_USE int dcap_qe(struct dcap_job *j);                // 7 to 9
MUST_USE int dcap_tcb(struct dcap_job *j);               // 12 to 16 and 10
MUST_USE int dcap_attributes(struct dcap_job *j);        // 17, 18
// Decodes a chain into the arena (what is written of it, `n`, goes up).
void dcap_certs_read(struct dcap_certs *out, struct span pem, const struct x509 *root, struct wr *arena);
void dcap_tcb_info_read(struct dcap_collateral *c, struct json doc);
void dcap_qe_identity_read(struct dcap_collateral *c, struct json doc);
void dcap_window(struct dcap_job *j, uint64_t from, uint64_t to); // narrows the time the result is good for
