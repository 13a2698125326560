// Proofs: bytes taken as a path never prove what is not so. The first bytes choose a tree, a question and a
// lie.
#include <stdlib.h>
#include <string.h>

#include "audit/head.h"
#include "audit/merkle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LEAVES = 64 };
static merkle_hash leaf[LEAVES], root[LEAVES + 1];

static void build(void)
{
	struct merkle m = { 0 };

	merkle_root(&m, root[0]);
	for (uint8_t i = 0; i < LEAVES; i++) {
		merkle_leaf(span_of(&i, 1), leaf[i]);
		merkle_add(&m, leaf[i], NULL, NULL);
		merkle_root(&m, root[i + 1]);
	}
}

static int node(void *arg, unsigned level, uint64_t index, merkle_hash out, struct err *e)
{
	merkle_hash right;

	if (!level) {
		memcpy(out, leaf[index], sizeof right);
		return 0;
	}
	if (node(arg, level - 1, 2 * index, out, e) || node(arg, level - 1, 2 * index + 1, right, e))
		return -1;
	merkle_node(out, right, out);
	return 0;
}

static bool same(const struct merkle_path *a, const struct merkle_path *b)
{
	return a->n == b->n && !memcmp(a->hash, b->hash, a->n * sizeof *a->hash);
}

static void heads(const uint8_t *data, size_t size)
{
	uint8_t text[AUDIT_HEAD_MAX];
	struct wr w = wr_to(text, sizeof text);
	struct audit_head h, again;
	struct err e;

	if (audit_head_read(&h, span_of(data, size), &e))
		return;
	audit_head_write(&w, &h);
	if (w.bad || audit_head_read(&again, span_of(text, w.n), &e) || memcmp(&h, &again, sizeof h) != 0)
		abort();
	(void)!audit_head_check(&h, NULL, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct merkle_source source = { node, NULL };
	struct merkle_path path = { 0 }, good;
	struct err e;

	heads(data, size);
	if (size < 4)
		return 0;
	build();
	uint64_t n = 1 + data[0] % LEAVES, i = data[1] % LEAVES, first = data[2] % (LEAVES + 2);
	struct rd in = rd_from(data + 4, size - 4);
	// The true path with some bytes replaced, so that the fuzzer need not find hashes.
	if (i < n && !merkle_prove_leaf(&source, n, i, &good, &e)) {
		path = good;
		for (size_t k = 0; rd_left(&in) >= 3 && k < 4; k++) {
			uint16_t at = rd_be16(&in);
			((uint8_t *)path.hash)[at % (MERKLE_HASH * (path.n + 1))] ^= rd_u8(&in);
		}
		path.n = data[3] % 8 ? path.n : data[3] % MERKLE_PATH_MAX;
		if (merkle_holds_leaf(root[n], n, i, leaf[i], &path) != same(&path, &good))
			abort();
		if (merkle_holds_leaf(root[n], n, i, leaf[(i + 1) % LEAVES], &path))
			abort();
	}
	if (!first || first > n || merkle_prove_prefix(&source, first, n, &good, &e))
		return 0;
	path = good;
	if (path.n && rd_left(&in) >= 2)
		path.hash[rd_u8(&in) % path.n][0] ^= rd_u8(&in);
	if (merkle_holds_prefix(root[first], first, root[n], n, &path) != same(&path, &good))
		abort();
	if (first < n && merkle_holds_prefix(root[first - 1], first, root[n], n, &path))
		abort();
	return 0;
}
