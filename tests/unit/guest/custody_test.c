// Custody as a process of its own: the same keys and signatures as without, and nothing else for anyone. Also
// what the jails of the agent's processes let through.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sb.h"
#include "base/strings.h"
#include "core/hash/sha2.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "custody_wire.h"
#include "jail.h"

enum { USER = 991, OTHER = 990 };

static char dir[] = "/tmp/custody.XXXXXX", keys_file[64];
static EVP_PKEY *ca;

static void write_keys(void)
{
	static char pem[CERT_PEM_MAX];
	char key[P256_PEM_MAX];
	struct err e = { 0 };
	auto_sb b = { 0 };
	struct cert_spec spec = {
		.cn = "App", .is_ca = true, .path_len = 1, .not_before = 1, .not_after = 4000000000
	};

	ca = p256_new(&e);
	struct cert_issuer self = { .key = ca };
	auto_x509 X509 *c = cert_issue(&spec, ca, &self, &e);
	assert_non_null(c);
	assert_int_equal(cert_to_pem(c, pem, sizeof pem, &e), 0);
	assert_int_equal(p256_to_pem(ca, key, &e), 0);
	sb_str(&b, "{\"k256_key\":\"d6e88992cdeeee35fe70b5db61ab66cdb191fb9b6ec9313757ef162dd7214d5d\","
		   "\"k256_signature\":\"0a0b\",\"ca_cert\":");
	sb_json_str(&b, pem);
	sb_str(&b, ",\"key_provider\":{\"Local\":{\"mr\":\"\",\"key\":");
	sb_json_str(&b, key);
	sb_str(&b, "}}}");
	assert_false(b.bad);
	assert_int_equal(file_write(keys_file, 0600, b.p, b.n, &e), 0);
}

static int setup(void **state)
{
	(void)state;
	log_setup(false, LOG_LEVEL_ERROR);
	if (!mkdtemp(dir) || chmod(dir, 0755))
		return -1;
	snprintf(keys_file, sizeof keys_file, "%s/keys", dir);
	write_keys();
	return 0;
}

static int teardown(void **state)
{
	struct err e;

	(void)state;
	EVP_PKEY_free(ca);
	return file_remove_tree(dir, &e);
}

static void start(struct custody *c, struct app_public *public)
{
	struct err e = { 0 };

	if (custody_start(c, keys_file, USER, public, &e))
		fail_msg("%s", e.text);
}

// The same through the process as in place, for every question.
static void test_same_answers(void **state)
{
	static const char *const algorithms[] = { "", "k256", "secp256k1", "ed25519" };
	static uint8_t data[CUSTODY_BYTES + 1];
	struct custody there, here;
	struct keyring ring;
	struct key_file file;
	struct app_public p, q;
	struct derived_key a, b;
	struct app_signature s, t;
	uint8_t x[32], y[32];
	struct err e = { 0 };

	(void)state;
	start(&there, &p);
	assert_int_equal(key_file_read(keys_file, &file, &e), 0);
	assert_int_equal(custody_here(&here, &ring, &file, &q, &e), 0);
	assert_memory_equal(&p, &q, sizeof p);
	assert_int_equal(p.k256_signature_n, 2);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(custody_key(&there, "wallet/1", "p", algorithms[i], &a, &e), 0);
		assert_int_equal(custody_key(&here, "wallet/1", "p", algorithms[i], &b, &e), 0);
		assert_memory_equal(&a, &b, sizeof a);
		if (!i)
			continue;
		assert_int_equal(custody_signing_key(&there, algorithms[i], &a, &e), 0);
		assert_int_equal(custody_signing_key(&here, algorithms[i], &b, &e), 0);
		assert_memory_equal(&a, &b, sizeof a);
		assert_memory_equal(a.key, (uint8_t[32]){ 0 }, 32);
		for (size_t k = 0; k < 5; k++) {
			const size_t n = (const size_t[]){ 0, 1, 300, CUSTODY_BYTES, CUSTODY_BYTES + 1 }[k];
			assert_int_equal(custody_sign(&there, algorithms[i], span_of(data, n), &s, &e), 0);
			assert_int_equal(custody_sign(&here, algorithms[i], span_of(data, n), &t, &e), 0);
			assert_memory_equal(s.bytes, t.bytes, sizeof s.bytes);
			assert_memory_equal(s.key_signature, t.key_signature, sizeof s.key_signature);
		}
		assert_int_equal(custody_sign(&there, algorithms[i], span_of(data, sizeof data), &s, &e), 0);
		bool valid;
		assert_int_equal(app_verify(algorithms[i], span_of(data, sizeof data),
					    span_of(s.bytes, sizeof s.bytes), span_of(s.public, s.public_n),
					    &valid, &e),
				 0);
		assert_true(valid);
	}
	assert_int_equal(custody_secret(&there, "wallet/1", x, &e), 0);
	assert_int_equal(custody_secret(&here, "wallet/1", y, &e), 0);
	assert_memory_equal(x, y, sizeof x);
	custody_stop(&here);
	custody_stop(&there);
}

static void test_sign_cert(void **state)
{
	struct custody c;
	struct app_public p;
	struct err e = { 0 };
	uint8_t digest[32], sig[P256_SIG_MAX];
	size_t n = 0;

	(void)state;
	start(&c, &p);
	sha256("abc", 3, digest);
	assert_int_equal(custody_sign_cert(&c, digest, sig, &n, &e), 0);
	assert_int_equal(p256_verify(ca, span_str("abc"), span_of(sig, n), &e), 0);
	custody_stop(&c);
}

static void test_refusals(void **state)
{
	struct custody c;
	struct app_public p;
	struct derived_key d;
	struct app_signature s;
	struct err e = { 0 };
	uint8_t out[32];
	auto_free char *path = calloc(1, 1026), *purpose = calloc(1, CUSTODY_PURPOSE_MAX + 2);

	(void)state;
	memset(path, 'p', 1025);
	memset(purpose, 'p', CUSTODY_PURPOSE_MAX + 1);
	start(&c, &p);
	assert_int_equal(custody_key(&c, path, "", "", &d, &e), -1);
	assert_string_equal(e.code, "agent.path");
	assert_int_equal(custody_secret(&c, path, out, &e), -1);
	assert_string_equal(e.code, "agent.path");
	assert_int_equal(custody_key(&c, "", purpose, "", &d, &e), -1);
	assert_string_equal(e.code, "agent.purpose");
	purpose[CUSTODY_PURPOSE_MAX] = path[1024] = 0; // the longest that are taken
	assert_int_equal(custody_key(&c, path, purpose, "", &d, &e), 0);
	assert_int_equal(custody_key(&c, "", "", "secp256k1_prehashed", &d, &e), -1);
	assert_string_equal(e.code, "agent.algorithm");
	assert_int_equal(custody_sign(&c, "", span_str("x"), &s, &e), -1);
	assert_string_equal(e.code, "agent.algorithm");
	assert_int_equal(custody_sign(&c, "secp256k1_prehashed", span_str("x"), &s, &e), -1);
	assert_string_equal(e.code, "agent.digest");
	assert_int_equal(custody_key(&c, "", "", "", &d, &e), 0); // and it goes on
	custody_stop(&c);
}

// A message that is not of the table ends custody; nothing is answered.
static void test_malformed_messages(void **state)
{
	static struct custody_request q;
	const struct {
		struct custody_head head;
		size_t n;
	} bad[] = {
		{ { .op = CUSTODY_OPS }, sizeof q.head },
		{ { .op = UINT32_MAX }, sizeof q.head },
		{ { .algorithm = CUSTODY_ALGORITHMS, .op = CUSTODY_SIGNING_KEY }, sizeof q.head },
		{ { .op = CUSTODY_KEY, .a_n = 1, .b_n = 1 }, sizeof q.head + 1 },
		{ { .op = CUSTODY_KEY, .a_n = 1, .b_n = 1 }, sizeof q.head + 3 },
		{ { .op = CUSTODY_KEY, .a_n = UINT32_MAX, .b_n = 1 }, sizeof q.head },
		{ { .op = CUSTODY_CERT, .a_n = 32 }, sizeof q.head - 1 },
		{ { 0 }, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct custody c;
		struct app_public p;
		char answer[8];
		int status;
		start(&c, &p);
		q.head = bad[i].head;
		assert_int_equal(send(c.process.fd, &q, bad[i].n, MSG_NOSIGNAL), bad[i].n);
		assert_int_equal(recv(c.process.fd, answer, sizeof answer, 0), 0);
		assert_int_equal(waitpid(c.process.pid, &status, 0), c.process.pid);
		assert_true(WIFEXITED(status));
		c.process.pid = 0;
		struct err e = { 0 };
		struct derived_key d;
		assert_int_equal(custody_key(&c, "", "", "", &d, &e), -1);
		assert_string_equal(e.code, "agent.custody");
		close(c.process.fd);
	}
}

// What is no string, no digest: an error, and no key.
static void test_malformed_parts(void **state)
{
	static struct custody_request q;
	struct custody_reply r;
	struct keyring ring;
	struct key_file file;
	struct app_public p;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(key_file_read(keys_file, &file, &e), 0);
	assert_int_equal(keyring_open(&ring, &file, &p, &e), 0);
	memset(q.bytes, 'a', sizeof q.bytes);
	for (uint32_t op = 0; op < CUSTODY_OPS; op++)
		for (uint32_t n = 0; n < 70; n++) {
			if (op == CUSTODY_SIGNING_KEY || (op == CUSTODY_CERT && n == 32) ||
			    (op == CUSTODY_SIGN && n == 32))
				continue;
			q.head = (struct custody_head){ .op = op, .a_n = n };
			assert_true(custody_answer(&ring, &q, sizeof q.head + n, &r));
			assert_int_not_equal(r.err.class, ERR_NONE);
			assert_memory_equal(r.secret, (uint8_t[32]){ 0 }, 32);
		}
	memcpy(q.bytes, "a\0b\0c\0", 6); // a NUL inside
	q.head = (struct custody_head){ .op = CUSTODY_SECRET, .a_n = 4 };
	assert_true(custody_answer(&ring, &q, sizeof q.head + 4, &r));
	assert_int_not_equal(r.err.class, ERR_NONE);
	keyring_close(&ring);
}

static bool status_has(pid_t pid, const char *line)
{
	char path[64];
	auto_free char *text = NULL;
	size_t n;
	struct err e;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	assert_int_equal(file_read(path, 1 << 16, &text, &n, &e), 0);
	return strstr(text, line) != NULL;
}

static void test_confined(void **state)
{
	struct custody c;
	struct app_public p;
	struct stat st;

	(void)state;
	start(&c, &p);
	assert_true(status_has(c.process.pid, "\nCapEff:\t0000000000000000"));
	assert_true(status_has(c.process.pid, "\nNoNewPrivs:\t1"));
	assert_true(status_has(c.process.pid, "\nSeccomp:\t2"));
	if (!geteuid()) {
		assert_true(status_has(c.process.pid, "\nUid:\t991\t991\t991\t991"));
		assert_true(status_has(c.process.pid, "\nGroups:\t \n"));
		assert_int_equal(stat(keys_file, &st), 0);
		assert_int_equal(st.st_uid, USER);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_int_equal(chown(keys_file, 0, 0), 0);
	}
	custody_stop(&c);
}

// Files that must not be taken, and what they say.
static void test_bad_files(void **state)
{
	struct custody c;
	struct app_public p;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(chmod(keys_file, 0644), 0);
	assert_int_equal(custody_start(&c, keys_file, USER, &p, &e), -1);
	assert_string_equal(e.code, "file.mode");
	assert_int_equal(chmod(keys_file, 0600), 0);
	assert_int_equal(custody_start(&c, "/nonexistent/keys", USER, &p, &e), -1);
	assert_string_equal(e.code, "file.absent");
}

// In a process of its own, whose exit status is what `fn` returns: 0 good.
static int in_child(int (*jail)(struct err *), int (*fn)(void))
{
	struct err e = { 0 };
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(jail(&e) ? 100 : fn());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int refused(long rc)
{
	return rc < 0 && errno == EPERM ? 0 : 1;
}

// Each number of a step is its exit status when it fails.
static int as_external(void)
{
	struct sockaddr_un u = { .sun_family = AF_UNIX };
	char byte;
	int pair[2];

	if (refused(open(keys_file, O_RDONLY)) || refused(open("/etc/passwd", O_RDONLY)) ||
	    refused(openat(AT_FDCWD, "/proc/self/mem", O_RDWR)))
		return 1;
	if (refused(socket(AF_UNIX, SOCK_STREAM, 0)) || refused(socket(AF_INET, SOCK_STREAM, 0)) ||
	    refused(connect(0, (void *)&u, sizeof u)))
		return 2;
	char *argv[] = { (char *)(uintptr_t) "/bin/true", NULL };
	if (refused(execve(argv[0], argv, NULL)) || refused(fork()) || refused(kill(getppid(), 0)))
		return 3;
	if (refused(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL)) || refused(setuid(0)) ||
	    refused(unlink(keys_file)) || refused(mkdir("/tmp/x", 0700)) || refused(chmod(keys_file, 0777)))
		return 4;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || write(pair[0], "x", 1) != 1 ||
	    read(pair[1], &byte, 1) != 1)
		return 5; // what it needs, it has
	return 0;
}

static int as_main(void)
{
	char *argv[] = { (char *)(uintptr_t) "/bin/true", NULL };

	if (refused(execve(argv[0], argv, NULL)) || refused(fork()))
		return 1;
	if (refused(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL)) || refused(setuid(0)) ||
	    refused(chown(keys_file, 0, 0)) || refused(kill(getppid(), 0)) || refused(chroot("/")))
		return 2;
	return open("/etc/passwd", O_RDONLY) < 0 ? 3 : 0;
}

static int as_custody(void)
{
	return open(keys_file, O_RDONLY) >= 0 ? 1 : 2; // not reached
}

static void test_jails(void **state)
{
	(void)state;
	assert_int_equal(in_child(jail_external, as_external), 0);
	assert_int_equal(in_child(jail_main, as_main), 0);
	int status = in_child(jail_custody, as_custody);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int none(struct err *e)
{
	(void)e;
	return 0;
}

// The users of main and of the external listener cannot open the file that custody has taken.
static int as_others(void)
{
	struct err e = { 0 };
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(process_confine("external", OTHER, 0, &e) ? 100 : open(keys_file, O_RDONLY) >= 0);
	if (waitpid(pid, &status, 0) != pid || status)
		return 1;
	if (process_confine("main", 0, 0, &e))
		return 2;
	return open(keys_file, O_RDONLY) >= 0 ? 3 : errno == EACCES ? 0 : 4;
}

static void test_key_file_of_custody(void **state)
{
	struct custody c;
	struct app_public p;

	(void)state;
	if (geteuid()) // then there is one user for all, which the log says
		return;
	start(&c, &p);
	assert_int_equal(in_child(none, as_others), 0);
	custody_stop(&c);
	assert_int_equal(chown(keys_file, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_answers),
		cmocka_unit_test(test_sign_cert),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_malformed_messages),
		cmocka_unit_test(test_malformed_parts),
		cmocka_unit_test(test_confined),
		cmocka_unit_test(test_key_file_of_custody),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_jails),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
