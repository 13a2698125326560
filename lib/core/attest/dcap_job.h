// dcap_job - what the steps of one verification share. Private to attest/dcap*.c; numbers are steps of
// docs/formats/dcap.md.
#pragma once
#include "core/attest/collateral.h"
#include "core/attest/dcap.h"
#include "core/attest/pck.h"
#include "core/codec/x509.h"

enum { CHAIN_MAX = 4 };

struct chain {
	size_t n;
	struct x509 cert[CHAIN_MAX];
};

struct dcap_job {
	struct dcap *d;
	const struct dcap_input *in;
	struct quote quote;
	struct sgx_report qe;
	struct collateral col;
	struct x509 root;
	struct x509_crl root_crl, pck_crl;
	struct json tcb_info, qe_identity;
	struct x509 leaf;     // PCK
	struct span last_pem; // the chain read last: TCB info and QE identity mostly have the same
	struct chain last_chain;
	struct pck pck;
};

// One signed document: where it is in the collateral and what its failures are called.
struct dcap_document {
	struct span text, sig, chain;
	enum reason format, future, expired, chain_short, chain_bad, signature;
};

// All return -1, or 0 when the step passed.
int dcap_fail(struct dcap_job *j, enum reason why, uint32_t a, uint32_t b);
int dcap_want(struct dcap_job *j, enum reason why, struct span msg, const uint8_t *key, const uint8_t *sig);
MUST_USE int dcap_roots(struct dcap_job *j, struct span root); // 1, 2
MUST_USE int dcap_signed(struct dcap_job *j, const struct dcap_document *doc, struct json *out,
			 uint32_t *eval);         // 4, 5
MUST_USE int dcap_pck(struct dcap_job *j);        // 6
MUST_USE int dcap_qe(struct dcap_job *j);         // 7 to 9
MUST_USE int dcap_tcb(struct dcap_job *j);        // 12 to 16 and 10
MUST_USE int dcap_attributes(struct dcap_job *j); // 17, 18
// Reads the certificates of a PEM text into the arena. -1 when one is malformed or there are too many.
MUST_USE int dcap_chain(struct dcap_job *j, struct span pem, struct chain *out);
void dcap_window(struct dcap_job *j, uint64_t from, uint64_t to); // narrows the time the result is good for
