#include "audit/chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strings.h"

enum { CHUNK = 1 << 18 };

int audit_chain_take(struct audit_chain *c, struct span line, struct audit_record *r, merkle_hash leaf,
		     struct err *e)
{
	unsigned long long n = c->tree.n;
	merkle_hash root;
	struct fault f;

	if (audit_record_read(r, line, &f))
		return err_code(e, ERR_UNTRUSTED, f.code, "audit log: record %llu, byte %llu: %s", n,
				(unsigned long long)c->bytes, f.text);
	merkle_root(&c->tree, root);
	if (r->seq != c->tree.n || memcmp(root, r->prev, sizeof root) != 0 ||
	    (r->entry.event == AUDIT_CREATED) != !r->seq)
		return err_code(
			e, ERR_UNTRUSTED, "audit.chain",
			"audit log: record %llu does not follow from those before it: expected root %s, "
			"got %s; records are missing, changed or added",
			n, STR_HEX(root, 32), STR_HEX(r->prev, 32));
	if (r->time < c->time)
		return err_code(e, ERR_UNTRUSTED, "audit.time",
				"audit log: record %llu is older than the one before", n);
	merkle_leaf(line, leaf);
	if (!r->seq)
		memcpy(c->id, leaf, sizeof c->id);
	merkle_add(&c->tree, leaf, NULL, NULL);
	c->time = r->time;
	c->bytes += line.n + 1;
	return 0;
}

// Lines in p[0..n): how many bytes were complete lines, or -1.
static ssize_t take_lines(struct audit_chain *c, const uint8_t *p, size_t n, audit_line_fn *fn, void *arg,
			  struct err *e)
{
	struct audit_record r;
	merkle_hash leaf;
	size_t at = 0;

	for (const uint8_t *end; (end = memchr(p + at, '\n', n - at)); at = (size_t)(end - p) + 1) {
		struct span line = span_of(p + at, (size_t)(end - p) - at);
		if (audit_chain_take(c, line, &r, leaf, e) || (fn && fn(arg, line, &r, leaf, e)))
			return -1;
	}
	return (ssize_t)at;
}

int audit_chain_read(struct audit_chain *c, int fd, uint64_t end, audit_line_fn *fn, void *arg,
		     uint64_t *tail, struct err *e)
{
	auto_free uint8_t *b = malloc(CHUNK);
	size_t have = 0;

	if (!b)
		return err_set(e, ERR_SYSTEM, "out of memory");
	for (;;) {
		uint64_t at = c->bytes + have;
		size_t want = CHUNK - have;
		if (end < at || want > end - at)
			want = end < at ? 0 : (size_t)(end - at);
		ssize_t n = want ? pread(fd, b + have, want, (off_t)at) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "read the audit log");
		have += (size_t)n;
		ssize_t done = take_lines(c, b, have, fn, arg, e);
		if (done < 0)
			return -1;
		have -= (size_t)done;
		memmove(b, b + done, have);
		if (have > AUDIT_RECORD_MAX)
			return err_code(e, ERR_UNTRUSTED, "audit.record",
					"audit log: record %llu is too long", (unsigned long long)c->tree.n);
		if (!n)
			break;
	}
	*tail = have;
	return 0;
}
