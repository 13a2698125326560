// The environment's signed envelope, judged before any key is there: its author is whoever can reach the
// share. The first byte says what is changed of a good one, or that the rest is to be judged as it is.
#include <stdlib.h>
#include <string.h>

#include "sender.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const uint8_t seed[ED25519_SEED] = { 1 }, app[ENVSIGN_APP] = { 2 };

static void judge(struct span file, bool good)
{
	struct compose *c = calloc(1, sizeof *c);
	struct sender s;
	struct err e = { 0 };

	if (!c || ed25519_public(seed, c->env_signers[0], &e))
		abort();
	c->n_env_signers = 1;
	int rc = sender_judge(c, app, file, &s, &e);
	if (!rc != good || (rc && !*e.code)) // only what the deployer signed passes, every refusal has a code
		abort();
	if (!rc && (!s.version || s.box.p != file.p + ENVSIGN_HEAD || s.box.n != file.n - ENVSIGN_HEAD))
		abort();
	free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct err e = { 0 };

	if (n < 12 || n > 4096)
		return 0;
	uint64_t version = 1 + (uint64_t)p[1];
	size_t at = (size_t)(p[2] | p[3] << 8);
	struct span box = span_of(p + 4, n - 4);
	uint8_t *out = malloc(ENVSIGN_HEAD + box.n);
	if (!out)
		abort();
	judge(span_of(p + 1, n - 1), false);
	if (envsign_write(seed, app, version, box, out, &e))
		abort();
	if (p[0] & 1) // one bit of it is another
		out[at % (ENVSIGN_HEAD + box.n)] ^= (uint8_t)(1 << (p[0] >> 5));
	judge(span_of(out, ENVSIGN_HEAD + box.n), !(p[0] & 1) && box.n >= 60);
	free(out);
	return 0;
}
