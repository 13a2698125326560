// verify - what verifying a TDX quote costs beside the bare elliptic-curve arithmetic, in one process.
//
//   bench-verify QUOTE COLLATERAL UNIX-TIME [ROUNDS [VERIFICATIONS]]
// Lines: metric, median, unit, reference, ratio, budget of the ratio where there is one.
// cold: nothing known, nine P-256 verifications. warm: collateral known, three (PCK leaf, QE report, quote).
// leaf: the platform's certificate known too, two. again: the same quote once more, none. The reference is as
// many bare verifications. hostile_cpu, hostile_memory: the worst of tests/tools/hostile.c, before any good
// signature. growth: resident bytes more after so many verifications.
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/strings.h"
#include "crypto/engine.h"
#include "hostile.h"
#include "proc.h"

enum { ROUNDS = 400, ROUNDS_MAX = 100000, VERIFICATIONS = 1000000, HOSTILE_ROUNDS = 7 };

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

static void speed(struct engine *g, const struct dcap_input *in, double *took, size_t rounds)
{
	static const struct {
		const char *metric;
		enum reason forget;
		size_t checks;
		double budget;
	} cases[] = {
		{ "verify.cold", REASON_OK, 9, 1.8 },
		{ "verify.warm", REASON_PCK_CHAIN, 3, 2.0 },
		{ "verify.leaf", REASON_QE_SIGNATURE, 2, 2.0 },
		{ "verify.again", REASON_COUNT, 0, 0 },
	};
	double raw = raw_p256(took, rounds);

	printf("verify.p256\t%.4f\tms\t%.4f\t1.00\n", raw, raw);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		double ms = measure(g, in, cases[i].forget, cases[i].checks, took, rounds);
		double reference = raw * (double)(cases[i].checks ? cases[i].checks : 1);
		printf("%s\t%.4f\tms\t%.4f\t%.2f", cases[i].metric, ms, reference, ms / reference);
		printf(cases[i].budget > 0 ? "\t%.1f\n" : "\n", cases[i].budget);
	}
}

// The median of the worst input's times, and how much memory all of them together ever took.
static void hostile(struct engine *g)
{
	double worst = 0, took[HOSTILE_ROUNDS];
	size_t n, worst_at = 0;
	const struct hostile *all = hostile_all(&n);
	char code[64];
	long before = proc_resident_kib();

	proc_peak_reset();
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < HOSTILE_ROUNDS; k++) {
			engine_forget(g, REASON_OK);
			double t = now_ms();
			(void)hostile_run(&all[i], g, code, sizeof code);
			took[k] = now_ms() - t;
		}
		double ms = median(took, HOSTILE_ROUNDS);
		if (ms > worst) {
			worst = ms;
			worst_at = i;
		}
	}
	double mib = (double)(proc_peak_kib() - before) / 1024;
	fprintf(stderr, "of %zu hostile inputs the most expensive is \"%s\" (%zu bytes)\n", n,
		all[worst_at].name, all[worst_at].bytes.n + all[worst_at].collateral.n);
	printf("verify.hostile_cpu\t%.3f\tms\t5\t%.2f\t1.0\n", worst, worst / 5);
	printf("verify.hostile_memory\t%.2f\tMiB\t4\t%.2f\t1.0\n", mib, mib / 4);
}

// Known quotes, and now and then one with nothing known and one that is hostile.
static void growth(struct engine *g, const struct dcap_input *in, uint64_t times)
{
	enum { COLD = 100, HOSTILE = 1000 };
	size_t n;
	const struct hostile *all = hostile_all(&n);
	struct dcap_result r;
	struct err e;
	char code[64];
	const uint64_t warm_up = 2 * n * HOSTILE; // until every input was in every place
	long before = 0;

	for (uint64_t i = 0; i < times + warm_up; i++) {
		if (i == warm_up)
			before = proc_resident_kib();
		if (i % HOSTILE == 0)
			(void)hostile_run(&all[i / HOSTILE % n], g, code, sizeof code);
		if (i % COLD == 0)
			engine_forget(g, REASON_OK);
		if (dcap_verify(g, in, &r, &e)) {
			fprintf(stderr, "%s\n", e.text);
			exit(1);
		}
	}
	long bytes = (proc_resident_kib() - before) * 1024;
	printf("verify.growth\t%ld\tbytes\t%llu\t%.3f\t0.0\n", bytes, (unsigned long long)times,
	       times ? (double)bytes / (double)times : 0);
}

int main(int argc, char **argv)
{
	static double took[ROUNDS_MAX];
	struct dcap_input in = { 0 };
	uint64_t rounds = ROUNDS, times = VERIFICATIONS;
	struct err e;

	if (argc < 4 || !str_u64(argv[3], &in.now) ||
	    (argc > 4 && !str_uint(argv[4], 1, ROUNDS_MAX, &rounds)) ||
	    (argc > 5 && !str_u64(argv[5], &times))) {
		fputs("usage: bench-verify QUOTE COLLATERAL UNIX-TIME [ROUNDS [VERIFICATIONS]]\n", stderr);
		return 2;
	}
	in.quote = load(argv[1]);
	in.collateral = load(argv[2]);
	struct engine *g = engine_new(&e);
	if (!g)
		return 1;
	speed(g, &in, took, rounds);
	hostile(g);
	growth(g, &in, times);
	hostile_free();
	engine_free(g);
	return 0;
}
