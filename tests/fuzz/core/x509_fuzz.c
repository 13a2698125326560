// Certificates, their SGX extension, and revocation lists.
#include "core/attest/pck.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct x509 c;
	struct x509_crl crl;
	struct pck p;
	struct span s = span_of(data, n);

	if (!x509_parse(&c, s)) {
		(void)x509_name_has(&c, "SGX Root CA");
		(void)!pck_parse(&p, &c);
		if (c.tbs.n >= n || c.serial.n > 20)
			__builtin_trap();
	}
	if (!x509_crl_parse(&crl, s)) {
		if (crl.tbs.n >= n || x509_crl_has(&crl, span_str("123456789012345678901")))
			__builtin_trap();
	}
	// The extension alone, which a mutated certificate seldom still holds.
	c.sgx = s;
	c.sgx_twice = false;
	(void)!pck_parse(&p, &c);
	return 0;
}
