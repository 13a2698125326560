// The seal header of a policy question, and of an answer: any bytes; without the key none passes. The first
// byte says how much of the rest is the header, what follows is the body.
#include <stdlib.h>
#include <string.h>

#include "policy/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1700000000 };
static const char path[] = "/bootAuth/app";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct secret *key;
	char stamp[SEAL_STAMP], q[SEAL_QUESTION];
	struct err e = { 0 };

	if (!key)
		key = secret_random(SEAL_KEY_MIN);
	if (!key || !size)
		return 0;
	size_t n = data[0] < size - 1 ? data[0] : size - 1;
	struct span header = span_of(data + 1, n), body = span_of(data + 1 + n, size - 1 - n);
	if (!policy_seal_check_question(key, span_str(path), body, header, NOW, stamp, &e) || !*e.code)
		abort();
	if (policy_seal_answer_holds(key, path, "1.00", body, header))
		abort();
	// A genuine one, with its bytes replaced by the input's: only the genuine one passes.
	if (policy_seal_question(key, path, body, NOW, stamp, q))
		return 0;
	char was[SEAL_QUESTION];
	memcpy(was, q, sizeof q);
	size_t len = strlen(q);
	for (size_t i = 0; i + 1 < n; i += 2)
		q[header.p[i] % len] ^= (char)header.p[i + 1];
	bool same = !memcmp(was, q, len);
	if (!policy_seal_check_question(key, span_str(path), body, span_of(q, len), NOW, stamp, &e) != same)
		abort();
	return 0;
}
