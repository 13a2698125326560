// keyrules - the keypolicy of a running KMS: read again when its file changes, applied to every release,
// never taken back to an older version.
//
// A change is recorded in the audit log before it holds. When keyrules_change returns, no answer that was
// decided before the change is still being made. STATE/keypolicy.json, STATE/keypolicy.seen (version and hash
// last in force). Codes: keypolicy.rollback, keypolicy.root, epoch.root, and those of policy/keypolicy.h.
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "../log/audit.h"
#include "gate.h"
#include "policy/keypolicy.h"

struct keyrules {
	struct kms_audit *audit;
	const atomic_uint *sets; // how many root sets there are
	char *path, *seen;
	pthread_mutex_t lock;
	struct gate gate; // answers being made
	struct keypolicy *policy;
	uint8_t digest[32];  // of the document in force
	struct stat file;    // as it was last read
	struct err trouble;  // class not ERR_NONE: the file cannot be used, so nothing is given out
	uint64_t generation; // of the document
	uint64_t last_seq;   // of the record of the last change
};

int keyrules_open(struct keyrules *r, const char *state_dir, struct kms_audit *audit, const atomic_uint *sets,
		  struct err *e);
void keyrules_close(struct keyrules *r);

// What a release is made under: from keyrules_enter to keyrules_leave.
struct keyrules_case {
	struct gate_pass pass;
	uint64_t epochs[AUDIT_EPOCHS_MAX], ends[AUDIT_EPOCHS_MAX], current;
	uint32_t roots[AUDIT_EPOCHS_MAX]; // that the epochs hang on
	uint32_t n;
	uint64_t until;      // when this guest is revoked, or its certificate's epoch ends; UINT64_MAX: never
	bool own, learned;   // whose rule: an operator's for this app, or the policy's; else the default
	uint64_t cert_epoch; // that a certificate ends with
};
struct keyrules_ask {
	const uint64_t *epoch; // NULL: none was named
	bool earlier;          // those before it, too
	bool only_cert;        // a certificate, no keys
	uint32_t root; // the set that is served where the guest asks: no other is given, but earlier keys
};
// `b` is verified. `q` NULL: only whether the guest may get anything.
int keyrules_enter(struct keyrules *r, struct keyrules_case *c, const struct boot_info *b,
		   const struct keyrules_ask *q, struct err *e);
void keyrules_leave(struct keyrules *r,
		    struct keyrules_case *c); // nothing when it is not inside; never waits
// The epoch of an app's public environment key.
int keyrules_epoch(struct keyrules *r, const uint8_t app[static 20], const uint64_t *asked, uint32_t root,
		   uint64_t *out, struct err *e);

// What the policy says of an app's epochs comes into force with its answer, recorded, before keyrules_enter;
// `source` is who said so.
int keyrules_learn(struct keyrules *r, const uint8_t app[static 20], const struct policy_epochs *x,
		   const char *source, struct err *e);
// What is in force, for who must know all of it: `fn` runs under the lock. `generation` changes with it.
int keyrules_read(struct keyrules *r, void (*fn)(void *arg, const struct keypolicy *p, uint64_t generation),
		  void *arg, struct err *e);

// `what` says in words what `change` does, for the record.
int keyrules_change(struct keyrules *r, int (*change)(struct keypolicy *p, void *arg, struct err *e),
		    void *arg, const char *what, struct err *e);
int keyrules_document(struct keyrules *r, struct sb *out, uint64_t *version, uint64_t *seq, struct err *e);
