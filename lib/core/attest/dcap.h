// dcap - verification of an SGX or TDX quote with its collateral, as a pure function in two phases.
//
// dcap_begin parses, hashes and applies every rule of Intel's DCAP flow (docs/formats/dcap.md) and lists at
// most 16 signature checks; an engine runs them; dcap_finish gives the result. Nothing in `dcap` is a result
// before that. Programs do not call these two: they call dcap_verify of crypto/engine.h, which cannot forget
// the checks. Trusts: the pinned root and the clock it is given. Freestanding; one context is about 90 KiB
// and is not to be copied while its checks are in use: they point into it, the quote and the collateral.
#pragma once
#include "core/attest/dcap_collateral.h"
#include "core/attest/quote.h"
#include "core/verdict/check.h"
#include "core/verdict/verdict.h"

enum {
	DCAP_CHECKS = SIG_CHECKS,
	DCAP_ARENA = QUOTE_MAX, // more than the quote's certificates take when decoded
};

struct dcap_input {
	struct span quote;      // raw bytes
	struct span collateral; // QuoteCollateralV3, JSON text; dcap_begin takes it decoded instead
	uint64_t now;           // Unix seconds
	bool allow_debug;       // default false
	bool allow_service_td;  // default false
	bool intel_components;  // Intel's TDX component rule (from index 2 when the module has a version);
				// default all 16
};

struct tcb_level {
	enum tcb_status status;
	size_t n;
	char advisory[DCAP_ADVISORIES][32];
};

// Only valid after dcap_verify returned 0. All values are copies.
struct dcap_result {
	enum anchor anchor;
	struct tcb_level tcb;          // merged: what upstream calls status and advisory_ids
	struct tcb_level platform, qe; // before merging
	bool relaunch_advised;         // TD 1.5: the module was updated since this TD was launched
	uint16_t version;              // 0: no DCAP quote (an SEV-SNP report, see verify.h)
	bool is_tdx;
	struct td_report td;   // when is_tdx
	struct sgx_report sgx; // otherwise
	uint8_t report_data[64];
	uint8_t ppid[16], fmspc[6];
	uint8_t qe_id[16];
	uint32_t tcb_eval, qe_eval; // tcbEvaluationDataNumber of both documents
	uint64_t issued, expires;   // the latest issue and the earliest expiry among the collateral
};

struct dcap {
	enum reason reason;
	uint32_t arg[2]; // numbers for the reason's text
	size_t checks;
	struct sig_check check[DCAP_CHECKS];
	struct dcap_result result;
	struct dcap_certs pck; // of the quote
	uint8_t arena[DCAP_ARENA];
};

// Always leaves a valid list of checks, also when the inputs are refused.
void dcap_begin(struct dcap *d, const struct dcap_input *in, const struct dcap_collateral *col);
// Bit i of `passed`: check i holds. REASON_OK and the result copied out, or the reason.
enum reason dcap_finish(struct dcap *d, uint32_t passed, struct dcap_result *out);
// The sentence for the reason that dcap_finish gave, with its numbers; NUL-terminated.
void dcap_explain(const struct dcap *d, enum reason r, char *out, size_t cap);

const char *tcb_status_name(enum tcb_status s); // "UpToDate", ...
// The claims every quote gives (quote, tcb, platform, attributes), added to a verdict.
void dcap_claims(const struct dcap_result *r, struct verdict *v);
// {"ok","status","advisory_ids","code","error","claims",..} of a closed verdict; `r` NULL when there is no
// result.
void dcap_json(struct wr *w, const struct dcap_result *r, const struct verdict *v);

// What a client needs to know to fetch collateral: from the PCK certificate in the quote, unverified.
struct dcap_platform {
	uint8_t fmspc[6];
	bool is_tdx;
	bool processor_ca; // ca=processor, else ca=platform
};
MUST_USE enum reason dcap_platform(struct span quote, struct dcap_platform *out);
