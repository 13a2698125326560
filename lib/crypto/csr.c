#include "crypto/csr.h"

#include "crypto/p256.h"
#include "crypto/ssl.h"

int csr_verify(struct span in, const struct csr *c, struct span sig, struct err *e)
{
	auto_pkey EVP_PKEY *k = p256_from_spki(c->pubkey, e);

	if (!k)
		return err_code(e, ERR_INPUT, "csr.key",
				"Unsupported algorithm: the certificate request's key is not P-256");
	if (p256_verify(k, in, sig, e))
		return err_code(e, ERR_UNTRUSTED, "csr.signature",
				"Invalid signature: the certificate request is not signed by its own key");
	if (!c->confirmed)
		return err_code(e, ERR_INPUT, "csr.confirm", "Invalid confirm word");
	return 0;
}
