#include "crypto/appkeys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "crypto/k256.h"
#include "crypto/kdf.h"
#include "crypto/p256.h"
#include "crypto/seal.h"

enum { ENV_MAX_AGE = 300, ENV_MAX_AHEAD = 60 };

static const char env_prefix[] = "dstack-env-encrypt-pubkey";

static int derive_k256(struct span root, const struct span *parts, size_t n, uint8_t d[static 32],
		       struct err *e)
{
	if (kdf_derive(root, parts, n, d, 32, e) || k256_check(d, e))
		return err_wrap(e, "derive secp256k1 key");
	return 0;
}

// env_crypt_key is returned unclamped; X25519 clamps on use.
static int derive_env(const struct roots *r, struct span app, uint8_t env[static 32], struct err *e)
{
	const struct span parts[] = { app, span_str("env-encrypt-key") };

	return p256_derive_secret(r->ca, parts, 2, env, e);
}

static int derive_all(const struct roots *r, struct span app, struct span inst, struct app_keys *out,
		      struct err *e)
{
	const struct span disk[] = { app, inst, span_str("app-disk-crypt-key") };
	const struct span k256[] = { app, span_str("app-key") };
	uint8_t pub[K256_PUB];

	if (p256_derive_secret(r->ca, disk, 3, out->disk, e) || derive_env(r, app, out->env, e) ||
	    derive_k256(span_of(r->k256, sizeof r->k256), k256, 2, out->k256, e) ||
	    k256_public(out->k256, pub, e))
		return -1;
	return k256_sign(r->k256, "dstack-kms-issued", app, span_of(pub, sizeof pub), out->k256_sig, e);
}

int appkeys_derive(const struct roots *r, const uint8_t app[static APP_ID], struct span inst,
		   struct app_keys *out, struct err *e)
{
	// Parts are not framed, so an id of another size could collide with another app's (spec 20
	// section 7.3).
	if (inst.n && inst.n != APP_ID)
		return err_set(e, ERR_INPUT, "instance id has %zu bytes, not 0 or 20", inst.n);
	if (derive_all(r, span_of(app, APP_ID), inst, out, e)) {
		appkeys_wipe(out);
		return err_wrap(e, "derive app keys");
	}
	return 0;
}

int appkeys_from_seed(const uint8_t seed[static 32], struct app_keys *out, uint8_t ca[static 32],
		      struct err *e)
{
	const struct span key = span_str("app-key"), disk = span_str("app-disk-key"),
			  k256 = span_str("app-k256-key");

	memset(out, 0, sizeof *out);
	if (p256_derive(seed, &key, 1, ca, e) || p256_derive_secret(seed, &disk, 1, out->disk, e) ||
	    derive_k256(span_of(seed, 32), &k256, 1, out->k256, e)) {
		appkeys_wipe(out);
		OPENSSL_cleanse(ca, 32);
		return err_wrap(e, "derive app keys from seed");
	}
	return 0;
}

int appkeys_ca(const struct roots *r, const uint8_t app[static APP_ID], uint8_t ca[static 32], struct err *e)
{
	const struct span parts[] = { span_of(app, APP_ID), span_str("app-ca") };

	return p256_derive(r->ca, parts, 2, ca, e);
}

static struct span env_v1_message(uint8_t buf[static 40], uint64_t time, const uint8_t pub[static 32])
{
	struct wr w = wr_to(buf, 40);

	wr_be64(&w, time);
	wr_put(&w, pub, 32);
	return span_of(buf, 40);
}

int appkeys_env(const struct roots *r, const uint8_t app[static APP_ID], uint64_t time, struct env_key *out,
		struct err *e)
{
	struct span id = span_of(app, APP_ID);
	uint8_t env[32], msg[40];

	int bad = derive_env(r, id, env, e) || seal_public(env, out->pub, e);
	OPENSSL_cleanse(env, sizeof env);
	if (bad || k256_sign(r->k256, env_prefix, id, span_of(out->pub, 32), out->sig, e) ||
	    k256_sign(r->k256, env_prefix, id, env_v1_message(msg, time, out->pub), out->sig_v1, e))
		return err_wrap(e, "derive environment key");
	return 0;
}

void appkeys_wipe(struct app_keys *k)
{
	OPENSSL_cleanse(k, sizeof *k);
}

int appkeys_env_check(const struct env_key *k, const uint8_t app[static APP_ID], uint64_t time, uint64_t now,
		      const uint8_t signer[static 33], struct err *e)
{
	uint8_t msg[40], digest[32], got[K256_PUB];

	if (time > now ? time - now > ENV_MAX_AHEAD : now - time > ENV_MAX_AGE)
		return err_code(e, ERR_UNTRUSTED, "kms.env_key_time",
				"environment key was signed at %llu, now is %llu: outside -%d..+%d s; check "
				"both clocks",
				(unsigned long long)time, (unsigned long long)now, ENV_MAX_AGE,
				ENV_MAX_AHEAD);
	if (k256_statement(env_prefix, span_of(app, APP_ID), env_v1_message(msg, time, k->pub), digest, e))
		return -1;
	if (k256_recover(digest, k->sig_v1, got, e) || CRYPTO_memcmp(got, signer, sizeof got))
		return err_code(e, ERR_UNTRUSTED, "kms.env_key_signature",
				"environment key is not signed by the pinned root key of the KMS");
	return 0;
}
