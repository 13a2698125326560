#include "keys.h"

#include <string.h>
#include "base/sb.h"
#include "core/hash/keccak.h"
#include "crypto/ed25519.h"
#include "crypto/kdf.h"
#include "key_cache.h"

// Keccak-256 of "<purpose>:<hex of the public key>".
static int sign_statement(const struct key_file *k, const char *purpose, struct derived_key *d, struct err *e)
{
	auto_sb text = { 0 };
	uint8_t digest[32];

	sb_str(&text, purpose);
	sb_chr(&text, ':');
	sb_hex(&text, d->public, d->public_n);
	if (text.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	keccak256(text.p, text.n, digest);
	return k256_sign_digest(k->k256->b, digest, d->signature, e);
}

int derive_secret(const struct secret *root, const char *path, uint8_t out[static 32], struct err *e)
{
	struct span part = span_str(path);

	if (part.n > KDF_INFO_MAX)
		return err_code(e, ERR_INPUT, "agent.path", "path is longer than %d bytes", KDF_INFO_MAX);
	if (kdf_derive(span_of(root->b, root->n), &part, 1, out, 32, e))
		return err_wrap(e, "derive a key");
	return 0;
}

int derive_key(const struct key_file *k, const char *path, const char *purpose, const char *algorithm,
	       struct derived_key *out, struct err *e)
{
	bool ed = !strcmp(algorithm, "ed25519");

	*out = (struct derived_key){ 0 };
	if (!ed && *algorithm && strcmp(algorithm, "secp256k1") && strcmp(algorithm, "k256"))
		return err_code(e, ERR_INPUT, "agent.algorithm", "Unsupported algorithm");
	if (derive_secret(k->k256, path, out->key, e))
		return -1;
	if (key_cache_get(k->cache, ed, path, purpose, out))
		return 0;
	if (ed) {
		if (ed25519_public(out->key, out->public, e))
			return -1;
		out->public_n = ED25519_PUB;
	} else {
		if (k256_public(out->key, out->public, e))
			return err_wrap(e, "derive a key");
		out->public_n = K256_PUB;
	}
	if (sign_statement(k, purpose, out, e))
		return -1;
	key_cache_put(k->cache, ed, path, purpose, out);
	return 0;
}
