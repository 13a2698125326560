// kms_log - the parts of `dstack kms log verify`: a log as a file, the log of a KMS, what peers keep of it.
#pragma once
#include "audit/witness.h"
#include "base/arena.h"
#include "context.h"
#include "rpc/client.h"

enum { LOG_PEERS = 16, LOG_SEEN = 64, LOG_TEXT_MAX = 64 * 1024 };

// A head that somebody kept: the log must begin with what it is of.
struct log_seen {
	struct audit_head head;
	const char *from; // who kept it
	bool refused;     // by who kept it: if this log does not have it either, two were shown
	bool holds;
};

struct log_check {
	const char *target, *head_file, *record_file, *save, *dir;
	const char *peer[LOG_PEERS]; // URL, or a file of STATE/audit.peers
	size_t n_peers;
	bool json, pinned, unverified;
	uint8_t pin[33];
	const char *root_file; // the KMS root, who must answer
	char *root_pem;
	struct context context;
	struct arena *arena;
	struct log_seen seen[LOG_SEEN];
	size_t n_seen;
	bool has_head, has_record;
	char *record; // in hand
	uint64_t seq;
	merkle_hash leaf;
	// What was found.
	merkle_hash id, root;
	uint64_t size, time, heads, tail;
	bool record_holds, signed_now;
	struct audit_head now;
	size_t n_notes;
	const char *note[LOG_PEERS]; // what a peer was shown beside it
};

int log_add_seen(struct log_check *v, const struct audit_head *h, const char *from, bool refused,
		 struct err *e);
// audit.truncated, or audit.fork when it is one of two heads that do not go together.
int log_too_short(const struct log_check *v, const struct log_seen *s, struct err *e);
// The target is a file or the folder of one: v->seen is checked with it. Without a first reading the log's id
// is not known, so it comes before the peers do.
int log_file_id(struct log_check *v, struct err *e);
int log_file_verify(struct log_check *v, struct err *e);
// The target is a KMS: its head, believed if it is signed; then proofs that lead from what was seen to it.
int log_url_head(struct log_check *v, struct err *e);
int log_url_verify(struct log_check *v, struct err *e);
// What the peers keep of log v->id, into v->seen. Code audit.no_witness.
int log_peers(struct log_check *v, struct err *e);
// A client of a KMS whose certificate is the RPC one of a KMS under the pinned root. Code cli.kms_root.
struct rpc_client *log_client(struct log_check *v, const char *url, struct err *e);
bool log_is_url(const char *target);
