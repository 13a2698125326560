// Collateral: what was read and is written again reads as the same.
#include "core/attest/collateral.h"

static uint8_t arena[2][1 << 17], text[1 << 19];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct collateral a, b;
	struct span s;
	uint8_t sig[64];
	size_t used;

	(void)!collateral_signed(span_of(data, n), "tcbInfo", &s, sig);
	if (collateral_parse(&a, span_of(data, n), arena[0], sizeof arena[0], &used))
		return 0;
	struct wr w = wr_to(text, sizeof text);
	collateral_write(&w, &a);
	if (w.bad)
		return 0;
	if (collateral_parse(&b, span_of(text, w.n), arena[1], sizeof arena[1], &used) ||
	    !span_eq(a.tcb_info, b.tcb_info) || !span_eq(a.pck_crl, b.pck_crl) ||
	    !span_eq(a.qe_identity_signature, b.qe_identity_signature) ||
	    !span_eq(a.pck_certificate_chain, b.pck_certificate_chain))
		__builtin_trap();
	return 0;
}
