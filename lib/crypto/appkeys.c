#include "crypto/appkeys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "core/hash/sha2.h"
#include "crypto/k256.h"
#include "crypto/kdf.h"
#include "crypto/p256.h"
#include "crypto/seal.h"

enum { ENV_MAX_AGE = 300, ENV_MAX_AHEAD = 60 };

static const char env_prefix[] = "dstack-env-encrypt-pubkey",
		  env_prefix_v2[] = "dstack-env-encrypt-pubkey-v2";
static const char epoch_salt[] = "DSTACK-KMS-EPOCH-V1";

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

static bool is_p256_scalar(const uint8_t d[static P256_SCALAR])
{
	struct err e;
	EVP_PKEY *k = p256_from_scalar(d, &e);

	EVP_PKEY_free(k);
	return k != NULL;
}

static bool is_k256_scalar(const uint8_t d[static K256_SCALAR])
{
	struct err e;

	return !k256_check(d, &e);
}

static int epoch_root(const char *label, const uint8_t root[static 32], const struct app_epoch *at,
		      bool (*fits)(const uint8_t d[static 32]), uint8_t out[static 32], struct err *e)
{
	uint8_t info[1 + 8 + 32], ctr = 0;
	struct wr w = wr_to(info, sizeof info);

	wr_u8(&w, 0);
	wr_be64(&w, at->epoch);
	sha256(at->seed.p, at->seed.n, info + w.n);
	do {
		const struct span parts[] = { span_str(label), span_of(info, sizeof info), span_of(&ctr, 1) };
		if (kdf_derive_salted(epoch_salt, span_of(root, 32), parts, 3, out, 32, e))
			return -1;
	} while (!fits(out) && ++ctr);
	return 0; // 256 misses in a row do not happen
}

static bool is_first(const struct app_epoch *at)
{
	return !at || (!at->epoch && !at->seed.n);
}

int appkeys_epoch_roots(const struct roots *r, const struct app_epoch *at, struct roots *out, struct err *e)
{
	if (is_first(at)) {
		*out = *r;
		return 0;
	}
	if (at->seed.n > APPKEYS_SEED_MAX)
		return err_set(e, ERR_INPUT, "deployment seed of %zu bytes, at most %d", at->seed.n,
			       APPKEYS_SEED_MAX);
	if (epoch_root("ca-p256", r->ca, at, is_p256_scalar, out->ca, e) ||
	    epoch_root("k256", r->k256, at, is_k256_scalar, out->k256, e)) {
		OPENSSL_cleanse(out, sizeof *out);
		return err_wrap(e, "derive epoch %llu", (unsigned long long)at->epoch);
	}
	return 0;
}

// `by` derives, `r` signs.
static int derive_all(const struct roots *r, const struct roots *by, struct span app, struct span inst,
		      struct app_keys *out, struct err *e)
{
	const struct span disk[] = { app, inst, span_str("app-disk-crypt-key") };
	const struct span k256[] = { app, span_str("app-key") };
	uint8_t pub[K256_PUB];

	if (p256_derive_secret(by->ca, disk, 3, out->disk, e) || derive_env(by, app, out->env, e) ||
	    derive_k256(span_of(by->k256, sizeof by->k256), k256, 2, out->k256, e) ||
	    k256_public(out->k256, pub, e))
		return -1;
	return k256_sign(r->k256, "dstack-kms-issued", app, span_of(pub, sizeof pub), out->k256_sig, e);
}

int appkeys_derive(const struct roots *r, const uint8_t app[static APP_ID], struct span inst,
		   struct app_keys *out, struct err *e)
{
	return appkeys_derive_at(r, NULL, app, inst, out, e);
}

int appkeys_derive_at(const struct roots *r, const struct app_epoch *at, const uint8_t app[static APP_ID],
		      struct span inst, struct app_keys *out, struct err *e)
{
	struct roots by;

	// Parts are not framed, so an id of another size could collide with another app's (spec 20
	// section 7.3).
	if (inst.n && inst.n != APP_ID)
		return err_set(e, ERR_INPUT, "instance id has %zu bytes, not 0 or 20", inst.n);
	int rc = appkeys_epoch_roots(r, at, &by, e) || derive_all(r, &by, span_of(app, APP_ID), inst, out, e);
	OPENSSL_cleanse(&by, sizeof by);
	if (rc) {
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

static struct span env_v2_message(uint8_t buf[static 80], uint64_t time, const struct app_epoch *at,
				  const uint8_t pub[static 32])
{
	struct wr w = wr_to(buf, 80);
	uint8_t seed[32];

	sha256(at ? at->seed.p : NULL, at ? at->seed.n : 0, seed);
	wr_be64(&w, time);
	wr_be64(&w, at ? at->epoch : 0);
	wr_put(&w, seed, sizeof seed);
	wr_put(&w, pub, 32);
	return span_of(buf, 80);
}

int appkeys_env(const struct roots *r, const uint8_t app[static APP_ID], uint64_t time, struct env_key *out,
		struct err *e)
{
	return appkeys_env_at(r, NULL, app, time, out, e);
}

int appkeys_env_at(const struct roots *r, const struct app_epoch *at, const uint8_t app[static APP_ID],
		   uint64_t time, struct env_key *out, struct err *e)
{
	struct span id = span_of(app, APP_ID);
	uint8_t env[32], msg[80];
	struct roots by;

	int bad = appkeys_epoch_roots(r, at, &by, e) || derive_env(&by, id, env, e) ||
		  seal_public(env, out->pub, e);
	OPENSSL_cleanse(env, sizeof env);
	OPENSSL_cleanse(&by, sizeof by);
	if (bad || k256_sign(r->k256, env_prefix, id, span_of(out->pub, 32), out->sig, e) ||
	    k256_sign(r->k256, env_prefix, id, env_v1_message(msg, time, out->pub), out->sig_v1, e) ||
	    k256_sign(r->k256, env_prefix_v2, id, env_v2_message(msg, time, at, out->pub), out->sig_v2, e))
		return err_wrap(e, "derive environment key");
	return 0;
}

void appkeys_wipe(struct app_keys *k)
{
	OPENSSL_cleanse(k, sizeof *k);
}

static int check_env(const char *prefix, struct span msg, const uint8_t sig[static 65],
		     const uint8_t app[static APP_ID], uint64_t time, uint64_t now,
		     const uint8_t signer[static 33], struct err *e)
{
	uint8_t digest[32], got[K256_PUB];

	if (time > now ? time - now > ENV_MAX_AHEAD : now - time > ENV_MAX_AGE)
		return err_code(e, ERR_UNTRUSTED, "kms.env_key_time",
				"environment key was signed at %llu, now is %llu: outside -%d..+%d s; check "
				"both clocks",
				(unsigned long long)time, (unsigned long long)now, ENV_MAX_AGE,
				ENV_MAX_AHEAD);
	if (k256_statement(prefix, span_of(app, APP_ID), msg, digest, e))
		return -1;
	if (k256_recover(digest, sig, got, e) || CRYPTO_memcmp(got, signer, sizeof got))
		return err_code(e, ERR_UNTRUSTED, "kms.env_key_signature",
				"environment key is not signed by the pinned root key of the KMS");
	return 0;
}

int appkeys_env_check(const struct env_key *k, const uint8_t app[static APP_ID], uint64_t time, uint64_t now,
		      const uint8_t signer[static 33], struct err *e)
{
	uint8_t msg[40];

	return check_env(env_prefix, env_v1_message(msg, time, k->pub), k->sig_v1, app, time, now, signer, e);
}

int appkeys_env_check_at(const struct env_key *k, const struct app_epoch *at,
			 const uint8_t app[static APP_ID], uint64_t time, uint64_t now,
			 const uint8_t signer[static 33], struct err *e)
{
	uint8_t msg[80];

	return check_env(env_prefix_v2, env_v2_message(msg, time, at, k->pub), k->sig_v2, app, time, now,
			 signer, e);
}
