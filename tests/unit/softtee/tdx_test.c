// The genuine TDX driver on a fake tree with the kernel's ABI: files in a folder, and a thread that does what
// configfs-tsm and the measurements folder do when they are written (spec 50 sections 10 and 14.1).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/strings.h"
#include "tee/qgs.h"
#include "tee/runtime.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { QUOTE_SIZE = 5006, REPORT_DATA_AT = 568 };

static char dir[] = "/tmp/tdx-test.XXXXXX";
static pthread_t kernel;
static int watch;
static unsigned generation;
static unsigned skip; // how far a rival's quotes move the generation on
static uint8_t rtmr3[TEE_DIGEST];
static bool frozen; // the register takes writes and does nothing

static void put(const char *name, const void *p, size_t n)
{
	struct err e;
	char *path = str_format("%s/%s", dir, name);

	assert_int_equal(file_write(path, 0600, p, n, &e), 0);
	free(path);
}

static void get(const char *name, void *p, size_t n)
{
	char *path = str_format("%s/%s", dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	free(path);
	memset(p, 0, n);
	assert_true(read(fd, p, n) == (ssize_t)n);
	close(fd);
}

static void answer_quote(void)
{
	static uint8_t quote[QUOTE_SIZE];
	char text[16];

	get("inblob", quote + REPORT_DATA_AT, 64);
	put("outblob", quote, sizeof quote);
	generation += 1 + skip;
	snprintf(text, sizeof text, "%u\n", generation);
	put("generation", text, strlen(text));
}

static void *act(void *arg)
{
	union {
		char bytes[4096];
		struct inotify_event align;
	} b;

	for (;;) {
		ssize_t n = read(watch, b.bytes, sizeof b.bytes);

		for (ssize_t at = 0; at < n;) {
			struct inotify_event *ev = (struct inotify_event *)(void *)(b.bytes + at);

			at += (ssize_t)(sizeof *ev + ev->len);
			if (!strcmp(ev->name, "stop"))
				return arg;
			if (ev->mask & IN_MODIFY && !strcmp(ev->name, "inblob"))
				answer_quote();
			if (ev->mask & IN_CLOSE_WRITE && !strcmp(ev->name, "rtmr3:sha384")) {
				uint8_t digest[TEE_DIGEST];

				get("rtmr3:sha384", digest, sizeof digest);
				if (!frozen)
					register_extend(rtmr3, digest);
				put("rtmr3:sha384", rtmr3, sizeof rtmr3);
			}
		}
	}
}

static int setup(void **state)
{
	uint8_t zero[64] = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	put("provider", "tdx_guest\n", 10);
	put("generation", "0\n", 2);
	put("inblob", zero, 64);
	put("outblob", "", 0);
	put("rtmr3:sha384", zero, TEE_DIGEST);
	watch = inotify_init1(IN_CLOEXEC);
	assert_true(inotify_add_watch(watch, dir, IN_MODIFY | IN_CLOSE_WRITE | IN_CREATE) >= 0);
	setenv("DCAP_TDX_QUOTE_CONFIGFS_PATH", dir, 1);
	setenv("DCAP_TDX_RTMR_SYSFS_PATH", dir, 1);
	return pthread_create(&kernel, NULL, act, NULL);
}

static int teardown(void **state)
{
	struct err e;
	char *path = str_format("%s/stop", dir);

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	free(path);
	pthread_join(kernel, NULL);
	close(watch);
	return file_remove_tree(dir, &e);
}

static void quotes_come_from_configfs(void **state)
{
	struct err e = { 0 };
	static struct tee_quote q;
	uint8_t report_data[64];

	(void)state;
	struct tee *t = tee_open("auto", &e);
	assert_non_null(t);
	assert_string_equal(tee_name(t), "tdx"); // an override is a sign of TDX
	for (uint8_t i = 1; i < 4; i++) {
		memset(report_data, i, sizeof report_data);
		if (tee_quote(t, report_data, &q, &e))
			fail_msg("%s", e.text);
		assert_int_equal(q.n, QUOTE_SIZE);
		assert_memory_equal(q.bytes + REPORT_DATA_AT, report_data, 64);
	}
	skip = 1; // somebody else's quote came in between: it must not pass as ours
	assert_int_equal(tee_quote(t, report_data, &q, &e), -1);
	assert_string_equal(e.code, "tee.busy");
	skip = 0;
	tee_close(t);
}

static void events_extend_rtmr3_and_are_logged(void **state)
{
	struct err e = { 0 };
	struct fault f;
	struct tee_log log;
	uint8_t replayed[TEE_DIGEST];

	(void)state;
	struct tee *t = tee_open("tdx", &e);
	assert_non_null(t);
	assert_int_equal(runtime_set_version(dir, 1, &e), 0);
	assert_int_equal(runtime_emit(t, dir, "system-preparing", NULL, 0, &e), 0);
	assert_int_equal(runtime_emit(t, dir, "compose-hash", "\xff\x00\x01", 3, &e), 0);
	assert_int_equal(runtime_emit(t, dir, "a:b", "c", 1, &e), -1); // ambiguous under version 1
	assert_string_equal(e.code, "runtime.name");
	frozen = true;
	assert_int_equal(runtime_emit(t, dir, "lost", NULL, 0, &e), -1);
	assert_string_equal(e.code, "tee.extend");
	frozen = false;
	// the failed one left no trace: register and log still agree
	assert_int_equal(runtime_emit(t, dir, "system-ready", NULL, 0, &e), 0);
	assert_int_equal(runtime_read(t, dir, &log, &e), 0);
	assert_int_equal(log.log.n, 3);
	assert_true(span_is(log.log.e[1].name, "compose-hash"));
	assert_true(span_eq(log.log.e[1].payload, span_of("\xff\x00\x01", 3)));
	assert_int_equal(eventlog_replay_runtime(replayed, &log.log, false, &f), 0);
	assert_memory_equal(replayed, rtmr3, sizeof rtmr3);
	tee_log_free(&log);
	tee_close(t);
}

// A crash after the register moved and before the log did is repaired by the next event.
static void a_crash_between_register_and_log_is_repaired(void **state)
{
	struct err e = { 0 };
	struct fault f;
	struct tee_log log;
	uint8_t intent[2 * TEE_DIGEST + 8 + 64], digest[TEE_DIGEST], replayed[TEE_DIGEST];
	const char line[] = "{\"event\":\"crashed\",\"payload\":\"\"}";

	(void)state;
	struct tee *t = tee_open("tdx", &e);
	struct event ev = event_runtime(span_str("crashed"), span_str(""), 1);
	assert_int_equal(event_digest(digest, &ev, &f), 0);
	memcpy(intent, rtmr3, TEE_DIGEST);
	assert_int_equal(tee_extend(t, digest, &e), 0);
	memcpy(intent + TEE_DIGEST, rtmr3, TEE_DIGEST);
	char *log_file = str_format("%s/runtime_events.log", dir);
	struct stat st;
	assert_int_equal(stat(log_file, &st), 0);
	free(log_file);
	struct wr w = wr_to(intent + 2 * TEE_DIGEST, 8 + sizeof line);
	wr_le64(&w, (uint64_t)st.st_size);
	wr_put(&w, line, sizeof line - 1);
	put("runtime_event.intent", intent, 2 * TEE_DIGEST + w.n);
	assert_int_equal(runtime_emit(t, dir, "later", NULL, 0, &e), 0);
	assert_int_equal(runtime_read(t, dir, &log, &e), 0);
	assert_int_equal(log.log.n, 5);
	assert_true(span_is(log.log.e[3].name, "crashed"));
	assert_int_equal(eventlog_replay_runtime(replayed, &log.log, false, &f), 0);
	assert_memory_equal(replayed, rtmr3, sizeof rtmr3);
	tee_log_free(&log);
	// a register that fits neither side is an error, not a guess
	memset(intent, 9, 2 * TEE_DIGEST);
	put("runtime_event.intent", intent, 2 * TEE_DIGEST + w.n);
	assert_int_equal(runtime_emit(t, dir, "never", NULL, 0, &e), -1);
	assert_string_equal(e.code, "runtime.out_of_step");
	char *path = str_format("%s/runtime_event.intent", dir);
	assert_int_equal(unlink(path), 0);
	free(path);
	tee_close(t);
}

static void boot_log_is_the_ccel(void **state)
{
	struct err e = { 0 };
	struct tee_log log;
	size_t acpi = 0;

	(void)state;
	setenv("DSTACK_CCEL_FILE", CCEL_FILE, 1);
	struct tee *t = tee_open("tdx", &e);
	assert_non_null(t);
	if (tee_boot_log(t, &log, &e))
		fail_msg("%s", e.text);
	assert_true(log.log.n > 10);
	for (size_t i = 0; i < log.log.n; i++)
		acpi += log.log.e[i].name.n > 4;
	assert_int_equal(acpi, 3);
	tee_log_free(&log);
	tee_close(t);
	setenv("DSTACK_CCEL_FILE", "relative", 1);
	assert_null(tee_open("tdx", &e));
	assert_string_equal(e.code, "tee.override");
	unsetenv("DSTACK_CCEL_FILE");
}

static void a_failing_tdx_never_becomes_soft(void **state)
{
	struct err e = { 0 };

	(void)state;
	setenv("DCAP_TDX_RTMR_SYSFS_PATH", "/nowhere", 1);
	assert_null(tee_open("auto", &e));
	setenv("DCAP_TDX_RTMR_SYSFS_PATH", "nowhere", 1);
	assert_null(tee_open("auto", &e));
	assert_string_equal(e.code, "tee.override");
	setenv("DCAP_TDX_RTMR_SYSFS_PATH", dir, 1);
	assert_null(tee_open("sgx", &e));
	assert_string_equal(e.code, "tee.unknown");
}

static void quoting_service_answers_are_checked(void **state)
{
	static struct tee_quote q;
	struct err e;
	uint8_t b[24 + 1100] = { 0 };
	struct wr w = wr_to(b, sizeof b);

	(void)state;
	wr_le16(&w, 1);
	wr_le16(&w, 1);
	wr_le32(&w, 1);
	wr_le32(&w, sizeof b);
	wr_le32(&w, 0);
	wr_le32(&w, 0);
	wr_le32(&w, 1100);
	assert_int_equal(qgs_parse(b, sizeof b, &q, &e), 0);
	assert_int_equal(q.n, 1100);
	for (size_t n = 0; n < sizeof b; n += 7)
		assert_int_equal(qgs_parse(b, n, &q, &e), -1);
	b[20] = 0xFF; // more quote than message
	b[22] = 0xFF;
	assert_int_equal(qgs_parse(b, sizeof b, &q, &e), -1);
	assert_int_equal(qgs_conf_port("# port=1\n port = 4050\n"), 4050);
	assert_int_equal(qgs_conf_port("#port=4050\nportal=3\n"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quotes_come_from_configfs),
		cmocka_unit_test(events_extend_rtmr3_and_are_logged),
		cmocka_unit_test(a_crash_between_register_and_log_is_repaired),
		cmocka_unit_test(boot_log_is_the_ccel),
		cmocka_unit_test(a_failing_tdx_never_becomes_soft),
		cmocka_unit_test(quoting_service_answers_are_checked),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
