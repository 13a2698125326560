#include "audit/view.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strings.h"

struct tiles { // hashes of the complete subtrees of one level
	merkle_hash *hash;
	size_t n, cap;
};

struct audit_view {
	int fd;
	pthread_mutex_t lock;
	struct audit_chain chain;
	struct tiles level[MERKLE_LEVELS - AUDIT_TILE_LEVEL]; // of AUDIT_TILE leaves and up
	uint64_t *offset;                                     // where each tile begins in the file
	size_t offsets, offsets_cap;
	struct merkle tree; // as chain.tree; kept here to see subtrees complete
	bool no_memory;
	uint64_t cached; // the tile whose leaves these are
	merkle_hash leaves[AUDIT_TILE];
	size_t n_leaves;
};

struct audit_view *audit_view_open(const char *path, struct err *e)
{
	struct audit_view *v = calloc(1, sizeof *v);

	if (!v) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	v->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	pthread_mutex_init(&v->lock, NULL);
	if (v->fd < 0) {
		err_errno(e, "open %s", path);
		audit_view_close(v);
		return NULL;
	}
	return v;
}

void audit_view_close(struct audit_view *v)
{
	if (!v)
		return;
	if (v->fd >= 0)
		close(v->fd);
	for (size_t i = 0; i < sizeof v->level / sizeof *v->level; i++)
		free(v->level[i].hash);
	free(v->offset);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

static bool grow(void **p, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return true;
	size_t want = *cap ? 2 * *cap : 64;
	void *q = realloc(*p, want * size);
	if (!q)
		return false;
	*p = q;
	*cap = want;
	return true;
}

static void keep_node(void *arg, unsigned level, uint64_t index, const merkle_hash h)
{
	struct audit_view *v = arg;

	(void)index;
	if (level < AUDIT_TILE_LEVEL)
		return;
	struct tiles *t = &v->level[level - AUDIT_TILE_LEVEL];
	void *p = t->hash;
	v->no_memory |= !grow(&p, t->n, &t->cap, sizeof *t->hash);
	t->hash = p;
	if (!v->no_memory)
		memcpy(t->hash[t->n++], h, MERKLE_HASH);
}

static int keep(void *arg, struct span line, const struct audit_record *r, const merkle_hash leaf,
		struct err *e)
{
	struct audit_view *v = arg;

	if (r->seq % AUDIT_TILE == 0) {
		void *p = v->offset;
		v->no_memory |= !grow(&p, v->offsets, &v->offsets_cap, sizeof *v->offset);
		v->offset = p;
		if (!v->no_memory)
			v->offset[v->offsets++] = v->chain.bytes - line.n - 1;
	}
	if (!v->no_memory)
		merkle_add(&v->tree, leaf, keep_node, v);
	return v->no_memory ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

static int need(const struct audit_view *v, uint64_t size, struct err *e)
{
	if (v->chain.tree.n < size)
		return err_code(e, ERR_INPUT, "audit.range", "the log has %llu records, not %llu",
				(unsigned long long)v->chain.tree.n, (unsigned long long)size);
	return 0;
}

int audit_view_extend(struct audit_view *v, uint64_t bytes, struct err *e)
{
	uint64_t tail;

	pthread_mutex_lock(&v->lock);
	int rc = v->no_memory ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
	if (!rc && v->chain.bytes < bytes)
		rc = audit_chain_read(&v->chain, v->fd, bytes, keep, v, &tail, e);
	pthread_mutex_unlock(&v->lock);
	return rc;
}

uint64_t audit_view_size(struct audit_view *v)
{
	pthread_mutex_lock(&v->lock);
	uint64_t n = v->chain.tree.n;
	pthread_mutex_unlock(&v->lock);
	return n;
}

// Lines of the file from the tile of `from` on; they were checked when they were first read.
struct walk {
	uint64_t seq, from, end;
	int (*fn)(void *arg, struct span line, struct err *e);
	void *arg;
};

static int walk(struct audit_view *v, struct walk *w, struct err *e)
{
	enum { CHUNK = 4 * (AUDIT_RECORD_MAX + 1) };
	auto_free uint8_t *b = malloc(CHUNK);
	uint64_t at = v->offset[w->from / AUDIT_TILE];
	size_t have = 0;

	w->seq = w->from / AUDIT_TILE * AUDIT_TILE;
	while (b && w->seq < w->end) {
		ssize_t n = pread(v->fd, b + have, CHUNK - have, (off_t)(at + have));
		if (n <= 0)
			return err_set(e, ERR_SYSTEM, "the audit log became shorter");
		have += (size_t)n;
		size_t done = 0;
		for (uint8_t *nl; w->seq < w->end && (nl = memchr(b + done, '\n', have - done)); w->seq++) {
			struct span line = span_of(b + done, (size_t)(nl - b) - done);
			if (w->seq >= w->from && w->fn(w->arg, line, e))
				return -1;
			done += line.n + 1;
		}
		at += done;
		have -= done;
		memmove(b, b + done, have);
	}
	return b ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

static int add_leaf(void *arg, struct span line, struct err *e)
{
	struct audit_view *v = arg;

	(void)e;
	merkle_leaf(line, v->leaves[v->n_leaves++]);
	return 0;
}

static int load_tile(struct audit_view *v, uint64_t tile, struct err *e)
{
	uint64_t from = tile * AUDIT_TILE, end = from + AUDIT_TILE;
	struct walk w = {
		.from = from, .end = end < v->chain.tree.n ? end : v->chain.tree.n, .fn = add_leaf, .arg = v
	};

	if (v->n_leaves && v->cached == tile && (v->n_leaves == AUDIT_TILE || from + v->n_leaves == w.end))
		return 0;
	v->n_leaves = 0;
	v->cached = tile;
	if (!walk(v, &w, e))
		return 0;
	v->n_leaves = 0;
	return -1;
}

// The hash of 2^level leaves within the loaded tile.
static void fold(const merkle_hash *leaves, unsigned level, merkle_hash out)
{
	merkle_hash left, right;

	if (!level) {
		memcpy(out, leaves[0], MERKLE_HASH);
		return;
	}
	fold(leaves, level - 1, left);
	fold(leaves + (1 << (level - 1)), level - 1, right);
	merkle_node(left, right, out);
}

static int node(void *arg, unsigned level, uint64_t index, merkle_hash out, struct err *e)
{
	struct audit_view *v = arg;

	if (level >= AUDIT_TILE_LEVEL) {
		memcpy(out, v->level[level - AUDIT_TILE_LEVEL].hash[index], MERKLE_HASH);
		return 0;
	}
	uint64_t first = index << level;
	if (load_tile(v, first / AUDIT_TILE, e))
		return -1;
	fold((const merkle_hash *)&v->leaves[first % AUDIT_TILE], level, out);
	return 0;
}

int audit_view_root(struct audit_view *v, uint64_t size, merkle_hash out, struct err *e)
{
	struct merkle_source s = { node, v };

	pthread_mutex_lock(&v->lock);
	int rc = need(v, size, e) || merkle_root_at(&s, size, out, e) ? -1 : 0;
	pthread_mutex_unlock(&v->lock);
	return rc;
}

int audit_view_leaf(struct audit_view *v, uint64_t seq, merkle_hash out, struct err *e)
{
	pthread_mutex_lock(&v->lock);
	int rc = seq == UINT64_MAX ? err_code(e, ERR_INPUT, "audit.range", "no such record")
		 : need(v, seq + 1, e) || node(v, 0, seq, out, e) ? -1
								  : 0;
	pthread_mutex_unlock(&v->lock);
	return rc;
}

int audit_view_prove_leaf(struct audit_view *v, uint64_t size, uint64_t seq, struct merkle_path *out,
			  struct err *e)
{
	struct merkle_source s = { node, v };

	pthread_mutex_lock(&v->lock);
	int rc = need(v, size, e) || merkle_prove_leaf(&s, size, seq, out, e) ? -1 : 0;
	pthread_mutex_unlock(&v->lock);
	return rc;
}

int audit_view_prove_prefix(struct audit_view *v, uint64_t first, uint64_t size, struct merkle_path *out,
			    struct err *e)
{
	struct merkle_source s = { node, v };

	pthread_mutex_lock(&v->lock);
	int rc = need(v, size, e) || merkle_prove_prefix(&s, first, size, out, e) ? -1 : 0;
	pthread_mutex_unlock(&v->lock);
	return rc;
}

int audit_view_records(struct audit_view *v, uint64_t from, uint64_t max,
		       int (*fn)(void *arg, struct span line, struct err *e), void *arg, struct err *e)
{
	pthread_mutex_lock(&v->lock);
	uint64_t size = v->chain.tree.n;
	struct walk w = { .from = from, .end = max < size - from ? from + max : size, .fn = fn, .arg = arg };
	int rc = from < size ? walk(v, &w, e) : 0;
	pthread_mutex_unlock(&v->lock);
	return rc;
}
