// Plain readings of a certificate's extensions, no trust implied.
#include "ratls/trust.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/issue.h"

int cert_app_id(uint8_t out[20], X509 *cert, struct err *e)
{
	struct span id;
	int has = cert_ext(cert, CERT_EXT_APP_ID, &id, e);

	if (has < 0)
		return -1;
	if (!has)
		return err_code(e, ERR_ABSENT, "ratls.no_app_id", "certificate names no app id");
	if (id.n != 20)
		return err_code(e, ERR_INPUT, "ratls.app_id", "app id in the certificate is not 20 bytes");
	memcpy(out, id.p, 20);
	return 0;
}

int cert_usage(char *out, size_t cap, X509 *cert, struct err *e)
{
	struct span usage;
	int has = cert_ext(cert, CERT_EXT_USAGE, &usage, e);

	if (has < 0)
		return -1;
	if (!has)
		return err_code(e, ERR_ABSENT, "ratls.no_usage", "certificate names no special usage");
	if (usage.n >= cap || memchr(usage.p, 0, usage.n))
		return err_code(e, ERR_INPUT, "ratls.usage", "special usage in the certificate is malformed");
	memcpy(out, usage.p, usage.n);
	out[usage.n] = 0;
	return 0;
}

int cert_attestation(uint8_t **out, size_t *n, X509 *cert, struct err *e)
{
	struct span bytes;
	int has = cert_ext(cert, CERT_EXT_ATTESTATION, &bytes, e);

	if (has < 0)
		return -1;
	if (!has)
		return err_code(e, ERR_ABSENT, "ratls.no_evidence", "certificate carries no evidence");
	*out = malloc(bytes.n + 1);
	if (!*out)
		return err_set(e, ERR_SYSTEM, "out of memory");
	memcpy(*out, bytes.p, bytes.n);
	*n = bytes.n;
	return 0;
}
