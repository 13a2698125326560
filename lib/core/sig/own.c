#include "core/sig/own.h"

#include "core/sig/ecdsa.h"
#include "core/sig/rsa.h"

bool sig_own(const struct sig_check *c)
{
	if (!sig_check_is_sound(c))
		return false;
	if (c->alg == SIG_P256_SHA256)
		return ecdsa_p256_sha256(c->key.p, c->msg, c->sig.p);
	if (c->alg == SIG_P384_SHA384)
		return ecdsa_p384_sha384(c->key.p, c->msg, c->sig.p);
	return rsa_pss_sha384(c->key, c->msg, c->sig);
}
