// snp_job - what the steps of one verification share. Private to attest/snp*.c.
#pragma once
#include "core/attest/amd_cert.h"
#include "core/attest/snp.h"

struct snp_job {
	struct snp *s;
	const struct snp_input *in;
	struct amd_cert root, ask, vcek; // der empty when there is none
};

// All return -1, or 0 when the step passed.
int snp_fail(struct snp_job *j, enum reason why, uint32_t a, uint32_t b);
int snp_want(struct snp_job *j, enum reason why, enum sig_alg alg, struct span msg, struct span key,
	     struct span sig);
MUST_USE int snp_report_open(struct snp_job *j);             // layout, version, which key signed
MUST_USE int snp_chain(struct snp_job *j, struct span root); // certificates and revocation list
MUST_USE int snp_identity(struct snp_job *j); // the VCEK is that of this chip with the reported TCB
MUST_USE int snp_rules(struct snp_job *j);    // what the report says
