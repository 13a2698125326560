#include "crypto/k256.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <secp256k1.h>
#include <secp256k1_recovery.h>
#include <string.h>

#include "core/hash/keccak.h"
#include "crypto/ssl.h"

// A signing context is blinded with fresh randomness, against side channels (secp256k1.h). Making one costs
// as much as a signature, so each thread keeps its own and blinds it anew every so many uses.
enum { USES_OF_A_BLINDING = 64 };

static pthread_key_t of_thread;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool have_key;
static _Thread_local unsigned uses;

static void destroy(void *c)
{
	secp256k1_context_destroy(c);
}

static void make_key(void)
{
	have_key = !pthread_key_create(&of_thread, destroy);
}

static secp256k1_context *signing_ctx(struct err *e)
{
	secp256k1_context *c =
		!pthread_once(&once, make_key) && have_key ? pthread_getspecific(of_thread) : NULL;
	uint8_t seed[32];

	if (c && uses++ < USES_OF_A_BLINDING)
		return c;
	if (!c) {
		c = have_key ? secp256k1_context_create(SECP256K1_CONTEXT_NONE) : NULL;
		if (!c || pthread_setspecific(of_thread, c)) {
			if (c)
				secp256k1_context_destroy(c);
			err_set(e, ERR_SYSTEM, "prepare secp256k1");
			return NULL;
		}
		uses = USES_OF_A_BLINDING; // until the blinding below has worked
	}
	bool blinded = RAND_priv_bytes(seed, sizeof seed) == 1 && secp256k1_context_randomize(c, seed);
	OPENSSL_cleanse(seed, sizeof seed);
	if (!blinded) {
		err_ssl(e, ERR_SYSTEM, "prepare secp256k1");
		return NULL;
	}
	uses = 1;
	return c;
}

int k256_check(const uint8_t d[static K256_SCALAR], struct err *e)
{
	if (!secp256k1_ec_seckey_verify(secp256k1_context_static, d))
		return err_code(e, ERR_INPUT, "key.scalar",
				"secp256k1 scalar is zero or not below the order of the group");
	return 0;
}

int k256_new(uint8_t d[static K256_SCALAR], struct err *e)
{
	if (RAND_priv_bytes(d, K256_SCALAR) != 1)
		return err_ssl(e, ERR_SYSTEM, "make a secp256k1 key");
	return k256_check(d, e);
}

int k256_public(const uint8_t d[static K256_SCALAR], uint8_t pub[static K256_PUB], struct err *e)
{
	secp256k1_context *c = signing_ctx(e);
	secp256k1_pubkey q;
	size_t n = K256_PUB;

	if (!c || k256_check(d, e))
		return -1;
	if (!secp256k1_ec_pubkey_create(c, &q, d))
		return err_set(e, ERR_BUG, "secp256k1 public key of a valid scalar");
	secp256k1_ec_pubkey_serialize(c, pub, &n, &q, SECP256K1_EC_COMPRESSED);
	return 0;
}

int k256_address(const uint8_t pub[static K256_PUB], uint8_t out[static 20], struct err *e)
{
	secp256k1_pubkey q;
	uint8_t whole[65], hash[32];
	size_t n = sizeof whole;

	if (!secp256k1_ec_pubkey_parse(secp256k1_context_static, &q, pub, K256_PUB))
		return err_code(e, ERR_INPUT, "key.public", "not a secp256k1 public key");
	secp256k1_ec_pubkey_serialize(secp256k1_context_static, whole, &n, &q, SECP256K1_EC_UNCOMPRESSED);
	keccak256(whole + 1, n - 1, hash);
	memcpy(out, hash + 12, 20);
	return 0;
}

int k256_sign_digest(const uint8_t d[static K256_SCALAR], const uint8_t digest[static 32],
		     uint8_t sig[static K256_SIG], struct err *e)
{
	secp256k1_context *c = signing_ctx(e);
	secp256k1_ecdsa_recoverable_signature s;
	int recid = 0;

	if (!c || k256_check(d, e))
		return -1;
	if (!secp256k1_ecdsa_sign_recoverable(c, &s, digest, d, secp256k1_nonce_function_rfc6979, NULL))
		return err_set(e, ERR_BUG, "secp256k1 signature with a valid scalar");
	secp256k1_ecdsa_recoverable_signature_serialize_compact(c, sig, &recid, &s);
	sig[64] = (uint8_t)recid;
	return 0;
}

int k256_recover(const uint8_t digest[static 32], const uint8_t sig[static K256_SIG],
		 uint8_t pub[static K256_PUB], struct err *e)
{
	const secp256k1_context *c = secp256k1_context_static; // nothing secret is computed with it
	secp256k1_ecdsa_recoverable_signature s;
	secp256k1_pubkey q;
	size_t n = K256_PUB;

	if (sig[64] > 3 || !secp256k1_ecdsa_recoverable_signature_parse_compact(c, &s, sig, sig[64]) ||
	    !secp256k1_ecdsa_recover(c, &q, &s, digest))
		return err_set(e, ERR_UNTRUSTED, "no key recovers from the secp256k1 signature");
	secp256k1_ec_pubkey_serialize(c, pub, &n, &q, SECP256K1_EC_COMPRESSED);
	return 0;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	uint8_t any = 0;

	for (size_t i = 0; i < n; i++)
		any |= p[i];
	return !any;
}

int k256_verify_digest(struct span pub, const uint8_t digest[static 32], struct span sig, bool *valid,
		       struct err *e)
{
	const secp256k1_context *c = secp256k1_context_static; // nothing secret is computed with it
	secp256k1_ecdsa_signature s;
	secp256k1_pubkey q;
	bool form = (pub.n == K256_PUB && (pub.p[0] == 2 || pub.p[0] == 3)) || // not the hybrid forms
		    (pub.n == 65 && pub.p[0] == 4);

	if (!form || !secp256k1_ec_pubkey_parse(c, &q, pub.p, pub.n))
		return err_code(e, ERR_INPUT, "key.public", "%zu bytes are no secp256k1 public key", pub.n);
	if (sig.n != 64 || is_zero(sig.p, 32) || is_zero(sig.p + 32, 32) ||
	    !secp256k1_ecdsa_signature_parse_compact(c, &s, sig.p))
		return err_code(e, ERR_INPUT, "key.signature", "%zu bytes are no secp256k1 signature r || s",
				sig.n);
	*valid = secp256k1_ecdsa_verify(c, &s, digest, &q) == 1;
	return 0;
}

int k256_statement(const char *prefix, struct span app, struct span msg, uint8_t digest[static 32],
		   struct err *e)
{
	uint8_t text[K256_STATEMENT_MAX];
	struct wr w = wr_to(text, sizeof text);

	wr_str(&w, prefix);
	wr_u8(&w, ':');
	wr_span(&w, app);
	wr_span(&w, msg);
	if (w.bad)
		return err_set(e, ERR_INPUT, "statement of %zu bytes is too long", w.n);
	keccak256(text, w.n, digest);
	return 0;
}

int k256_sign(const uint8_t d[static K256_SCALAR], const char *prefix, struct span app, struct span msg,
	      uint8_t sig[static K256_SIG], struct err *e)
{
	uint8_t digest[32];

	return k256_statement(prefix, app, msg, digest, e) ? -1 : k256_sign_digest(d, digest, sig, e);
}
