// custody_wire - the messages between the agent and custody; both are one program, so plain structs.
//
// A request is its head and `a` and `b` behind it; algorithms are an enum, strings end with their NUL.
#pragma once
#include <stdbool.h>
#include "custody.h"

enum custody_op {
	CUSTODY_KEY,         // a: path, b: purpose
	CUSTODY_SECRET,      // a: path
	CUSTODY_SIGN,        // a: data, for secp256k1 a digest
	CUSTODY_SIGNING_KEY, // nothing
	CUSTODY_CERT,        // a: digest
	CUSTODY_OPS
};
enum custody_algorithm { CUSTODY_K256, CUSTODY_ED25519, CUSTODY_ALGORITHMS };
enum { CUSTODY_BYTES = 64 << 10, CUSTODY_PURPOSE_MAX = 60 << 10 };

struct custody_head {
	uint32_t op, algorithm, a_n, b_n;
};

struct custody_request {
	struct custody_head head;
	uint8_t bytes[CUSTODY_BYTES];
};

struct custody_reply {
	union {
		struct derived_key key;
		uint8_t secret[32];
		struct app_signature sig;
		struct {
			uint32_t n;
			uint8_t sig[72];
		} cert;
	};
	struct err err; // class ERR_NONE: done, and not sent
};

// The first message.
struct custody_ready {
	struct err err;
	struct app_public public;
};

// The keys of a file and what may be known of it. Takes `file`, also on failure.
int keyring_open(struct keyring *k, struct key_file *file, struct app_public *out, struct err *e)
	__attribute__((warn_unused_result));
void keyring_close(struct keyring *k);
// Answers one message of `n` bytes; false: it is not of the table.
bool custody_answer(struct keyring *k, const struct custody_request *q, size_t n, struct custody_reply *a);
// Bytes of a reply that are sent.
size_t custody_reply_size(const struct custody_reply *a);
// The process from its fork to its end.
void custody_run(int fd, const char *keys_file, uid_t user, pid_t parent) __attribute__((noreturn));
