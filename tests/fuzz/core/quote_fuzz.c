// Quotes: every part lies inside the input, where it should.
#include "core/attest/dcap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct quote q;
	struct td_report td;
	struct sgx_report sgx;
	struct dcap_platform p;

	(void)!dcap_platform(span_of(data, n), &p);
	if (quote_parse(&q, span_of(data, n)))
		return 0;
	if (q.signed_part.p != data || q.signed_part.n != QUOTE_HEADER + (q.version == 5 ? 6 : 0) + q.body.n)
		__builtin_trap();
	if (quote_report_data(&q).n != 64 || q.cert_data.p + q.cert_data.n > data + n || q.sig.n != 64)
		__builtin_trap();
	if ((quote_td(&q, &td) == 0) == (quote_sgx(&q, &sgx) == 0))
		__builtin_trap();
	return 0;
}
