#include "audit/merkle.h"

#include <string.h>

#include "core/hash/sha2.h"

void merkle_leaf(struct span record, merkle_hash out)
{
	static const uint8_t tag = 0;
	struct sha256 s;

	sha256_init(&s);
	sha256_add(&s, &tag, 1);
	sha256_add(&s, record.p, record.n);
	sha256_end(&s, out);
}

void merkle_node(const merkle_hash left, const merkle_hash right, merkle_hash out)
{
	uint8_t b[1 + 2 * MERKLE_HASH] = { 1 };

	memcpy(b + 1, left, MERKLE_HASH);
	memcpy(b + 1 + MERKLE_HASH, right, MERKLE_HASH);
	sha256(b, sizeof b, out);
}

void merkle_add(struct merkle *m, const merkle_hash leaf,
		void (*done)(void *arg, unsigned level, uint64_t index, const merkle_hash h), void *arg)
{
	merkle_hash h;
	unsigned level = 0;

	memcpy(h, leaf, sizeof h);
	if (done)
		done(arg, 0, m->n, h);
	for (uint64_t at = m->n; at & 1; at >>= 1) {
		merkle_node(m->peak[level], h, h);
		level++;
		if (done)
			done(arg, level, at >> 1, h);
	}
	memcpy(m->peak[level], h, sizeof h);
	m->n++;
}

void merkle_root(const struct merkle *m, merkle_hash out)
{
	bool any = false;

	if (!m->n) {
		sha256("", 0, out);
		return;
	}
	for (unsigned level = 0; level < MERKLE_LEVELS; level++) {
		if (!(m->n >> level & 1))
			continue;
		if (any)
			merkle_node(m->peak[level], out, out);
		else
			memcpy(out, m->peak[level], MERKLE_HASH);
		any = true;
	}
}

// RFC 9162 section 2.1.3.2: the same trees, the check spelled out.
bool merkle_holds_leaf(const merkle_hash root, uint64_t size, uint64_t index, const merkle_hash leaf,
		       const struct merkle_path *p)
{
	uint64_t fn = index, sn = size - 1;
	merkle_hash h;

	if (index >= size)
		return false;
	memcpy(h, leaf, sizeof h);
	for (size_t i = 0; i < p->n; i++) {
		if (!sn)
			return false;
		if ((fn & 1) || fn == sn) {
			merkle_node(p->hash[i], h, h);
			while (!(fn & 1) && fn) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			merkle_node(h, p->hash[i], h);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return !sn && !memcmp(h, root, sizeof h);
}

// RFC 9162 section 2.1.4.2.
bool merkle_holds_prefix(const merkle_hash first_root, uint64_t first, const merkle_hash root, uint64_t size,
			 const struct merkle_path *p)
{
	merkle_hash a, b;
	size_t i = 0;

	if (!first || first > size)
		return false;
	if (first == size)
		return !p->n && !memcmp(first_root, root, MERKLE_HASH);
	uint64_t fn = first - 1, sn = size - 1;
	while (fn & 1) {
		fn >>= 1;
		sn >>= 1;
	}
	// A first tree that is one complete subtree is not in the path: the checker has it.
	if (fn && !p->n)
		return false;
	memcpy(a, fn ? p->hash[i++] : first_root, sizeof a);
	memcpy(b, a, sizeof b);
	for (; i < p->n; i++) {
		if (!sn)
			return false;
		if ((fn & 1) || fn == sn) {
			merkle_node(p->hash[i], a, a);
			merkle_node(p->hash[i], b, b);
			while (!(fn & 1) && fn) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			merkle_node(b, p->hash[i], b);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return !sn && !memcmp(a, first_root, sizeof a) && !memcmp(b, root, sizeof b);
}

// The hash of the leaves [at, at + n): a complete subtree, or the node over the largest one and the rest.
static int hash_of(const struct merkle_source *s, uint64_t at, uint64_t n, merkle_hash out, struct err *e)
{
	merkle_hash part[MERKLE_LEVELS];
	size_t parts = 0;

	do { // n > 0
		unsigned level = 63 - (unsigned)__builtin_clzll(n);
		if (s->node(s->arg, level, at >> level, part[parts++], e))
			return -1;
		at += UINT64_C(1) << level;
		n -= UINT64_C(1) << level;
	} while (n && parts < MERKLE_LEVELS);
	memcpy(out, part[--parts], MERKLE_HASH);
	while (parts--)
		merkle_node(part[parts], out, out);
	return 0;
}

// The largest power of two below n, n > 1.
static uint64_t split(uint64_t n)
{
	return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

static int out_of_range(struct err *e, uint64_t got, uint64_t size)
{
	return err_code(e, ERR_INPUT, "audit.range", "the log has %llu records, %llu is not among them",
			(unsigned long long)size, (unsigned long long)got);
}

static void reverse(struct merkle_path *p)
{
	for (size_t i = 0, j = p->n; i + 1 < j--; i++) {
		merkle_hash h;

		memcpy(h, p->hash[i], sizeof h);
		memcpy(p->hash[i], p->hash[j], sizeof h);
		memcpy(p->hash[j], h, sizeof h);
	}
}

// From the root down; the path is written from the leaf up.
int merkle_prove_leaf(const struct merkle_source *s, uint64_t size, uint64_t index, struct merkle_path *out,
		      struct err *e)
{
	uint64_t at = 0, n = size;

	out->n = 0;
	if (index >= size)
		return out_of_range(e, index, size);
	while (n > 1) {
		uint64_t k = split(n);
		bool left = index - at < k;
		if (hash_of(s, left ? at + k : at, left ? n - k : k, out->hash[out->n++], e))
			return -1;
		at += left ? 0 : k;
		n = left ? k : n - k;
	}
	reverse(out);
	return 0;
}

int merkle_prove_prefix(const struct merkle_source *s, uint64_t first, uint64_t size, struct merkle_path *out,
			struct err *e)
{
	uint64_t at = 0, n = size, m = first;
	bool whole = true; // the checker knows the hash of [at, at + m) when it is the first tree itself

	out->n = 0;
	if (!first || first > size)
		return out_of_range(e, first, size);
	while (m < n) {
		uint64_t k = split(n);
		bool left = m <= k;
		if (hash_of(s, left ? at + k : at, left ? n - k : k, out->hash[out->n++], e))
			return -1;
		if (left) {
			n = k;
		} else {
			at += k;
			n -= k;
			m -= k;
			whole = false;
		}
	}
	if (!whole && hash_of(s, at, n, out->hash[out->n++], e))
		return -1;
	reverse(out);
	return 0;
}

int merkle_root_at(const struct merkle_source *s, uint64_t size, merkle_hash out, struct err *e)
{
	if (size)
		return hash_of(s, 0, size, out, e);
	struct merkle none = { 0 };
	merkle_root(&none, out);
	return 0;
}
