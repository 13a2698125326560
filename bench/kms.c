// kms - what a key release costs the KMS's two processes beside the signatures and key agreements it cannot
// do without.
//
//   bench-kms URL CA CERT KEY PID KEY-PROCESS-PID [ROUNDS]
// Each round is a guest's boot: a new TLS connection with the attested client certificate and one GetAppKey.
// Evidence is warm (verified in the first rounds). The reference is measured here: the handshake's P-256
// signature, key agreement and two verifications, and the one secp256k1 signature of the answer.
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "crypto/k256.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "kms.pb-c.h"
#include "proc.h"
#include "ratls/tls.h"
#include "rpc/client.h"

enum { ROUNDS = 300, WARM_UP = 20, PROCESSES = 2 };

struct guest {
	const char *url;
	char *ca, *cert, *key;
	size_t ca_n, cert_n, key_n;
};

static void die(const char *what, const struct err *e)
{
	fprintf(stderr, "%s: %s\n", what, e->text);
	exit(1);
}

static int own_tls(SSL_CTX *ctx, void *arg, struct err *e)
{
	const struct guest *g = arg;
	struct tls_conf c = { .cert_pem = span_of(g->cert, g->cert_n),
			      .key_pem = span_of(g->key, g->key_n),
			      .roots_pem = span_of(g->ca, g->ca_n),
			      .peer = TLS_PEER_REQUIRED,
			      .peer_usage = "kms:rpc" };

	return tls_ctx_setup(ctx, &c, e);
}

static void boot(struct guest *g)
{
	struct rpc_client_opts o = { .tls = own_tls, .arg = g };
	Kms__GetAppKeyRequest in;
	struct err e = { 0 };
	void *out = NULL;
	auto_arena *a = arena_new(0);
	auto_rpc_client *c = rpc_client_new(g->url, &o, &e);

	kms__get_app_key_request__init(&in);
	in.api_version = 1;
	if (!c || rpc_client_call(c, "GetAppKey", &in.base, &kms__app_key_response__descriptor, a, &out, &e))
		die("GetAppKey", &e);
}

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

static double reference_ns(int rounds)
{
	struct err e = { 0 };
	auto_pkey EVP_PKEY *key = p256_new(&e), *x = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	uint8_t sig[P256_SIG_MAX], k256_sig[K256_SIG], d[32] = { 1 }, digest[32] = { 2 };
	size_t n = 0;
	double began = own_ns();

	for (int i = 0; i < rounds; i++) {
		struct span msg = span_of(digest, 32);
		if (k256_sign_digest(d, digest, k256_sig, &e) || p256_sign(key, msg, sig, &n, &e) ||
		    p256_verify(key, msg, span_of(sig, n), &e) || p256_verify(key, msg, span_of(sig, n), &e))
			die("reference", &e);
		agree(x);
	}
	return (own_ns() - began) / rounds;
}

int main(int argc, char **argv)
{
	struct guest g = { .url = argc > 1 ? argv[1] : "" };
	struct err e = { 0 };
	uint64_t rounds = ROUNDS;

	if (argc < 7 || argc > 8 || (argc == 8 && !str_u64(argv[7], &rounds)) || !rounds)
		return fprintf(stderr, "usage: bench-kms URL CA CERT KEY PID KEY-PROCESS-PID [ROUNDS]\n"), 2;
	if (rpc_client_setup() || file_read(argv[2], 65536, &g.ca, &g.ca_n, &e) ||
	    file_read(argv[3], 65536, &g.cert, &g.cert_n, &e) ||
	    file_read(argv[4], 65536, &g.key, &g.key_n, &e))
		die("setup", &e);
	for (int i = 0; i < WARM_UP; i++)
		boot(&g);
	double before[PROCESSES], spent[PROCESSES];
	for (int p = 0; p < PROCESSES; p++)
		before[p] = proc_cpu_ns(argv[5 + p]);
	for (uint64_t i = 0; i < rounds; i++)
		boot(&g);
	for (int p = 0; p < PROCESSES; p++)
		spent[p] = (proc_cpu_ns(argv[5 + p]) - before[p]) / (double)rounds / 1e6;
	double value = spent[0] + spent[1], reference = reference_ns((int)rounds) / 1e6;
	printf("# of it the key process: %.3f ms\n", spent[1]);
	printf("kms.getappkey\t%.3f\tms\t%.3f\t%.2f\n", value, reference, value / reference);
	double mib = (double)(proc_pss_kib(argv[5]) + proc_pss_kib(argv[6])) / 1024;
	printf("kms.memory\t%.1f\tMiB\t20\t%.2f\n", mib, mib / 20);
	return 0;
}
