// verify - what verifying a TDX quote costs beside the bare elliptic-curve arithmetic, in one process.
//
//   bench-verify QUOTE COLLATERAL UNIX-TIME [ROUNDS]
// Lines: metric, median in ms, unit, reference in ms (as many P-256 verifications as the case needs), ratio.
// cold: nothing known, nine. warm: collateral known, three (PCK leaf, QE report, quote). leaf: the platform's
// certificate known too, two. again: the same quote once more, none.
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/strings.h"
#include "crypto/engine.h"

enum { ROUNDS = 400, ROUNDS_MAX = 100000 };

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof *v, ascending);
	return v[n / 2];
}

static struct span load(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *p = malloc(1 << 20);

	if (!f || !p) {
		perror(path);
		exit(2);
	}
	size_t n = fread(p, 1, 1 << 20, f);
	fclose(f);
	return span_of(p, n);
}

// One verification with a ready key of a digest that is there: what a curve library cannot do without.
static double raw_p256(double *took, size_t rounds)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	EVP_PKEY_CTX *sign = EVP_PKEY_CTX_new(key, NULL), *verify = EVP_PKEY_CTX_new(key, NULL);
	unsigned char digest[32] = { 1, 2, 3 }, sig[80];
	size_t n = sizeof sig;

	if (!key || EVP_PKEY_sign_init(sign) != 1 ||
	    EVP_PKEY_sign(sign, sig, &n, digest, sizeof digest) != 1 || EVP_PKEY_verify_init(verify) != 1)
		exit(1);
	for (size_t i = 0; i < rounds; i++) {
		double t = now_ms();
		if (EVP_PKEY_verify(verify, sig, n, digest, sizeof digest) != 1)
			exit(1);
		took[i] = now_ms() - t;
	}
	EVP_PKEY_CTX_free(sign);
	EVP_PKEY_CTX_free(verify);
	EVP_PKEY_free(key);
	return median(took, rounds);
}

static double measure(struct engine *g, const struct dcap_input *in, enum reason forget, size_t want,
		      double *took, size_t rounds)
{
	struct dcap_result r;
	struct err e;

	for (size_t i = 0; i < rounds; i++) {
		engine_forget(g, forget);
		uint64_t before = engine_stats(g).verified;
		double t = now_ms();
		int rc = dcap_verify(g, in, &r, &e);
		took[i] = now_ms() - t;
		size_t ran = (size_t)(engine_stats(g).verified - before);
		if (rc || (i && ran != want)) {
			fprintf(stderr, "%s, %zu signatures instead of %zu\n", rc ? e.text : "accepted", ran,
				want);
			exit(1);
		}
	}
	return median(took, rounds);
}

int main(int argc, char **argv)
{
	static double took[ROUNDS_MAX];
	static const struct {
		const char *metric;
		enum reason forget;
		size_t checks;
	} cases[] = {
		{ "verify.cold", REASON_OK, 9 },
		{ "verify.warm", REASON_PCK_CHAIN, 3 },
		{ "verify.leaf", REASON_QE_SIGNATURE, 2 },
		{ "verify.again", REASON_COUNT, 0 },
	};
	struct dcap_input in = { 0 };
	uint64_t rounds = ROUNDS;
	struct err e;

	if (argc < 4 || !str_u64(argv[3], &in.now) ||
	    (argc > 4 && !str_uint(argv[4], 1, ROUNDS_MAX, &rounds))) {
		fputs("usage: bench-verify QUOTE COLLATERAL UNIX-TIME [ROUNDS]\n", stderr);
		return 2;
	}
	in.quote = load(argv[1]);
	in.collateral = load(argv[2]);
	struct engine *g = engine_new(&e);
	if (!g)
		return 1;
	double raw = raw_p256(took, rounds);
	printf("verify.p256\t%.4f\tms\t%.4f\t1.00\n", raw, raw);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		double ms = measure(g, &in, cases[i].forget, cases[i].checks, took, rounds);
		double reference = raw * (double)(cases[i].checks ? cases[i].checks : 1);
		printf("%s\t%.4f\tms\t%.4f\t%.2f\n", cases[i].metric, ms, reference, ms / reference);
	}
	engine_free(g);
	return 0;
}
