// view - reading a log that another process writes: records by number, and proofs about any size it had.
//
// Keeps 32 bytes for every AUDIT_TILE records and reads the rest of what a proof needs from the file, so a
// proof costs the hashes of a few hundred records and memory stays small. Safe to call from several threads.
#pragma once
#include "audit/chain.h"

enum { AUDIT_TILE_LEVEL = 7, AUDIT_TILE = 1 << AUDIT_TILE_LEVEL };

struct audit_view;

struct audit_view *audit_view_open(const char *path, struct err *e);
void audit_view_close(struct audit_view *v);
// Reads on to byte `bytes` of the file, where a record ends that is durable (UINT64_MAX: to its end). What
// lies behind may still be taken back by the writer. Codes: those of audit/chain.h.
int audit_view_extend(struct audit_view *v, uint64_t bytes, struct err *e);
uint64_t audit_view_size(struct audit_view *v);

// Of records that are known; else ERR_INPUT, audit.range.
int audit_view_root(struct audit_view *v, uint64_t size, merkle_hash out, struct err *e);
int audit_view_leaf(struct audit_view *v, uint64_t seq, merkle_hash out, struct err *e);
int audit_view_prove_leaf(struct audit_view *v, uint64_t size, uint64_t seq, struct merkle_path *out,
			  struct err *e);
int audit_view_prove_prefix(struct audit_view *v, uint64_t first, uint64_t size, struct merkle_path *out,
			    struct err *e);
// Records from `from` on, at most `max`, each to `fn`.
int audit_view_records(struct audit_view *v, uint64_t from, uint64_t max,
		       int (*fn)(void *arg, struct span line, struct err *e), void *arg, struct err *e);
