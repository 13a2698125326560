// collateral - TCB info, QE identity and CRLs of a development PKI, as a PCCS and as SDKs give them.
//
// Spec 50 section 4. Made for the moment `now`: valid from a day before for 30 days. The signed texts are
// fixed by their bytes: what is signed is what is sent.
#pragma once
#include "base/sb.h"
#include "pki.h"

// What tests may change; zero is a platform that is up to date.
struct collateral_opts {
	const char *tcb_status; // of the newest TCB level; NULL: UpToDate
	const char *qe_status;
	const char *fmspc; // NULL: PKI_FMSPC
	bool sgx;          // the SGX documents instead of the TDX ones
};

// {"tcbInfo":{...},"signature":"..."} and {"enclaveIdentity":{...},"signature":"..."}, appended.
int collateral_tcb_info(const struct pki *p, const struct collateral_opts *o, int64_t now, struct sb *out,
			struct err *e);
int collateral_qe_identity(const struct pki *p, const struct collateral_opts *o, int64_t now, struct sb *out,
			   struct err *e);

// The whole as QuoteCollateralV3 JSON (spec 50 section 4.3).
int collateral_json(const struct pki *p, const struct collateral_opts *o, int64_t now, struct sb *out,
		    struct err *e);
