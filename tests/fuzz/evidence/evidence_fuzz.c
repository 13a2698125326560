// RA-TLS certificates as a peer sends them, through OpenSSL's reader: extensions, envelope or legacy quote
// and (compressed) event log.
#include "ratls/trust.h"
#include "ratls/verify.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint8_t *p = data;
	X509 *cert = d2i_X509(NULL, &p, (long)n);
	struct verify_input in = { .evidence = span_of(data, n),
				   .form = VERIFY_CERTIFICATE,
				   .expect = span_str("{}"),
				   .binding = VERIFY_BIND_KEY,
				   .now = 1700000000 };
	uint8_t id[20];
	char usage[64];
	struct err e;

	if (!cert)
		return 0;
	struct verify *v = evidence_new(&in, &e);

	if (v) {
		(void)evidence_read(v, &in);
		if (verify_finish(v, ~0u, NULL)) // nothing was begun under any root
			abort();
	}
	free(v);
	(void)!cert_app_id(id, cert, &e);
	(void)!cert_usage(usage, sizeof usage, cert, &e);
	X509_free(cert);
	return 0;
}
