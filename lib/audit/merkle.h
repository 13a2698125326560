// merkle - the tree over an append-only log: its root, and proofs about it that anyone can check.
//
// RFC 6962 section 2.1 with SHA-256: a leaf is hashed with 0x00 before it, a node with 0x01, so neither
// passes for the other. Pure functions over public data.
#pragma once
#include "base/err.h"
#include "core/codec/buf.h"

enum { MERKLE_HASH = 32, MERKLE_LEVELS = 64, MERKLE_PATH_MAX = 2 * MERKLE_LEVELS };

typedef uint8_t merkle_hash[MERKLE_HASH];

// What must be kept to append: the roots of the complete subtrees, one for each bit of n that is set.
struct merkle {
	uint64_t n;
	merkle_hash peak[MERKLE_LEVELS];
};

void merkle_leaf(struct span record, merkle_hash out);
void merkle_node(const merkle_hash left, const merkle_hash right, merkle_hash out);
// Appends; `done(arg, level, index, hash)` (may be NULL) sees every subtree that becomes complete, leaf
// first.
void merkle_add(struct merkle *m, const merkle_hash leaf,
		void (*done)(void *arg, unsigned level, uint64_t index, const merkle_hash h), void *arg);
void merkle_root(const struct merkle *m, merkle_hash out); // of nothing: SHA-256 of nothing

// A proof is a path of hashes. Checking trusts nothing but the roots given.
struct merkle_path {
	size_t n;
	merkle_hash hash[MERKLE_PATH_MAX];
};
bool merkle_holds_leaf(const merkle_hash root, uint64_t size, uint64_t index, const merkle_hash leaf,
		       const struct merkle_path *p);
bool merkle_holds_prefix(const merkle_hash first_root, uint64_t first, const merkle_hash root, uint64_t size,
			 const struct merkle_path *p);

// Making one: `node` gives the hash of the complete subtree `index` of 2^level leaves.
struct merkle_source {
	int (*node)(void *arg, unsigned level, uint64_t index, merkle_hash out, struct err *e);
	void *arg;
};
int merkle_prove_leaf(const struct merkle_source *s, uint64_t size, uint64_t index, struct merkle_path *out,
		      struct err *e);
int merkle_prove_prefix(const struct merkle_source *s, uint64_t first, uint64_t size, struct merkle_path *out,
			struct err *e);
int merkle_root_at(const struct merkle_source *s, uint64_t size, merkle_hash out, struct err *e);
