// seal - a question to a policy service and its answer, bound to a key that both have (HMAC-SHA256, RFC
// 2104).
//
// For a way whose TLS proves only the server: the service knows who asks, and the KMS that the answer is to
// this very question, made after it. A question carries a time and a random nonce, the answer's seal covers
// both, so no old answer passes for a new one. One header each way:
//
//     X-Dstack-Policy: TIME.NONCE.SEAL      question; seconds, 32 and 64 hex digits
//     X-Dstack-Policy: SEAL                 answer
//     SEAL = HMAC(key, "dstack-policy-question" or "dstack-policy-answer", LF, path, LF, TIME.NONCE, LF,
//     body)
#pragma once
#include "base/err.h"
#include "base/secret.h"
#include "core/codec/buf.h"

#define POLICY_SEAL_HEADER "X-Dstack-Policy"
enum {
	SEAL_KEY_MIN = 32,
	SEAL_SKEW_S = 60,
	SEAL_HEX = 64,
	SEAL_STAMP = 56,                           // "TIME.NONCE" and its NUL
	SEAL_QUESTION = SEAL_STAMP + 1 + SEAL_HEX, // with NUL
};

// The first line of a file that only its owner can read, at least 32 bytes. Code config.policy.
struct secret *policy_seal_key(const char *path, struct err *e);
// `stamp`: SEAL_STAMP bytes, kept for the answer; `out`: SEAL_QUESTION bytes. -1: no random numbers.
MUST_USE int policy_seal_question(const struct secret *key, const char *path, struct span body, uint64_t now,
				  char *stamp, char *out);
// Code auth.seal. `stamp` for the answer, when it holds.
MUST_USE int policy_seal_check_question(const struct secret *key, struct span path, struct span body,
					struct span header, uint64_t now, char *stamp, struct err *e);
MUST_USE bool policy_seal_answer(const struct secret *key, struct span path, const char *stamp,
				 struct span body,
				 char out[static SEAL_HEX + 1]); // false: out of memory
bool policy_seal_answer_holds(const struct secret *key, const char *path, const char *stamp, struct span body,
			      struct span header);
