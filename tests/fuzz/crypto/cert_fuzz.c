// A peer's certificate: extensions and key are read without leaving it, and what is read once reads the same
// again.
#include "crypto/issue.h"
#include "crypto/ssl.h"

static volatile uint8_t touched; // every byte is read, so that the sanitizer sees a wrong length

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum cert_ext all[] = { CERT_EXT_QUOTE, CERT_EXT_EVENT_LOG,   CERT_EXT_APP_ID,
					     CERT_EXT_USAGE, CERT_EXT_ATTESTATION, CERT_EXT_APP_INFO };
	uint8_t spki[CERT_SPKI_MAX];
	struct err e;
	size_t n;
	auto_x509 X509 *c = cert_from_der(span_of(data, size), &e);

	if (!c)
		return 0;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct span a, b;
		if (cert_ext(c, all[i], &a, &e) != 1)
			continue;
		for (size_t k = 0; k < a.n; k++)
			touched = a.p[k];
		if (cert_ext(c, all[i], &b, &e) != 1 || a.p != b.p || a.n != b.n)
			__builtin_trap();
	}
	(void)cert_usage_is(c, "kms:rpc");
	if (!cert_spki(c, spki, &n, &e) && n > sizeof spki)
		__builtin_trap();
	return 0;
}
