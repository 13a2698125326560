#include "audit/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"

enum { ROOM = AUDIT_BATCH_MAX * (AUDIT_RECORD_MAX + 1) };

struct audit_log {
	int fd;
	bool broken;
	struct audit_chain durable, next; // on disk; with the batch
	size_t n;
	uint8_t batch[ROOM];
};

// ---- opening

// Heads as they come by: each must be the root of the records before it.
struct heads {
	char *text, *at;
	struct audit_head head;
	bool has;
};

static int next_head(struct heads *h, struct err *e)
{
	char *end = h->at ? strchr(h->at, '\n') : NULL;

	h->has = end != NULL; // a last line without newline was never finished: the next head replaces it
	if (!end)
		return 0;
	struct span line = span_of(h->at, (size_t)(end - h->at));
	h->at = end + 1;
	return audit_head_read(&h->head, line, e);
}

static int check_heads(struct heads *h, const struct audit_chain *c, struct err *e)
{
	merkle_hash root;

	while (h->has && h->head.size == c->tree.n) {
		merkle_root(&c->tree, root);
		if (memcmp(root, h->head.root, sizeof root) != 0 ||
		    memcmp(c->id, h->head.log_id, sizeof c->id) != 0)
			return err_code(e, ERR_UNTRUSTED, "audit.truncated",
					"the audit log is not the one whose head of %llu records was signed",
					(unsigned long long)h->head.size);
		if (next_head(h, e))
			return -1;
	}
	return 0;
}

struct reading {
	struct heads *heads;
	const struct audit_chain *chain;
};

static int on_line(void *arg, struct span line, const struct audit_record *r, const merkle_hash leaf,
		   struct err *e)
{
	struct reading *g = arg;

	(void)line, (void)r, (void)leaf;
	return check_heads(g->heads, g->chain, e);
}

static int read_heads(const char *dir, struct heads *h, struct err *e)
{
	enum { HEADS_MAX = 512 << 20 };
	auto_free char *path = str_format("%s/" AUDIT_HEADS_NAME, dir);
	size_t n;

	if (!path)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (file_exists(path) && file_read(path, HEADS_MAX, &h->text, &n, e))
		return -1;
	h->at = h->text;
	return next_head(h, e);
}

static int cut_tail(struct audit_log *l, uint64_t tail, struct err *e)
{
	if (tail && (ftruncate(l->fd, (off_t)l->durable.bytes) || fsync(l->fd)))
		return err_errno(e, "cut the unfinished record of the audit log");
	return 0;
}

static int replay(struct audit_log *l, const char *dir, uint64_t *cut, struct err *e)
{
	struct heads heads = { 0 };
	struct reading g = { &heads, &l->durable };
	int rc = read_heads(dir, &heads, e);

	rc = rc || audit_chain_read(&l->durable, l->fd, UINT64_MAX, on_line, &g, cut, e) ? -1 : 0;
	if (!rc && heads.has)
		rc = err_code(e, ERR_UNTRUSTED, "audit.truncated",
			      "the audit log has %llu records, but a head of %llu was signed: it was cut or "
			      "replaced",
			      (unsigned long long)l->durable.tree.n, (unsigned long long)heads.head.size);
	free(heads.text);
	return rc ? -1 : cut_tail(l, *cut, e);
}

static int sync_folder(const char *dir, struct err *e)
{
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? err_errno(e, "sync %s", dir) : 0;
}

static int open_file(struct audit_log *l, const char *dir, struct err *e)
{
	auto_free char *path = str_format("%s/" AUDIT_LOG_NAME, dir);
	bool made = !file_exists(dir);
	struct stat st;

	if (!path)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (made && file_mkdirs(dir, 0700, e))
		return -1;
	l->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->fd < 0 || fstat(l->fd, &st))
		return err_errno(e, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return err_code(e, ERR_INPUT, "audit.record", "%s is no file", path);
	if (flock(l->fd, LOCK_EX | LOCK_NB))
		return err_code(e, ERR_AGAIN, "audit.locked", "%s is another KMS's", path);
	return sync_folder(dir, e);
}

struct audit_log *audit_log_open(const char *dir, uint64_t *cut, struct err *e)
{
	struct audit_log *l = calloc(1, sizeof *l);

	*cut = 0;
	if (!l) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	l->fd = -1;
	if (open_file(l, dir, e) || replay(l, dir, cut, e)) {
		audit_log_close(l);
		return NULL;
	}
	l->next = l->durable;
	return l;
}

void audit_log_close(struct audit_log *l)
{
	if (l && l->fd >= 0)
		close(l->fd);
	free(l);
}

// ---- writing

static int unusable(const struct audit_log *l, struct err *e)
{
	return err_code(e, ERR_SYSTEM, "audit.unavailable",
			"the audit log %s: without a record nothing is given out",
			l->broken ? "could not be synced" : "cannot be written");
}

int audit_log_add(struct audit_log *l, struct audit_entry *x, uint64_t now_ms, uint64_t *seq,
		  struct span *line, struct err *e)
{
	struct audit_record r = { .seq = l->next.tree.n };
	struct wr w = wr_to(l->batch + l->n, sizeof l->batch - l->n);
	merkle_hash leaf;

	if (l->broken)
		return unusable(l, e);
	audit_entry_clean(x);
	r.time = now_ms > l->next.time ? now_ms : l->next.time;
	r.entry = *x;
	merkle_root(&l->next.tree, r.prev);
	audit_record_write(&w, &r);
	*line = span_of(l->batch + l->n, w.n);
	wr_u8(&w, '\n');
	if (w.bad)
		return err_code(e, ERR_AGAIN, "audit.full", "too many records wait to be written");
	// Read back as the next start will: what it would refuse must not be written.
	if (audit_chain_take(&l->next, *line, &r, leaf, e))
		return err_wrap(e, "new record");
	*seq = r.seq;
	l->n += w.n;
	return 0;
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t done = write(fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return -1;
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

int audit_log_commit(struct audit_log *l, struct err *e)
{
	size_t n = l->n;

	if (l->broken)
		return unusable(l, e);
	l->n = 0;
	if (!n)
		return 0;
	if (write_all(l->fd, l->batch, n)) {
		// No room, most likely. What was written of it must go before anything else is.
		l->next = l->durable;
		l->broken = ftruncate(l->fd, (off_t)l->durable.bytes) != 0;
		return unusable(l, e);
	}
	// After a failed sync the kernel may have dropped the pages: only reading the file again could tell.
	if (fdatasync(l->fd)) {
		l->broken = true;
		return unusable(l, e);
	}
	l->durable = l->next;
	return 0;
}

bool audit_log_broken(const struct audit_log *l)
{
	return l->broken;
}

void audit_log_head(const struct audit_log *l, struct audit_head *h, uint64_t *bytes)
{
	*h = (struct audit_head){ .size = l->durable.tree.n, .time = l->durable.time };
	memcpy(h->log_id, l->durable.id, sizeof h->log_id);
	merkle_root(&l->durable.tree, h->root);
	*bytes = l->durable.bytes;
}
