// EL-08 and EL-09 of the security cases: register, log and quotes stay in step, whoever writes at the same
// time and wherever a process is killed. The genuine TDX driver works on a folder with the kernel's files;
// the linker puts a kernel between: calls that change a file are wrapped, so that the register extends in the
// write that asks for it, and so that a process can die before, in the middle of and after each of them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/strings.h"
#include "tee/runtime.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	QUOTE_SIZE = 1100,
	RTMR3_AT = 48 + 472, // header, then the TD's report
	REPORT_DATA_AT = 48 + 520,
	PROCESSES = 8,
	THREADS = 8,
	EVENTS = 32,
	POINTS_MIN = 20, // an emission has more places to die than this
	LARGE = 9000,    // a payload over several pages
};

static char dir[64];
static ino_t register_file, inblob_file;
static int die_at; // the point at which this process is killed; 0 never

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __real_pwrite64(int fd, const void *p, size_t n, off64_t at);
int __real_openat64(int dirfd, const char *name, int flags, mode_t mode);
int __real_fsync(int fd);
int __real_ftruncate64(int fd, off64_t n);
int __real_unlinkat(int dirfd, const char *name, int flags);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_pwrite64(int fd, const void *p, size_t n, off64_t at);
int __wrap_openat64(int dirfd, const char *name, int flags, mode_t mode);
int __wrap_fsync(int fd);
int __wrap_ftruncate64(int fd, off64_t n);
int __wrap_unlinkat(int dirfd, const char *name, int flags);

static bool last_point(void)
{
	return die_at && --die_at == 0;
}

static void point(void)
{
	if (last_point())
		kill(getpid(), SIGKILL);
}

static char *in_dir(const char *name)
{
	char *path = str_format("%s/%s", dir, name);

	if (!path)
		abort();
	return path;
}

static int open_in_dir(const char *name)
{
	char *path = in_dir(name);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	free(path);
	if (fd < 0)
		abort();
	return fd;
}

static void put(const char *name, const void *p, size_t n)
{
	int fd = open_in_dir(name);

	if (__real_pwrite64(fd, p, n, 0) != (ssize_t)n)
		abort();
	close(fd);
}

static void get(const char *name, void *p, size_t n)
{
	int fd = open_in_dir(name);

	memset(p, 0, n);
	if (pread(fd, p, n, 0) < 0)
		abort();
	close(fd);
}

static ino_t inode(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	bool is_register = inode(fd) == register_file;
	uint8_t now[TEE_DIGEST];

	point();
	if (is_register && n == sizeof now) {
		get("rtmr3:sha384", now, sizeof now);
		register_extend(now, p);
		put("rtmr3:sha384", now, sizeof now);
	} else if (last_point()) {
		if (__real_write(fd, p, n / 2) >= 0)
			kill(getpid(), SIGKILL);
	} else {
		ssize_t did = __real_write(fd, p, n);
		point();
		return did;
	}
	point();
	return (ssize_t)n;
}

ssize_t __wrap_pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	uint8_t quote[QUOTE_SIZE] = { 0 };
	char text[16] = "";

	point();
	if (inode(fd) != inblob_file || n != TEE_REPORT_DATA)
		return __real_pwrite64(fd, p, n, at);
	memcpy(quote + REPORT_DATA_AT, p, n);
	get("rtmr3:sha384", quote + RTMR3_AT, TEE_DIGEST);
	put("outblob", quote, sizeof quote);
	get("generation", text, sizeof text - 1);
	snprintf(text, sizeof text, "%lu\n", strtoul(text, NULL, 10) + 1);
	put("generation", text, strlen(text));
	point();
	return (ssize_t)n;
}

int __wrap_openat64(int dirfd, const char *name, int flags, mode_t mode)
{
	point();
	int fd = __real_openat64(dirfd, name, flags, mode);
	point();
	return fd;
}

int __wrap_fsync(int fd)
{
	point();
	int rc = __real_fsync(fd);
	point();
	return rc;
}

int __wrap_ftruncate64(int fd, off64_t n)
{
	point();
	int rc = __real_ftruncate64(fd, n);
	point();
	return rc;
}

int __wrap_unlinkat(int dirfd, const char *name, int flags)
{
	point();
	int rc = __real_unlinkat(dirfd, name, flags);
	point();
	return rc;
}

static void remove_in_dir(const char *name)
{
	char *path = in_dir(name);

	unlink(path);
	free(path);
}

// A guest that has just been started.
static void reboot(void)
{
	static const uint8_t zero[TEE_DIGEST];
	struct err e;

	remove_in_dir("runtime_events.log");
	remove_in_dir("runtime_event.intent");
	put("rtmr3:sha384", zero, sizeof zero);
	assert_int_equal(runtime_set_version(dir, 2, &e), 0);
}

static int setup(void **state)
{
	static const uint8_t zero[64];

	(void)state;
	snprintf(dir, sizeof dir, "%s/runtime-test.XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	assert_non_null(mkdtemp(dir));
	put("provider", "tdx_guest\n", 10);
	put("generation", "0\n", 2);
	put("inblob", zero, 64);
	put("rtmr3:sha384", zero, TEE_DIGEST);
	int fd = open_in_dir("rtmr3:sha384");
	register_file = inode(fd);
	close(fd);
	fd = open_in_dir("inblob");
	inblob_file = inode(fd);
	close(fd);
	setenv("DCAP_TDX_QUOTE_CONFIGFS_PATH", dir, 1);
	setenv("DCAP_TDX_RTMR_SYSFS_PATH", dir, 1);
	setenv("DSTACK_CCEL_FILE", CCEL_FILE, 1);
	return 0;
}

static int teardown(void **state)
{
	struct err e;

	(void)state;
	return file_remove_tree(dir, &e);
}

// A quote over `seed`, and whether the log that came with it explains its RTMR3. The number of runtime
// events, or -1.
static long quote_holds(struct tee *t, uint8_t seed, struct err *e)
{
	struct tee_quote *q = malloc(sizeof *q);
	uint8_t report_data[TEE_REPORT_DATA], replayed[TEE_DIGEST];
	struct tee_log log = { 0 };
	struct fault f;
	size_t at;
	long n = -1;

	memset(report_data, seed, sizeof report_data);
	if (q && !runtime_quote(t, dir, report_data, q, &log, &at, e)) {
		struct eventlog runtime = { log.log.e + at, log.log.n - at, log.log.n - at };

		if (!eventlog_replay_runtime(replayed, &runtime, false, &f) &&
		    !memcmp(replayed, q->bytes + RTMR3_AT, sizeof replayed) &&
		    !memcmp(report_data, q->bytes + REPORT_DATA_AT, sizeof report_data))
			n = (long)runtime.n;
		else
			err_set(e, ERR_BUG, "quote and log of %zu events disagree", runtime.n);
		tee_log_free(&log);
	}
	free(q);
	return n;
}

static struct tee *open_tee(void)
{
	struct err e = { 0 };
	struct tee *t = tee_open("tdx", &e);

	if (!t)
		fail_msg("%s", e.text);
	return t;
}

struct writer {
	struct tee *t;
	uint8_t process, thread;
	bool bad;
};

static void *write_events(void *arg)
{
	struct writer *w = arg;
	struct err e = { 0 };

	for (uint8_t i = 0; i < EVENTS && !w->bad; i++) {
		uint8_t payload[3] = { w->process, w->thread, i };

		w->bad = runtime_emit(w->t, dir, "step", payload, sizeof payload, &e) != 0;
		if (!w->bad && i % 8 == w->thread)
			w->bad = quote_holds(w->t, i, &e) <= i;
	}
	if (w->bad)
		fprintf(stderr, "process %d thread %d: %s\n", w->process, w->thread, e.text);
	return NULL;
}

static void be_a_process(uint8_t process)
{
	struct err e;
	struct writer w[THREADS] = { 0 };
	pthread_t id[THREADS];
	struct tee *t = tee_open("tdx", &e);
	bool bad = !t;

	for (uint8_t i = 0; i < THREADS && t; i++) {
		w[i] = (struct writer){ .t = t, .process = process, .thread = i };
		if (pthread_create(&id[i], NULL, write_events, &w[i]))
			_exit(2);
	}
	for (size_t i = 0; i < THREADS && t; i++) {
		pthread_join(id[i], NULL);
		bad |= w[i].bad;
	}
	_exit(bad);
}

static void el_08_log_order_is_register_order(void **state)
{
	uint8_t next[PROCESSES][THREADS] = { 0 }, replayed[TEE_DIGEST], now[TEE_DIGEST];
	pid_t child[PROCESSES];
	struct tee_log log;
	struct err e = { 0 };
	struct fault f;
	int status;

	(void)state;
	reboot();
	for (uint8_t i = 0; i < PROCESSES; i++) {
		child[i] = fork();
		if (!child[i])
			be_a_process(i);
	}
	for (size_t i = 0; i < PROCESSES; i++) {
		assert_int_equal(waitpid(child[i], &status, 0), child[i]);
		assert_int_equal(status, 0);
	}
	struct tee *t = open_tee();
	assert_int_equal(runtime_read(t, dir, &log, &e), 0);
	assert_int_equal(log.log.n, PROCESSES * THREADS * EVENTS);
	for (size_t i = 0; i < log.log.n; i++) {
		const uint8_t *p = log.log.e[i].payload.p;

		assert_int_equal(log.log.e[i].payload.n, 3);
		assert_true(p[0] < PROCESSES && p[1] < THREADS);
		assert_int_equal(p[2], next[p[0]][p[1]]++); // each writer's events in its order, none twice
	}
	assert_int_equal(eventlog_replay_runtime(replayed, &log.log, false, &f), 0);
	get("rtmr3:sha384", now, sizeof now);
	assert_memory_equal(replayed, now, sizeof now);
	tee_log_free(&log);
	tee_close(t);
}

// Runs one call in a process that dies at its `at`th point. True when it died.
static bool dies(int at, bool emit)
{
	static uint8_t payload[LARGE];
	struct err e = { 0 };
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct tee *t = tee_open("tdx", &e);

		die_at = at;
		if (t && (emit ? runtime_emit(t, dir, "dies", payload, sizeof payload, &e) == 0
			       : quote_holds(t, 1, &e) >= 0))
			_exit(0);
		fprintf(stderr, "killed at %d: %s\n", at, e.text);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
	return status != 0;
}

// Two events are there, and a third is being written when the process dies.
static bool crashed(struct tee *t, int at, long *want)
{
	uint8_t before[TEE_DIGEST], after[TEE_DIGEST];
	struct err e = { 0 };

	reboot();
	assert_int_equal(runtime_emit(t, dir, "one", "1", 1, &e), 0);
	assert_int_equal(runtime_emit(t, dir, "two", "2", 1, &e), 0);
	get("rtmr3:sha384", before, sizeof before);
	bool died = dies(at, true);
	get("rtmr3:sha384", after, sizeof after);
	*want = 2 + (memcmp(before, after, sizeof before) != 0);
	return died;
}

static void el_09_killed_anywhere_the_next_quote_holds(void **state)
{
	struct tee *t = open_tee();
	struct err e = { 0 };
	int at = 1;
	long want;

	(void)state;
	for (; crashed(t, at, &want); at++) {
		long got = quote_holds(t, 2, &e); // without an event in between
		if (got != want)
			fail_msg("killed at point %d: %ld events, want %ld: %s", at, got, want, e.text);
		crashed(t, at, &want);
		if (runtime_emit(t, dir, "next", NULL, 0, &e) || quote_holds(t, 3, &e) != want + 1)
			fail_msg("killed at point %d, then an event: %s", at, e.text);
	}
	assert_int_equal(want, 3);
	assert_true(at > POINTS_MIN);
	tee_close(t);
}

static void el_09_killed_again_while_repairing(void **state)
{
	struct tee *t = open_tee();
	struct err e = { 0 };
	size_t runs = 0;
	long want;

	(void)state;
	for (int at = 1; crashed(t, at, &want); at++)
		for (int again = 1;; again++, runs++) {
			crashed(t, at, &want);
			bool died = dies(again, false);
			long got = quote_holds(t, 4, &e);
			if (got != want)
				fail_msg("killed at %d and %d: %ld events, want %ld: %s", at, again, got,
					 want, e.text);
			if (!died)
				break;
		}
	assert_true(runs > 200);
	tee_close(t);
}

// What cannot be repaired is refused, every time: no quote with a log that is known to be wrong.
static void el_09_tainted_stays_tainted(void **state)
{
	static const uint8_t digest[TEE_DIGEST] = { 7 };
	struct tee *t = open_tee();
	struct err e = { 0 };
	int at = 1;
	long want;

	(void)state;
	while (crashed(t, at, &want) && want == 2)
		at++;
	assert_int_equal(want, 3); // the register has moved, the log not yet: and now moves once more
	assert_int_equal(tee_extend(t, digest, &e), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(quote_holds(t, 5, &e), -1);
		assert_string_equal(e.code, "runtime.out_of_step");
		assert_int_equal(runtime_emit(t, dir, "next", NULL, 0, &e), -1);
		assert_string_equal(e.code, "runtime.out_of_step");
	}
	crashed(t, at, &want);
	remove_in_dir("runtime_events.log"); // a log that has lost what was measured
	assert_int_equal(quote_holds(t, 5, &e), -1);
	assert_string_equal(e.code, "runtime.out_of_step");
	tee_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(el_08_log_order_is_register_order),
		cmocka_unit_test(el_09_killed_anywhere_the_next_quote_holds),
		cmocka_unit_test(el_09_killed_again_while_repairing),
		cmocka_unit_test(el_09_tainted_stays_tainted),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
