// pck - what Intel's SGX extension of a PCK certificate says about a platform (OID 1.2.840.113741.1.13.1).
//
// SGX PCK Certificate and CRL Profile Specification, section 1.3.5. Read strictly: every part at most once,
// the mandatory ones there, both statements of the CPU's security version equal.
#pragma once
#include "core/codec/x509.h"
#include "core/verdict/reason.h"

struct pck {
	uint8_t ppid[16], cpu_svn[16], pce_id[2], fmspc[6];
	uint16_t pce_svn;
	uint8_t sgx_type; // 0 standard, 1 scalable, 2 scalable with integrity
	bool has_instance;
	uint8_t instance[16];
};

MUST_USE enum reason pck_parse(struct pck *p, const struct x509 *cert);
