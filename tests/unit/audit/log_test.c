// The audit log: what is written reads back; a torn end is cut and nothing else; any other damage refuses to
// open; proofs from the file hold; signed heads tell a cut or forked log (KM-18).
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "audit/log.h"
#include "audit/view.h"
#include "base/file.h"
#include "base/strings.h"

static char dir[64], path[96], heads_path[96];
static const uint8_t root_key[32] = { [31] = 2 };

static int fresh(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/audit-log-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/" AUDIT_LOG_NAME, dir);
	snprintf(heads_path, sizeof heads_path, "%s/" AUDIT_HEADS_NAME, dir);
	return 0;
}

static int clean(void **state)
{
	struct err e;

	(void)state;
	return file_remove_tree(dir, &e);
}

static struct audit_entry entry(unsigned i)
{
	struct audit_entry x = { .event = i ? AUDIT_KEYS : AUDIT_CREATED,
				 .ok = i % 3 != 0,
				 .has_boot = i % 2 };

	snprintf(x.source, sizeof x.source, "file");
	snprintf(x.reason, sizeof x.reason, "number %u \"quoted\" \\", i);
	snprintf(x.code, sizeof x.code, "%s", x.ok ? "" : "policy.empty");
	x.n_epochs = i % 3;
	x.epochs[0] = i;
	x.epochs[1] = UINT64_MAX;
	x.has_key = x.has_seed = 1;
	x.key[0] = (uint8_t)i;
	snprintf(x.boot.tee_variant, sizeof x.boot.tee_variant, "dstack-tdx");
	snprintf(x.boot.anchor, sizeof x.boot.anchor, "intel");
	snprintf(x.boot.tcb_status, sizeof x.boot.tcb_status, "UpToDate");
	x.boot.has_app_id = true;
	x.boot.app_id[19] = (uint8_t)i;
	x.boot.n_advisory_ids = i % 4;
	for (size_t k = 0; k < x.boot.n_advisory_ids; k++)
		snprintf(x.boot.advisory_ids[k], sizeof x.boot.advisory_ids[k], "INTEL-SA-%05zu", k);
	return x;
}

static struct audit_log *reopen(uint64_t *cut)
{
	struct err e = { 0 };
	struct audit_log *l = audit_log_open(dir, cut, &e);

	if (!l)
		fail_msg("%s %s", e.code, e.text);
	return l;
}

static void fill(unsigned from, unsigned to, unsigned batch)
{
	struct err e = { 0 };
	uint64_t cut, seq;
	struct span line;
	struct audit_log *l = reopen(&cut);

	for (unsigned i = from; i < to; i++) {
		struct audit_entry x = entry(i);
		assert_int_equal(audit_log_add(l, &x, 1700000000000 + i, &seq, &line, &e), 0);
		assert_int_equal(seq, i);
		if (i % batch == 0)
			assert_int_equal(audit_log_commit(l, &e), 0);
	}
	assert_int_equal(audit_log_commit(l, &e), 0);
	audit_log_close(l);
}

__attribute__((noinline)) static char *read_log(size_t *n)
{
	struct err e;
	char *text = NULL;

	assert_int_equal(file_read(path, 64 << 20, &text, n, &e), 0);
	return text;
}

static void write_log(const void *p, size_t n)
{
	struct err e;

	assert_int_equal(file_write(path, 0600, p, n, &e), 0);
}

static void refused(const char *code)
{
	struct err e = { 0 };
	uint64_t cut;
	struct audit_log *l = audit_log_open(dir, &cut, &e);

	if (l)
		fail_msg("was not refused: %s", code);
	assert_string_equal(e.code, code);
}

static void head_of(struct audit_head *h)
{
	struct err e;
	uint64_t cut, bytes;
	struct audit_log *l = reopen(&cut);

	audit_log_head(l, h, &bytes);
	audit_log_close(l);
	assert_int_equal(audit_head_sign(h, root_key, &e), 0);
}

static void keep_head(const struct audit_head *h)
{
	char text[AUDIT_HEAD_MAX + 1];
	struct wr w = wr_to(text, sizeof text);
	FILE *f = fopen(heads_path, "a");

	audit_head_write(&w, h);
	wr_u8(&w, '\n');
	assert_false(w.bad);
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, w.n, f), w.n);
	assert_int_equal(fclose(f), 0);
}

static void grows_over_restarts(void **state)
{
	struct audit_head h;

	(void)state;
	fill(0, 10, 1);
	fill(10, 300, 7);
	fill(300, 301, 1);
	head_of(&h);
	assert_int_equal(h.size, 301);
	assert_int_equal(h.time, 1700000000300);
}

static void time_never_goes_back(void **state)
{
	struct err e;
	uint64_t cut, seq;
	struct span line;
	struct audit_record r;
	struct fault f;

	(void)state;
	fill(0, 3, 1);
	struct audit_log *l = reopen(&cut);
	struct audit_entry x = entry(3);
	assert_int_equal(audit_log_add(l, &x, 5, &seq, &line, &e), 0);
	assert_int_equal(audit_record_read(&r, line, &f), 0);
	assert_int_equal(r.time, 1700000000002);
	audit_log_close(l);
}

static void hostile_entry_is_cleaned(void **state)
{
	struct err e;
	uint64_t cut, seq;
	struct span line;

	(void)state;
	fill(0, 1, 1);
	struct audit_log *l = reopen(&cut);
	struct audit_entry x;
	memset(&x, 0xff, sizeof x);
	assert_int_equal(audit_log_add(l, &x, UINT64_MAX, &seq, &line, &e), 0);
	assert_null(memchr(line.p, '\n', line.n));
	assert_true(line.n <= AUDIT_RECORD_MAX);
	assert_int_equal(audit_log_commit(l, &e), 0);
	audit_log_close(l);
	audit_log_close(reopen(&cut));
}

// Whatever part of the last record is missing: it is cut, all before it stays, and the log goes on.
static void torn_end_is_cut(void **state)
{
	size_t n = 0, last;
	uint64_t cut;

	(void)state;
	fill(0, 5, 1);
	char *text = read_log(&n);
	for (last = n - 1; text[last - 1] != '\n'; last--)
		;
	for (size_t at = last; at<n; at += at> n - 20 || at < last + 20 ? 1 : 17) {
		struct stat st;

		write_log(text, at);
		audit_log_close(reopen(&cut));
		assert_int_equal(cut, at - last);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, last);
	}
	fill(4, 8, 1);
	free(text);
}

// One changed bit anywhere but in the unfinished end refuses to start.
static void any_change_is_refused(void **state)
{
	struct err e = { 0 };
	size_t n;
	uint64_t cut;

	(void)state;
	fill(0, 4, 1);
	char *text = read_log(&n);
	for (size_t at = 0; at + 1 < n; at += 13) {
		text[at] ^= 1 << at % 7;
		write_log(text, n);
		struct audit_log *l = audit_log_open(dir, &cut, &e);
		// A change in the last record is only seen by those who have its head.
		if (l) {
			struct audit_head h;
			audit_log_close(l);
			head_of(&h);
			text[at] ^= 1 << at % 7;
			write_log(text, n);
			struct audit_head was;
			head_of(&was);
			assert_memory_not_equal(h.root, was.root, 32);
		} else {
			assert_true(str_starts(e.code, "audit."));
			text[at] ^= 1 << at % 7;
		}
	}
	free(text);
}

static void missing_and_doubled_records(void **state)
{
	size_t n;

	(void)state;
	fill(0, 6, 1);
	char *text = read_log(&n), *second = strchr(text, '\n') + 1, *third = strchr(second, '\n') + 1;
	size_t len = (size_t)(third - second);

	memmove(second, third, n - (size_t)(third - text));
	write_log(text, n - len);
	refused("audit.chain");
	free(text);
	write_log("", 0);
	assert_int_equal(unlink(path), 0);
	fill(0, 2, 1);
	text = read_log(&n);
	char *twice = malloc(2 * n);
	memcpy(twice, text, n);
	memcpy(twice + n, text, n);
	write_log(twice, 2 * n);
	refused("audit.chain");
	write_log("\n", 1);
	refused("audit.record");
	free(text);
	free(twice);
}

static void one_writer(void **state)
{
	uint64_t cut;

	(void)state;
	struct audit_log *l = reopen(&cut);
	refused("audit.locked");
	audit_log_close(l);
}

static void signed_head_holds_the_log(void **state)
{
	struct audit_head h, other;
	size_t n;

	(void)state;
	fill(0, 4, 1);
	head_of(&h);
	keep_head(&h);
	fill(4, 9, 1);
	head_of(&h);
	keep_head(&h);
	fill(9, 12, 1);
	char *text = read_log(&n);
	const char *p = text;
	for (unsigned i = 0; i < 8; i++)
		p = strchr(p, '\n') + 1;
	write_log(text, (size_t)(p - text));
	refused("audit.truncated");
	assert_int_equal(unlink(path), 0);
	refused("audit.truncated");
	write_log(text, n);
	fill(12, 13, 1);
	// Another log of the same length.
	other = h;
	other.log_id[0] ^= 1;
	other.size = 13;
	keep_head(&other);
	refused("audit.truncated");
	free(text);
}

// The disk takes a part of the batch only: none of it stays, the caller is told, and later records go in.
static void full_disk_takes_nothing_back(void **state)
{
	struct err e;
	struct rlimit was, small;
	uint64_t cut, seq, bytes;
	struct span line;
	struct audit_head before, after;

	(void)state;
	fill(0, 3, 1);
	struct audit_log *l = reopen(&cut);
	audit_log_head(l, &before, &bytes);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	small = was;
	small.rlim_cur = bytes + 2000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	struct audit_entry x = entry(3);
	for (unsigned i = 0; i < AUDIT_BATCH_MAX; i++)
		assert_int_equal(audit_log_add(l, &x, 0, &seq, &line, &e), 0);
	assert_int_equal(audit_log_commit(l, &e), -1);
	assert_string_equal(e.code, "audit.unavailable");
	assert_false(audit_log_broken(l));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	audit_log_head(l, &after, &bytes);
	assert_memory_equal(&before, &after, sizeof before);
	assert_int_equal(audit_log_add(l, &x, 0, &seq, &line, &e), 0);
	assert_int_equal(seq, 3);
	audit_log_close(l); // not committed
	head_of(&after);
	assert_memory_equal(before.root, after.root, 32);
	fill(3, 5, 1);
}

static int count_lines(void *arg, struct span line, struct err *e)
{
	(void)e;
	assert_true(line.n > 2 && line.p[0] == '{');
	++*(unsigned *)arg;
	return 0;
}

// Proofs come from the file, for sizes around the tiles' edges.
static void km_18_proofs_and_forks(void **state)
{
	static const uint64_t sizes[] = { 1, 2, 127, 128, 129, 255, 256, 257, 300, 640, 700 };
	enum { N = sizeof sizes / sizeof *sizes };
	struct merkle_path p;
	merkle_hash root, leaf, first;
	struct err e;
	unsigned n = 0;

	(void)state;
	fill(0, 300, 50);
	struct audit_view *v = audit_view_open(path, &e);
	assert_int_equal(audit_view_extend(v, UINT64_MAX, &e), 0);
	assert_int_equal(audit_view_size(v), 300);
	assert_int_equal(audit_view_root(v, 300, first, &e), 0);
	fill(300, 700, 64);
	assert_int_equal(audit_view_root(v, 301, root, &e), -1);
	assert_string_equal(e.code, "audit.range");
	assert_int_equal(audit_view_extend(v, UINT64_MAX, &e), 0);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(audit_view_root(v, sizes[i], root, &e), 0);
		for (uint64_t k = 0; k < sizes[i]; k += 1 + k / 5) {
			assert_int_equal(audit_view_leaf(v, k, leaf, &e), 0);
			assert_int_equal(audit_view_prove_leaf(v, sizes[i], k, &p, &e), 0);
			assert_true(merkle_holds_leaf(root, sizes[i], k, leaf, &p));
		}
		for (size_t k = 0; k <= i; k++) {
			merkle_hash was;
			assert_int_equal(audit_view_root(v, sizes[k], was, &e), 0);
			assert_int_equal(audit_view_prove_prefix(v, sizes[k], sizes[i], &p, &e), 0);
			assert_true(merkle_holds_prefix(was, sizes[k], root, sizes[i], &p));
		}
	}
	assert_int_equal(audit_view_records(v, 130, 400, count_lines, &n, &e), 0);
	assert_int_equal(n, 400);
	assert_int_equal(audit_view_records(v, 690, UINT64_MAX, count_lines, &n, &e), 0);
	assert_int_equal(n, 410);
	// Another history with the same beginning, shown to somebody who has the first one's head.
	assert_int_equal(audit_view_root(v, 700, root, &e), 0);
	assert_int_equal(audit_view_prove_prefix(v, 300, 700, &p, &e), 0);
	root[0] ^= 1;
	assert_false(merkle_holds_prefix(first, 300, root, 700, &p));
	root[0] ^= 1;
	first[5] ^= 4;
	assert_false(merkle_holds_prefix(first, 300, root, 700, &p));
	audit_view_close(v);
}

static void heads_as_text(void **state)
{
	struct audit_head h, again;
	char text[AUDIT_HEAD_MAX];
	struct wr w = wr_to(text, sizeof text);
	struct err e;

	(void)state;
	fill(0, 3, 1);
	head_of(&h);
	audit_head_write(&w, &h);
	assert_false(w.bad);
	assert_int_equal(audit_head_read(&again, span_of(text, w.n), &e), 0);
	assert_int_equal(audit_head_check(&again, h.signer, &e), 0);
	uint8_t other[33] = { 2 };
	assert_int_equal(audit_head_check(&again, other, &e), -1);
	assert_string_equal(e.code, "audit.signer");
	again.size++;
	assert_int_equal(audit_head_check(&again, NULL, &e), -1);
	assert_string_equal(e.code, "audit.signature");
	again = h;
	again.time++;
	assert_int_equal(audit_head_check(&again, NULL, &e), -1);
	again = h;
	again.log_id[31] ^= 1;
	assert_int_equal(audit_head_check(&again, NULL, &e), -1);
	assert_int_equal(audit_head_read(&again, span_str("{\"size\":1}"), &e), -1);
	assert_string_equal(e.code, "audit.head");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, fresh, clean)
	const struct CMUnitTest tests[] = {
		CASE(grows_over_restarts),
		CASE(time_never_goes_back),
		CASE(hostile_entry_is_cleaned),
		CASE(torn_end_is_cut),
		CASE(any_change_is_refused),
		CASE(missing_and_doubled_records),
		CASE(one_writer),
		CASE(signed_head_holds_the_log),
		CASE(full_disk_takes_nothing_back),
		CASE(km_18_proofs_and_forks),
		CASE(heads_as_text),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
