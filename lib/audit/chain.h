// chain - reading a log from its first byte: every record canonical, in order, bound to all before it.
//
// Each record carries the root of the tree before it, so a file proves itself without anything else; what it
// cannot prove, that it was not cut or replaced as a whole, a signed head from elsewhere does (audit/head.h).
#pragma once
#include "audit/record.h"

struct audit_chain {
	struct merkle tree;
	uint64_t bytes, time; // of the log so far
	merkle_hash id;       // of the log: its first record's leaf hash
};

// Appends a record that was read. Codes: audit.record, audit.chain, audit.time.
int audit_chain_take(struct audit_chain *c, struct span line, struct audit_record *r, merkle_hash leaf,
		     struct err *e);

// All complete lines of `fd` from c->bytes to `end` (UINT64_MAX: the file's), each taken and then shown to
// `fn` (may be NULL). *tail is how many bytes without newline follow: a record that was never finished.
typedef int audit_line_fn(void *arg, struct span line, const struct audit_record *r, const merkle_hash leaf,
			  struct err *e);
int audit_chain_read(struct audit_chain *c, int fd, uint64_t end, audit_line_fn *fn, void *arg,
		     uint64_t *tail, struct err *e);
