// log - the writer of an audit log: many records, one fdatasync, and only then the answers.
//
// One process owns a log (flock). audit_log_add keeps a record in memory, audit_log_commit makes all of them
// durable; whoever answers before that breaks the promise of the log. Opening reads the whole file and
// checks it: an unfinished last record is cut, anything else that does not follow is refused, and so is a log
// that a signed head in DIR/audit.heads contradicts. Files: DIR/audit.log (one record a line),
// DIR/audit.heads. Codes: audit.locked, audit.missing, audit.truncated, audit.full, audit.unavailable, those
// of audit/chain.h.
#pragma once
#include "audit/chain.h"
#include "audit/head.h"

#define AUDIT_LOG_NAME   "audit.log"
#define AUDIT_HEADS_NAME "audit.heads"
enum { AUDIT_BATCH_MAX = 64 };

struct audit_log;

// Makes DIR and an empty log where there is none of either. *cut: bytes of an unfinished record removed.
struct audit_log *audit_log_open(const char *dir, uint64_t *cut, struct err *e);
void audit_log_close(struct audit_log *l);
// seq, time (never before `now_ms` nor the last record's) and prev are the log's to fill in; the entry is
// cleaned. *line is valid until the next audit_log_add after a commit.
int audit_log_add(struct audit_log *l, struct audit_entry *x, uint64_t now_ms, uint64_t *seq,
		  struct span *line, struct err *e);
// On failure nothing of the batch is in the log and the log can be used again, unless audit_log_broken.
int audit_log_commit(struct audit_log *l, struct err *e);
bool audit_log_broken(const struct audit_log *l); // what is on the disk is not known: stop
// Of what is durable: its head, not signed, and how many bytes of the file it is.
void audit_log_head(const struct audit_log *l, struct audit_head *h, uint64_t *bytes);
