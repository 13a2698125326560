// RA-TLS certificates as a peer sends them: extensions, envelope or legacy quote and (compressed) event log.
#include "ratls/evidence.h"
#include "ratls/trust.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint8_t *p = data;
	X509 *cert = d2i_X509(NULL, &p, (long)n);
	struct evidence ev;
	uint8_t id[20];
	char usage[64];
	struct err e;

	if (!cert)
		return 0;
	if (!evidence_read_cert(&ev, cert, &e))
		evidence_free(&ev);
	(void)!cert_app_id(id, cert, &e);
	(void)!cert_usage(usage, sizeof usage, cert, &e);
	X509_free(cert);
	return 0;
}
