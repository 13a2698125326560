// The software TEE of one machine, whole: this process plays QEMU and the guest against a real swtpm, the
// relay in a child, and lib/tee's soft driver asks for the quote, which our own verifier judges.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/strings.h"
#include "collateral.h"
#include "core/attest/quote.h"
#include "crypto/engine.h"
#include "net.h"
#include "core/attest/envelope.h"
#include "tee/attest.h"
#include "vm.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char dir[] = "/tmp/softtee-test.XXXXXX";
static struct pki pki;
static pid_t swtpm, relay;
static int ctrl = -1, data = -1;

static char *in_dir(const char *name)
{
	return str_format("%s/%s", dir, name);
}

static pid_t start(char *const argv[])
{
	pid_t pid = fork();

	if (pid == 0) {
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 1);
		execvp(argv[0], argv);
		_exit(127);
	}
	return pid;
}

static int await_connect(const char *path)
{
	struct err e;

	for (int i = 0; i < 200; i++) {
		int fd = net_connect_unix(path, &e);

		if (fd >= 0)
			return fd;
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
	fail_msg("%s", e.text);
	return -1;
}

static void control(uint32_t command, size_t body, size_t answer, int pass)
{
	uint8_t b[16] = { [3] = (uint8_t)command };
	struct err e;

	if (pass >= 0)
		assert_int_equal(net_write_fd(ctrl, b, 4, pass, &e), 0);
	else
		assert_int_equal(net_write(ctrl, b, 4 + body, &e), 0);
	assert_int_equal(net_read(ctrl, b, answer, &e), 0);
	assert_memory_equal(b, "\0\0\0\0", 4);
}

static uint32_t tpm(const void *command, size_t n)
{
	uint8_t b[4096];
	struct err e;

	assert_int_equal(net_write(data, command, n, &e), 0);
	assert_int_equal(net_read(data, b, 10, &e), 0);
	struct rd r = rd_from(b, 10);
	rd_be16(&r);
	uint32_t size = rd_be32(&r), rc = rd_be32(&r);
	assert_in_range(size, 10, sizeof b);
	assert_int_equal(net_read(data, b, size - 10, &e), 0);
	return rc;
}

static void pcr_extend(uint8_t pcr, uint8_t fill)
{
	uint8_t c[10 + 4 + 4 + 9 + 4 + 2 + 48] = { 0x80, 2, 0,   0, 0, sizeof c, 0, 0,    1, 0x82, 0,
						   0,    0, pcr, 0, 0, 0,        9, 0x40, 0, 0,    9,
						   0,    0, 0,   0, 0, 0,        0, 0,    1, 0,    0xC };

	memset(c + sizeof c - 48, fill, 48);
	assert_int_equal(tpm(c, sizeof c), 0);
}

static int setup(void **state)
{
	struct err e;
	int pair[2];

	(void)state;
	assert_non_null(mkdtemp(dir));
	char *ctrl_path = in_dir("ctrl"), *tpm_path = in_dir("swtpm"), *service = in_dir("4050");
	char *pki_dir = in_dir("pki"), *tpm_state = str_format("dir=%s", dir);
	char *tpm_ctrl = str_format("type=unixio,path=%s", tpm_path);
	char *setup_argv[] = { "swtpm_setup", "--tpm2", "--tpmstate",  dir,
			       "--pcr-banks", "sha384", "--overwrite", NULL };
	char *swtpm_argv[] = { "swtpm",  "socket", "--tpm2",      "--tpmstate", tpm_state,
			       "--ctrl", tpm_ctrl, "--terminate", NULL };
	int status;

	assert_int_equal(waitpid(start(setup_argv), &status, 0) > 0 && status == 0, 1);
	swtpm = start(swtpm_argv);
	assert_int_equal(pki_make(pki_dir, time(NULL), &e), 0);
	assert_int_equal(pki_load(&pki, pki_dir, &e), 0);
	relay = fork();
	if (relay == 0) {
		struct vm_config c = { ctrl_path, tpm_path, service, { .mr_td = { 0 } } };

		quote_body_init(&c.body);
		memset(c.body.mr_td, 0x77, MR);
		_exit(vm_run(&c, &pki, &e) ? 1 : 0);
	}
	ctrl = await_connect(ctrl_path);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	control(16, 0, 4, pair[1]);
	close(pair[1]);
	data = pair[0];
	control(2, 4, 4, -1);
	char *address = str_format("unix:%s", service);
	setenv("DSTACK_SOFTTEE", address, 1);
	setenv("DSTACK_RUNTIME_LOG_DIR", dir, 1);
	free(address);
	free(ctrl_path);
	free(tpm_path);
	free(service);
	free(pki_dir);
	free(tpm_state);
	free(tpm_ctrl);
	return 0;
}

static int teardown(void **state)
{
	struct err e;
	int status;

	(void)state;
	close(ctrl);
	close(data);
	assert_int_equal(waitpid(relay, &status, 0), relay);
	assert_int_equal(status, 0); // QEMU gone is a good end
	waitpid(swtpm, &status, 0);
	pki_free(&pki);
	return file_remove_tree(dir, &e);
}

static void fold(uint8_t reg[static MR], uint8_t fill)
{
	uint8_t d[MR];

	memset(d, fill, MR);
	register_extend(reg, d);
}

static void quote_has_what_was_measured(void **state)
{
	struct err e = { 0 };
	uint8_t want[4][MR] = { 0 }, report_data[64];
	static struct tee_quote q;
	static struct quote parsed;
	struct td_report td;

	(void)state;
	assert_int_equal(tpm("\x80\x01\0\0\0\x0c\0\0\x01\x44\0\0", 12), 0); // Startup(CLEAR)
	pcr_extend(0, 1);
	pcr_extend(7, 2);
	pcr_extend(1, 3);
	pcr_extend(4, 4);
	pcr_extend(9, 5);
	pcr_extend(10, 6);
	fold(want[0], 2);
	fold(want[0], 3);
	fold(want[1], 4);
	fold(want[2], 5);
	struct tee *t = tee_open("soft", &e);
	assert_non_null(t);
	assert_int_equal(runtime_emit(t, dir, "early", "", 0, &e), -1);
	assert_string_equal(e.code, "runtime.version_unset");
	assert_int_equal(runtime_set_version(dir, 2, &e), 0);
	assert_int_equal(runtime_set_version(dir, 2, &e), 0);
	assert_int_equal(runtime_set_version(dir, 1, &e), -1);
	assert_string_equal(e.code, "runtime.version");
	assert_int_equal(runtime_emit(t, dir, "app-id", "\1\2\3", 3, &e), 0);
	assert_int_equal(runtime_emit(t, dir, "system-ready", NULL, 0, &e), 0);

	struct tee_log log;
	struct fault f;
	assert_int_equal(runtime_read(t, dir, &log, &e), 0);
	assert_int_equal(log.log.n, 2);
	assert_int_equal(eventlog_replay_runtime(want[3], &log.log, false, &f), 0);
	tee_log_free(&log);

	memset(report_data, 0xAB, sizeof report_data);
	assert_int_equal(tee_quote(t, report_data, &q, &e), 0);
	assert_int_equal(quote_parse(&parsed, span_of(q.bytes, q.n)), 0);
	assert_int_equal(quote_td(&parsed, &td), 0);
	assert_memory_equal(td.rtmr, want, sizeof want);
	assert_memory_equal(td.report_data, report_data, sizeof report_data);
	assert_int_equal(td.mr_td[0], 0x77);
	tee_close(t);
}

static void our_verifier_takes_it_as_development(void **state)
{
	struct err e = { 0 };
	static struct tee_quote q;
	static struct dcap_result result;
	static const uint8_t report_data[64];
	auto_sb json = { 0 };
	struct collateral_opts opts = { 0 };

	(void)state;
	struct tee *t = tee_open("soft", &e);
	assert_int_equal(tee_quote(t, report_data, &q, &e), 0);
	tee_close(t);
	assert_int_equal(collateral_json(&pki, &opts, time(NULL), &json, &e), 0);
	struct dcap_input in = { .quote = span_of(q.bytes, q.n),
				 .collateral = span_of(json.p, json.n),
				 .now = (uint64_t)time(NULL) };
	struct engine *g = engine_new(&e);
	assert_int_equal(dcap_verify(g, &in, &result, &e), -1); // Intel's root only
	assert_int_equal(engine_add_root(g, span_of(pki.cert[PKI_ROOT].der, pki.cert[PKI_ROOT].n), &e), 0);
	if (dcap_verify(g, &in, &result, &e))
		fail_msg("%s %s", e.code, e.text);
	assert_int_equal(result.tcb.status, TCB_UP_TO_DATE);
	assert_int_equal(result.anchor, ANCHOR_DEVELOPMENT);
	engine_free(g);
}

static void evidence_replays(void **state)
{
	static struct envelope env;
	static struct event events[EVENTLOG_MAX], runtime[EVENTLOG_MAX];
	struct err e = { 0 };
	struct fault f = { 0 };
	static const uint8_t report_data[64] = { 7 };
	uint8_t *bytes, rtmr3[MR];
	size_t n;

	(void)state;
	setenv("DSTACK_TPM_LOG_FILE", TPM_LOG_FILE, 1);
	struct tee *t = tee_open("soft", &e);
	for (int strip = 0; strip < 2; strip++) {
		if (tee_attest(t, dir, report_data, span_str("{}"), strip, &bytes, &n, &e))
			fail_msg("%s", e.text);
		env.log = (struct eventlog){ events, 0, EVENTLOG_MAX };
		env.runtime = (struct eventlog){ runtime, 0, EVENTLOG_MAX };
		uint8_t *scratch = malloc(n);
		struct wr w = wr_to(scratch, n);
		if (envelope_read(&env, &w, span_of(bytes, n), &f))
			fail_msg("%s", f.text);
		assert_int_equal(env.runtime.n, 2);
		assert_true(env.log.n > (strip ? 5 : 25) && env.log.n < (strip ? 7 : 40));
		assert_memory_equal(env.report_data, report_data, 64);
		assert_int_equal(eventlog_replay_runtime(rtmr3, &env.runtime, false, &f), 0);
		uint8_t now[MR];
		assert_int_equal(tee_rtmr3(t, now, &e), 0);
		assert_memory_equal(now, rtmr3, MR);
		free(scratch);
		free(bytes);
	}
	tee_close(t);
}

static void init_starts_registers_anew(void **state)
{
	struct err e = { 0 };
	uint8_t rtmr3[MR], zero[MR] = { 0 };

	(void)state;
	struct tee *t = tee_open("soft", &e);
	assert_int_equal(tee_rtmr3(t, rtmr3, &e), 0);
	assert_memory_not_equal(rtmr3, zero, MR);
	control(2, 4, 4, -1);
	assert_int_equal(tee_rtmr3(t, rtmr3, &e), 0);
	assert_memory_equal(rtmr3, zero, MR);
	tee_close(t);
}

static void hostile_clients_do_no_harm(void **state)
{
	struct err e = { 0 };
	char *path = in_dir("4050");
	uint8_t b[8];

	(void)state;
	int fds[40];
	for (int i = 0; i < 40; i++)
		fds[i] = net_connect_unix(path, &e);
	assert_int_equal(net_write(fds[0], "\xff\xff\xff\xff", 4, &e), 0);
	assert_int_equal(net_read(fds[0], b, 1, &e), -1); // dropped
	for (int i = 0; i < 40; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	struct tee *t = NULL;
	for (int i = 0; i < 50 && !t; i++) {
		t = tee_open("soft", &e);
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
	assert_non_null(t);
	tee_close(t);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quote_has_what_was_measured),
		cmocka_unit_test(our_verifier_takes_it_as_development),
		cmocka_unit_test(evidence_replays),
		cmocka_unit_test(init_starts_registers_anew),
		cmocka_unit_test(hostile_clients_do_no_harm),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
