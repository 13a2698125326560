#include "kms_floor.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crypto/k256.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"

static double own_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void agree(EVP_PKEY *peer)
{
	uint8_t secret[32];
	size_t n = sizeof secret;
	auto_pkey EVP_PKEY *own = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	auto_pctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);

	if (EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_derive_set_peer(ctx, peer) != 1 ||
	    EVP_PKEY_derive(ctx, secret, &n) != 1)
		exit(1);
}

static void once(const struct kms_work *w, EVP_PKEY *key, EVP_PKEY *x)
{
	static const uint8_t d[32] = { 1 }, digest[32] = { 2 };
	uint8_t sig[P256_SIG_MAX], k256_sig[K256_SIG];
	struct span msg = span_of(digest, 32);
	struct err e = { 0 };
	size_t n = 0;
	int bad = p256_sign(key, msg, sig, &n, &e);

	for (int i = 1; i < w->p256_signatures; i++)
		bad |= p256_sign(key, msg, sig, &n, &e);
	for (int i = 0; i < w->p256_verifications; i++)
		bad |= p256_verify(key, msg, span_of(sig, n), &e);
	for (int i = 0; i < w->k256_signatures; i++)
		bad |= k256_sign_digest(d, digest, k256_sig, &e);
	for (int i = 0; i < w->agreements; i++)
		agree(x);
	if (bad) {
		fprintf(stderr, "reference: %s\n", e.text);
		exit(1);
	}
}

double kms_floor_ns(const struct kms_work *w, int rounds)
{
	struct err e = { 0 };
	auto_pkey EVP_PKEY *key = p256_new(&e), *x = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");

	if (!key || !x)
		exit(1);
	double began = own_ns();
	for (int i = 0; i < rounds; i++)
		once(w, key, x);
	return (own_ns() - began) / rounds;
}
