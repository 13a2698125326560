// audit - the KMS's side of its audit log: what goes into a record, signed heads on the disk, proofs, the
// clock.
//
// The key process writes the log (keyproc.h); this reads it for proofs, keeps a signed head of it in
// STATE/audit.heads at least every minute that something happened, and keeps time from running backwards over
// restarts (STATE/high-water). A peer without evidence can cause only so many records a minute. Formats and
// promises: docs/kms-audit.md.
#pragma once
#include <openssl/x509.h>
#include <pthread.h>

#include "audit/view.h"
#include "../keys/keyproc.h"
#include "ratls/trust.h"
#include "rpc/server.h"

struct kms_audit {
	struct keyproc *keys;
	struct audit_view *view;
	char *heads, *high_water;
	pthread_t keeper;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool running, stop;
	uint64_t now_ms;             // never goes back
	uint64_t head_size, head_at; // of the last head kept: records, monotonic milliseconds
	uint64_t unproven_max, unproven, minute, skipped;
	uint64_t records, refusals; // for metrics
};

int kms_audit_start(struct kms_audit *a, const char *state_dir, int64_t unproven_per_minute,
		    struct keyproc *keys, struct err *e);
void kms_audit_stop(struct kms_audit *a);
uint64_t kms_audit_now(struct kms_audit *a); // Unix seconds; not less than ever before

// The beginning of every record: who asks. `proved` NULL: nothing was. The certificate or the key and
// evidence may be absent.
void kms_audit_who(struct audit_entry *x, const struct boot_info *proved, X509 *cert);
void kms_audit_who_csr(struct audit_entry *x, const struct boot_info *proved, struct span spki,
		       struct span evidence);
// Refusals that were not recorded (beyond the limit) since this was last asked: for the next record.
uint64_t kms_audit_skipped(struct kms_audit *a);
// Records that the answer is the error in `e`, durably; then it may be given. Always -1: when no record can
// be made, with the error that says so (audit.unavailable, audit.rate).
int kms_audit_refuse(struct kms_audit *a, struct audit_entry *x, struct err *e);
// Something was changed by an operator: recorded before it takes effect.
int kms_audit_change(struct kms_audit *a, enum audit_event event, const uint8_t *digest, const char *what,
		     uint64_t *seq, struct err *e);

// A signed head as it goes over the wire; NULL: out of memory.
struct Kms__AuditHead *kms_audit_head_message(struct arena *a, const struct audit_head *h);
// Methods; the mount's argument is the struct service.
rpc_fn kms_audit_checkpoint, kms_audit_proof, kms_audit_log;
