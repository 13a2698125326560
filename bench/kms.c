// kms - what a key release costs the KMS's processes, all together, beside the signatures and key agreements
// it cannot do without.
//
//   bench-kms URL CA CERT KEY CSR.json PID KEY-PROCESS-PID [ROUNDS]
// Each round is a guest's call: a new TLS connection with the attested client certificate and one GetAppKey,
// or one without a certificate and one SignCert. Evidence is warm (verified in the first rounds). The floor
// is measured here (kms_floor.h): the handshake and the one secp256k1 signature of the answer; for SignCert
// the handshake without the client's part, the request's signature to verify, and two certificates to sign.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "crypto/ssl.h"
#include "kms.pb-c.h"
#include "kms_floor.h"
#include "proc.h"
#include "ratls/tls.h"
#include "rpc/client.h"

enum { ROUNDS = 300, WARM_UP = 20 };

struct guest {
	const char *url;
	char *ca, *cert, *key, *csr;
	size_t ca_n, cert_n, key_n, csr_n;
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

static struct rpc_client *dial(struct guest *g, struct err *e)
{
	struct rpc_client_opts o = { .tls = own_tls, .arg = g };

	return rpc_client_new(g->url, &o, e);
}

static void boot(struct guest *g)
{
	Kms__GetAppKeyRequest in;
	struct err e = { 0 };
	void *out = NULL;
	auto_arena *a = arena_new(0);
	auto_rpc_client *c = dial(g, &e);

	kms__get_app_key_request__init(&in);
	in.api_version = 1;
	if (!c || rpc_client_call(c, "GetAppKey", &in.base, &kms__app_key_response__descriptor, a, &out, &e))
		die("GetAppKey", &e);
}

static void sign(struct guest *g)
{
	struct guest bare = *g;
	struct err e = { 0 };
	struct span body;
	int status = 0;
	auto_arena *a = arena_new(0);

	bare.cert_n = bare.key_n = 0;
	auto_rpc_client *c = dial(&bare, &e);
	if (!c || rpc_client_post(c, "/SignCert?json", "application/json", span_of(g->csr, g->csr_n), a,
				  &status, &body, &e))
		die("SignCert", &e);
	if (status != 200) {
		err_set(&e, ERR_INPUT, "status %d: %.*s", status, (int)body.n, (const char *)body.p);
		die("SignCert", &e);
	}
}

static void measure(const char *name, struct guest *g, void (*call)(struct guest *), char **pids, int rounds,
		    const struct kms_work *least, const char *budget)
{
	double before[2], spent[2]; // all of them; of these the key process

	for (int i = 0; i < WARM_UP; i++)
		call(g);
	before[0] = proc_tree_cpu_ns(pids[0]);
	before[1] = proc_cpu_ns(pids[1]);
	for (int i = 0; i < rounds; i++)
		call(g);
	spent[0] = (proc_tree_cpu_ns(pids[0]) - before[0]) / rounds / 1e6;
	spent[1] = (proc_cpu_ns(pids[1]) - before[1]) / rounds / 1e6;
	double value = spent[0], floor = kms_floor_ns(least, rounds) / 1e6;
	printf("# of it the key process: %.3f ms%s\n", spent[1], budget);
	printf("%s\t%.3f\tms\t%.3f\t%.2f\n", name, value, floor, value / floor);
}

int main(int argc, char **argv)
{
	static const struct kms_work release = { KMS_HANDSHAKE, .k256_signatures = 1 }, certificate = {
		.p256_signatures = 3, .p256_verifications = 1, .agreements = 1
	};
	struct guest g = { .url = argc > 1 ? argv[1] : "" };
	struct err e = { 0 };
	uint64_t rounds = ROUNDS;

	if (argc < 8 || argc > 9 || (argc == 9 && !str_u64(argv[8], &rounds)) || !rounds)
		return fprintf(stderr, "usage: bench-kms URL CA CERT KEY CSR PID KEY-PROCESS-PID [ROUNDS]\n"),
		       2;
	if (rpc_client_setup() || file_read(argv[2], 65536, &g.ca, &g.ca_n, &e) ||
	    file_read(argv[3], 65536, &g.cert, &g.cert_n, &e) ||
	    file_read(argv[4], 65536, &g.key, &g.key_n, &e) ||
	    file_read(argv[5], 1 << 20, &g.csr, &g.csr_n, &e))
		die("setup", &e);
	measure("kms.getappkey", &g, boot, argv + 6, (int)rounds, &release, "; budget 1.5 ms in all");
	measure("kms.signcert", &g, sign, argv + 6, (int)rounds, &certificate, "");
	double mib = (double)proc_tree_pss_kib(argv[6]) / 1024;
	printf("kms.memory\t%.1f\tMiB\t20\t%.2f\n", mib, mib / 20);
	return 0;
}
