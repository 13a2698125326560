// Key and certificate files: what is taken as a P-256 key can be written and read again.
#include <string.h>

#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	char pem[P256_PEM_MAX];
	struct err e;
	auto_x509 X509 *c = cert_from_pem(in, &e);
	auto_pkey EVP_PKEY *k = p256_from_pem(in, &e), *pub = p256_from_spki(in, &e);
	uint8_t spki[CERT_SPKI_MAX];
	size_t n;

	if (c && cert_spki(c, spki, &n, &e))
		__builtin_trap();
	if (pub && p256_spki(pub, spki, &e))
		__builtin_trap();
	if (!k || p256_to_pem(k, pem, &e))
		return 0;
	auto_pkey EVP_PKEY *again = p256_from_pem(span_str(pem), &e);
	if (!again || EVP_PKEY_eq(again, k) != 1)
		__builtin_trap();
	return 0;
}
