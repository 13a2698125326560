// A log as a file: every record follows from those before it, every signed head is of a beginning of it.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "audit/log.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "kms_log.h"

enum { HEADS_MAX = 512 << 20 };

struct walk {
	struct log_check *v;
	const struct audit_chain *chain;
	char *heads, *at; // the heads kept beside the log
	struct audit_head next;
	bool has_next;
};

static int fork_found(const struct audit_head *was, const char *from, struct err *e)
{
	return err_code(e, ERR_UNTRUSTED, "audit.fork",
			"%s: the head of %llu records, signed at %llu, is not that of this log: the log was "
			"changed after it was shown",
			from, (unsigned long long)was->size, (unsigned long long)was->time);
}

static int next_head(struct walk *w, struct err *e)
{
	char *end = w->at ? strchr(w->at, '\n') : NULL;

	w->has_next = end != NULL;
	if (!end)
		return 0;
	struct span line = span_of(w->at, (size_t)(end - w->at));
	w->at = end + 1;
	return audit_head_read(&w->next, line, e) ||
			       audit_head_check(&w->next, w->v->pinned ? w->v->pin : NULL, e)
		       ? -1
		       : 0;
}

static int check_seen(struct walk *w, struct err *e)
{
	merkle_hash root;

	for (size_t i = 0; i < w->v->n_seen; i++) {
		struct log_seen *s = &w->v->seen[i];
		if (s->head.size != w->chain->tree.n)
			continue;
		merkle_root(&w->chain->tree, root);
		s->holds = !memcmp(root, s->head.root, sizeof root);
		if (!s->holds)
			return fork_found(&s->head, s->from, e);
	}
	return 0;
}

static int on_record(void *arg, struct span line, const struct audit_record *r, const merkle_hash leaf,
		     struct err *e)
{
	struct walk *w = arg;
	struct log_check *v = w->v;
	merkle_hash root;

	(void)line;
	if (v->has_record && r->seq == v->seq)
		v->record_holds = !memcmp(leaf, v->leaf, sizeof v->leaf);
	if (check_seen(w, e))
		return -1;
	if (!w->has_next || w->next.size != w->chain->tree.n)
		return 0;
	merkle_root(&w->chain->tree, root);
	while (w->has_next && w->next.size == w->chain->tree.n) {
		if (memcmp(root, w->next.root, sizeof root) != 0 ||
		    memcmp(w->chain->id, w->next.log_id, sizeof root) != 0)
			return fork_found(&w->next, "beside the log", e);
		v->heads++;
		if (next_head(w, e))
			return -1;
	}
	return 0;
}

static int all_held(const struct log_check *v, struct err *e)
{
	for (size_t i = 0; i < v->n_seen; i++)
		if (!v->seen[i].holds)
			return log_too_short(v, &v->seen[i], e);
	return 0;
}

static int walk_file(struct log_check *v, int fd, const char *heads_path, struct err *e)
{
	struct audit_chain chain = { 0 };
	struct walk w = { .v = v, .chain = &chain };
	auto_free char *heads = NULL;
	size_t n;

	if (file_exists(heads_path) && file_read(heads_path, HEADS_MAX, &heads, &n, e))
		return -1;
	w.at = heads;
	if (next_head(&w, e) || audit_chain_read(&chain, fd, UINT64_MAX, on_record, &w, &v->tail, e))
		return -1;
	if (w.has_next)
		return err_code(e, ERR_UNTRUSTED, "audit.truncated",
				"the log has %llu records, but a head of %llu was signed",
				(unsigned long long)chain.tree.n, (unsigned long long)w.next.size);
	merkle_root(&chain.tree, v->root);
	v->size = chain.tree.n;
	v->time = chain.time;
	return all_held(v, e);
}

// The file, and the heads beside it.
static int paths(const struct log_check *v, char **log, char **heads, struct err *e)
{
	struct stat st;
	bool dir = !stat(v->target, &st) && S_ISDIR(st.st_mode);

	*log = dir ? arena_fmt(v->arena, "%s/" AUDIT_LOG_NAME, v->target) : arena_str(v->arena, v->target);
	const char *slash = *log ? strrchr(*log, '/') : NULL;
	*heads =
		*log ? arena_fmt(v->arena, "%.*s" AUDIT_HEADS_NAME, slash ? (int)(slash - *log) + 1 : 0, *log)
		     : NULL;
	return *heads ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

int log_file_id(struct log_check *v, struct err *e)
{
	char first[AUDIT_RECORD_MAX + 1], *log, *heads;

	if (paths(v, &log, &heads, e))
		return -1;
	auto_close int fd = open(log, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, first, sizeof first, 0);
	if (n < 0)
		return err_errno(e, "%s", log);
	const char *end = memchr(first, '\n', (size_t)n);
	if (end)
		merkle_leaf(span_of(first, (size_t)(end - first)), v->id);
	return 0; // without one the reading says what is wrong
}

int log_file_verify(struct log_check *v, struct err *e)
{
	char *log, *heads;

	for (size_t i = 0; i < v->n_seen; i++)
		if (memcmp(v->seen[i].head.log_id, v->id, sizeof v->id) != 0)
			return err_code(e, ERR_UNTRUSTED, "audit.other_log",
					"%s: the head is of log %s, this is log %s", v->seen[i].from,
					STR_HEX(v->seen[i].head.log_id, 32), STR_HEX(v->id, 32));
	if (paths(v, &log, &heads, e))
		return -1;
	auto_close int fd = open(log, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "%s", log);
	return walk_file(v, fd, heads, e);
}
