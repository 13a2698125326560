// judge - one piece of evidence judged: the part of lib/ratls/trust that reads a stranger's bytes.
//
// It computes and nothing else. What it needs from outside (collateral for the platform, the image of that
// hash) it asks of a `struct judge_source`, so it can run where there are no files and no network: the KMS
// runs it in processes of their own (kms/judge/judges.h). Question and answer are plain values that can be
// sent; judge_well_formed tells whether one from such a process can be used. An engine is used by one thread
// at a time.
#pragma once
#include <pthread.h>

#include "ratls/trust.h"
#include "ratls/verify.h"

// Collateral one piece after the other, as long as another may help (pccs.h): 0 and *json, good until the
// next call; 1: there is no other; -1: none could be had. Then `refused` or `verified` says what became of
// it.
struct judge_source {
	void *arg;
	void (*again)(void *arg); // the first try broke off: the questions begin anew
	int (*collateral)(void *arg, const struct dcap_platform *p, struct span *json, struct err *e);
	void (*refused)(void *arg, const struct err *why);
	int (*verified)(void *arg, uint64_t expires, bool *older, struct err *e);
	// Collateral that came with the evidence and verified.
	int (*offered)(void *arg, const struct dcap_result *q, struct span json, bool *older, struct err *e);
	// -1: no such image, *e says why.
	int (*image)(void *arg, struct verify_image *out, const uint8_t os_image_hash[static 32],
		     uint64_t memory, struct err *e);
};

struct judge_answer {
	int rc; // 0: trusted; -1: `err`
	struct err err;
	uint64_t until;                         // a certificate's result holds so long
	uint64_t signatures, signatures_cached; // checks run, and known before
	struct trust_result result;
};

// Trusts the roots of this configuration.
struct engine *judge_engine(const struct trust_config *c, struct err *e);
// `lock` NULL: the engine is this thread's alone. Spans of `in` are read until it returns.
void judge_run(struct engine *g, pthread_mutex_t *lock, const struct judge_source *from,
	       const struct verify_input *in, struct judge_answer *out);
// Are counts within their arrays, texts ended, enumerations and truth values of their kinds, and does it say
// the same everywhere? Reads any bytes.
bool judge_well_formed(const struct judge_answer *a);
bool judge_well_formed_quote(const struct dcap_result *q);
bool judge_well_formed_error(const struct err *e);
bool judge_well_formed_platform(const struct dcap_platform *p);
