#include "sign.h"

#include <string.h>
#include "core/hash/sha2.h"
#include "crypto/ed25519.h"

enum { DIGEST = 32, DIGEST_LEAST = DIGEST / 2 };

enum kind { ED25519, K256, K256_PREHASHED };

static int kind_of(const char *algorithm, enum kind *out, struct err *e)
{
	if (!strcmp(algorithm, "ed25519"))
		*out = ED25519;
	else if (!strcmp(algorithm, "secp256k1") || !strcmp(algorithm, "k256"))
		*out = K256;
	else if (!strcmp(algorithm, "secp256k1_prehashed"))
		*out = K256_PREHASHED;
	else
		return err_code(e, ERR_INPUT, "agent.algorithm", "Unsupported algorithm");
	return 0;
}

static int signing_key(const struct key_file *k, enum kind kind, struct derived_key *out, struct err *e)
{
	return derive_key(k, APP_SIGNING_PATH, APP_SIGNING_PURPOSE, kind == ED25519 ? "ed25519" : "secp256k1",
			  out, e);
}

int app_signing_key(const struct key_file *k, const char *algorithm, struct derived_key *out, struct err *e)
{
	enum kind kind;

	if (kind_of(algorithm, &kind, e))
		return -1;
	if (kind == K256_PREHASHED) // a way to sign, not a key
		return err_code(e, ERR_INPUT, "agent.algorithm", "Unsupported algorithm");
	return signing_key(k, kind, out, e);
}

static int sign_with(const struct derived_key *d, enum kind kind, struct span data,
		     uint8_t out[static APP_SIGNATURE], struct err *e)
{
	uint8_t digest[DIGEST], sig[K256_SIG];

	if (kind == ED25519)
		return ed25519_sign(d->key, data, out, e);
	if (kind == K256)
		sha256(data.p, data.n, digest);
	else
		memcpy(digest, data.p, sizeof digest);
	if (k256_sign_digest(d->key, digest, sig, e))
		return -1;
	memcpy(out, sig, APP_SIGNATURE);
	return 0;
}

int app_sign_check(const char *algorithm, struct span data, struct err *e)
{
	enum kind kind;

	if (kind_of(algorithm, &kind, e))
		return -1;
	if (kind == K256_PREHASHED && data.n != DIGEST)
		return err_code(e, ERR_INPUT, "agent.digest",
				"Pre-hashed signing requires a 32-byte digest, but received %zu bytes",
				data.n);
	return 0;
}

int app_sign_with(const struct derived_key *d, const char *algorithm, struct span data,
		  struct app_signature *out, struct err *e)
{
	enum kind kind;

	if (kind_of(algorithm, &kind, e) || sign_with(d, kind, data, out->bytes, e))
		return -1;
	memcpy(out->public, d->public, sizeof out->public);
	out->public_n = d->public_n;
	memcpy(out->key_signature, d->signature, sizeof out->key_signature);
	return 0;
}

int app_sign(const struct key_file *k, const char *algorithm, struct span data, struct app_signature *out,
	     struct err *e)
{
	struct derived_key d;
	enum kind kind;

	if (app_sign_check(algorithm, data, e) || kind_of(algorithm, &kind, e))
		return -1;
	int rc = signing_key(k, kind, &d, e) || app_sign_with(&d, algorithm, data, out, e) ? -1 : 0;
	secret_wipe(&d, sizeof d);
	return rc;
}

static int verify_ed25519(struct span data, struct span sig, struct span pub, bool *valid, struct err *e)
{
	if (pub.n != ED25519_PUB || !ed25519_is_point(pub.p))
		return err_code(e, ERR_INPUT, "key.public", "%zu bytes are no ed25519 public key", pub.n);
	if (sig.n != ED25519_SIG)
		return err_code(e, ERR_INPUT, "key.signature", "ed25519 signature of %zu bytes, want %d",
				sig.n, ED25519_SIG);
	return ed25519_verify(pub.p, data, sig.p, valid, e);
}

// As many bytes as the number has, from the left; a shorter digest is a smaller number (SEC 1 section 4.1.3).
static bool digest_of(struct span data, uint8_t out[static DIGEST])
{
	size_t n = data.n < DIGEST ? data.n : DIGEST;

	memset(out, 0, DIGEST);
	if (n < DIGEST_LEAST)
		return false;
	memcpy(out + DIGEST - n, data.p, n);
	return true;
}

int app_verify(const char *algorithm, struct span data, struct span sig, struct span pub, bool *valid,
	       struct err *e)
{
	uint8_t digest[DIGEST];
	bool long_enough = true;
	enum kind kind;

	*valid = false;
	if (kind_of(algorithm, &kind, e))
		return -1;
	if (kind == ED25519)
		return verify_ed25519(data, sig, pub, valid, e);
	if (kind == K256)
		sha256(data.p, data.n, digest);
	else
		long_enough = digest_of(data, digest);
	if (k256_verify_digest(pub, digest, sig, valid, e))
		return -1;
	*valid = *valid && long_enough;
	return 0;
}
