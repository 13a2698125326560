// GET /logs/<container> through the RPC server, with a made-up container engine behind it.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "logline.h"
#include "logs.h"
#include "rpc/client.h"

#define OK_HEAD   "HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n"
#define OUT(n, s) "\1\0\0\0\0\0\0" n s
#define ERR(n, s) "\2\0\0\0\0\0\0" n s

static char dir[64] = "/tmp/logs-test.XXXXXX";
static char asked[512]; // the last request of the engine
static struct span reply;
static bool hold; // the engine says no more and keeps the connection until `hold` falls
static bool busy; // the engine has a connection
static int engine_fd;
static struct event_base *base;
static struct rpc_server *server, *shy_server;
static struct agent agent, shy_agent;
static struct guest_side side, shy;
static struct outside outside, shy_outside;
static struct logs logs, shy_logs;
static pthread_t loop, engine_thread;
static int wake[2];

static struct span of(const char *s)
{
	return span_of(s, strlen(s));
}

static int get(const char *socket, const char *path, struct arena *a, struct span *body)
{
	auto_free char *url = str_format("unix:%s/%s", dir, socket);
	struct err e = { 0 };
	auto_rpc_client *c = rpc_client_new(url, NULL, &e);
	int status = 0;

	assert_non_null(c);
	assert_int_equal(rpc_client_get(c, path, a, &status, body, &e), 0);
	return status;
}

static void expect(const char *path, int status, const char *want)
{
	auto_arena *a = arena_new(0);
	struct span body;

	assert_int_equal(get("logs.sock", path, a, &body), status);
	if (!span_is(body, want))
		fail_msg("%s: %.*s", path, (int)body.n, (const char *)body.p);
}

#define ANSWER(text) (reply = span_of(text, sizeof text - 1))

static void test_frames_and_forms(void **state)
{
	(void)state;
	ANSWER(OK_HEAD OUT("\3", "hi\n") ERR("\6", "\33[1mx\377") OUT("\0", ""));
	expect("/logs/web-1", 200,
	       "{\"channel\":\"stdout\",\"message\":\"aGkK\"}\n"
	       "{\"channel\":\"stderr\",\"message\":\"G1sxbXj/\"}\n");
}

static void test_text(void **state)
{
	(void)state;
	ANSWER(OK_HEAD OUT("\3", "hi\n") ERR("\6", "\33[1mx\377"));
	expect("/logs/web?text", 200,
	       "{\"channel\":\"stdout\",\"message\":\"hi\\n\"}\n"
	       "{\"channel\":\"stderr\",\"message\":\"\\u001b[1mx\\ufffd\"}\n");
	expect("/logs/web?text=yes&bare", 200, "hi\nx\xEF\xBF\xBD");
	expect("/logs/web?text&bare=on&ansi=true", 200, "hi\n\33[1mx\xEF\xBF\xBD");
}

static void test_console(void **state)
{
	(void)state;
	ANSWER(OK_HEAD "\33]0;title\7$ ls\r\na b\n# ");
	expect("/logs/tty?text&bare", 200, "$ ls\r\na b\n# ");
	expect("/logs/tty?text", 200,
	       "{\"channel\":\"console\",\"message\":\"\\u001b]0;title\\u0007$ ls\\r\\n\"}\n"
	       "{\"channel\":\"console\",\"message\":\"a b\\n\"}\n"
	       "{\"channel\":\"console\",\"message\":\"# \"}\n");
}

static void test_what_the_engine_is_asked(void **state)
{
	(void)state;
	ANSWER(OK_HEAD);
	expect("/logs/a.b_c-d?since=17&until=18&tail=all&timestamps&text", 200, "");
	assert_string_equal(asked,
			    "GET /containers/a.b_c-d/logs?stdout=true&stderr=true&tail=all&follow=false&"
			    "timestamps=true&since=17&until=18 HTTP/1.0\r\nHost: engine\r\n\r\n");
	expect("/logs/a?since=&unknown=1", 200, "");
	assert_string_equal(asked, "GET /containers/a/logs?stdout=true&stderr=true&tail=1000&follow=false&"
				   "timestamps=false HTTP/1.0\r\nHost: engine\r\n\r\n");
}

static void test_query(void **state)
{
	static const char *const bad[] = {
		"since=x",     "since=5y", "since=-1",        "until=1.5", "until=s",
		"tail=",       "tail=-1",  "tail=1%26follow", "follow=2",  "tail=1%20HTTP/1.1",
		"tail=%0d%0a", "x=%0",     "x=%zz",           "since=%00", "tail=99999999999"
	};
	struct log_query q;
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (!log_query_parse(of(bad[i]), 1000000, &q, &e))
			fail_msg("accepted: %s", bad[i]);
		assert_string_equal(e.code, "agent.logs_query");
	}
	assert_int_equal(log_query_parse(of("since=2h&until=3m&follow=&text=off&&bare=no"), 1000000, &q, &e),
			 0);
	assert_int_equal(q.since, 1000000 - 7200);
	assert_int_equal(q.until, 1000000 - 180);
	assert_true(q.follow && !q.text && !q.bare && !q.ansi);
	assert_int_equal(log_query_parse(of("since=99d"), 1000, &q, &e), 0);
	assert_int_equal(q.since, 1); // before the epoch: all there is
}

// Names go into a path of the engine, which could do anything: nothing but a name gets there.
static void ga_04_container_names(void **state)
{
	static const char *const bad[] = { "/logs/",        "/logs/.a", "/logs/a/b", "/logs/a%2fb",
					   "/logs/a%0d%0a", "/logs/-a", "/logs/a;b", "/logs/a%2e%2e" };

	(void)state;
	asked[0] = 0;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		expect(bad[i], 400, "{\"error\":\"Invalid container name\",\"code\":\"agent.container\"}\n");
	expect("/logs/a?since=x", 400, "{\"error\":\"Invalid since\",\"code\":\"agent.logs_query\"}\n");
	assert_string_equal(asked, "");
	assert_false(log_name_ok(of("..")) || log_name_ok(of(".")) || log_name_ok(of("a/../../x")));
	char name[LOG_NAME_MAX + 2];
	memset(name, 'a', sizeof name);
	assert_true(log_name_ok(span_of(name, LOG_NAME_MAX)));
	assert_false(log_name_ok(span_of(name, LOG_NAME_MAX + 1)));
}

static void ga_03_no_logs_unless_public(void **state)
{
	auto_arena *a = arena_new(0);
	struct span body;

	(void)state;
	asked[0] = 0;
	ANSWER(OK_HEAD OUT("\6", "secret"));
	assert_int_equal(get("shy.sock", "/logs/web", a, &body), 404);
	assert_null(memmem(body.p, body.n, "secret", 6));
	assert_string_equal(asked, "");
}

static void test_engine_errors(void **state)
{
	static const char none[] =
		"{\"error\":\"the container engine sent no answer\",\"code\":\"agent.engine\"}\n";

	(void)state;
	ANSWER("HTTP/1.0 404 Not Found\r\n\r\n{\"message\":\"internals\"}");
	expect("/logs/web", 404, "{\"error\":\"no such container\",\"code\":\"agent.no_container\"}\n");
	ANSWER("HTTP/1.0 500 E\r\n\r\n");
	expect("/logs/web", 502,
	       "{\"error\":\"the container engine did not give the log\",\"code\":\"agent.engine\"}\n");
	ANSWER("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
	expect("/logs/web", 502, none);
	ANSWER("nonsense\r\n\r\n");
	expect("/logs/web", 502, none);
	ANSWER("HTTP/1.0 200");
	expect("/logs/web", 502, none);
	ANSWER(OK_HEAD OUT("\3", "ab\n") "\1\0\0\0\0\0\0");
	expect("/logs/web?text&bare", 200,
	       "ab\n{\"error\":\"the log ends inside a frame\",\"code\":\"agent.log_frame\"}\n");
	ANSWER(OK_HEAD OUT("\3", "ab\n") "\3\0\0\0\0\0\0\1x");
	expect("/logs/web?text&bare", 200,
	       "ab\n{\"error\":\"the container engine sent a malformed log "
	       "frame\",\"code\":\"agent.log_frame\""
	       "}\n");
	ANSWER(OK_HEAD "\1\0\0\0\1\0\0\0");
	expect("/logs/web?text&bare", 200,
	       "{\"error\":\"a log frame of 16777216 bytes is too large\",\"code\":\"agent.log_frame\"}\n");
	side.engine = "/nonexistent/engine.sock";
	expect("/logs/web", 502,
	       "{\"error\":\"the container engine cannot be reached\",\"code\":\"agent.engine\"}\n");
	static char path[96];
	snprintf(path, sizeof path, "%s/engine.sock", dir);
	side.engine = path;
	assert_int_equal(logs.readers, 0);
}

// More than any buffer between holds, with a reader that gets it all in order.
static void test_large(void **state)
{
	enum { FRAMES = 300, SIZE = 8192 };
	const size_t head = sizeof OK_HEAD - 1;
	auto_free uint8_t *all = malloc(head + FRAMES * (SIZE + 8));
	auto_arena *a = arena_new(64 << 20);
	struct span body;

	(void)state;
	assert_non_null(all);
	memcpy(all, OK_HEAD, head);
	for (size_t i = 0; i < FRAMES; i++) {
		uint8_t *f = all + head + i * (SIZE + 8);
		memcpy(f, "\1\0\0\0\0\0\x20\0", 8);
		memset(f + 8, 'a' + (int)(i % 26), SIZE);
	}
	reply = span_of(all, head + FRAMES * (SIZE + 8));
	assert_int_equal(get("logs.sock", "/logs/web?text&bare", a, &body), 200);
	assert_int_equal(body.n, FRAMES * SIZE);
	for (size_t i = 0; i < body.n; i++)
		if (body.p[i] != 'a' + i / SIZE % 26)
			fail_msg("byte %zu", i);
}

static void let_go(void)
{
	__atomic_store_n(&hold, false, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&busy, __ATOMIC_SEQ_CST))
		usleep(1000);
}

static void *follower(void *arg)
{
	auto_arena *a = arena_new(0);
	struct span body;

	*(bool *)arg =
		get("logs.sock", "/logs/web?follow&text&bare", a, &body) == 200 && span_is(body, "hi\n");
	return NULL;
}

// A log that says nothing more ends after the silence; meanwhile the reader takes one of the places.
static void test_silence_and_places(void **state)
{
	bool good = false;
	pthread_t t;

	(void)state;
	ANSWER(OK_HEAD OUT("\3", "hi\n"));
	__atomic_store_n(&hold, true, __ATOMIC_SEQ_CST);
	logs.silence_s = 1;
	logs.readers_max = 1;
	asked[0] = 0;
	assert_int_equal(pthread_create(&t, NULL, follower, &good), 0);
	while (!__atomic_load_n(&logs.readers, __ATOMIC_SEQ_CST))
		usleep(1000);
	expect("/logs/web", 503, "{\"error\":\"too many readers of logs\",\"code\":\"agent.logs_busy\"}\n");
	pthread_join(t, NULL);
	assert_true(good);
	let_go();
	logs.silence_s = LOGS_SILENCE_S;
	logs.readers_max = LOGS_READERS;
	ANSWER(OK_HEAD OUT("\3", "ok\n"));
	expect("/logs/web?text&bare", 200, "ok\n");
}

static int follow(void)
{
	static const char request[] = "GET /logs/web?follow&text HTTP/1.1\r\nHost: x\r\n\r\n";
	struct sockaddr_un u = { .sun_family = AF_UNIX };
	char answer[64];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(u.sun_path, sizeof u.sun_path, "%s/logs.sock", dir);
	assert_int_equal(connect(fd, (void *)&u, sizeof u), 0);
	assert_int_equal(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
	assert_true(recv(fd, answer, sizeof answer, 0) > 12);
	assert_memory_equal(answer, "HTTP/1.1 200", 12);
	return fd;
}

static bool readers_are(unsigned n, int seconds)
{
	for (int i = 0; i < seconds * 1000 && __atomic_load_n(&logs.readers, __ATOMIC_SEQ_CST) != n; i++)
		usleep(1000);
	return __atomic_load_n(&logs.readers, __ATOMIC_SEQ_CST) == n;
}

// Who follows a silent log and goes away frees the place, though the log says nothing more.
static void test_follower_that_leaves(void **state)
{
	(void)state;
	ANSWER(OK_HEAD OUT("\3", "hi\n"));
	__atomic_store_n(&hold, true, __ATOMIC_SEQ_CST);
	int fd = follow();
	assert_true(readers_are(1, 0));
	close(fd);
	assert_true(readers_are(0, 5));
	let_go();
	expect("/logs/web?text&bare", 200, "hi\n");
}

// Who closes only its sending side gets what there is, and then the end.
static void test_half_closed_follower(void **state)
{
	char rest[256] = "";
	size_t n = 0;

	(void)state;
	ANSWER(OK_HEAD OUT("\3", "hi\n"));
	__atomic_store_n(&hold, true, __ATOMIC_SEQ_CST);
	auto_close int fd = follow();
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	for (ssize_t k; n < sizeof rest - 1 && (k = recv(fd, rest + n, sizeof rest - 1 - n, 0)) > 0;)
		n += (size_t)k;
	assert_non_null(strstr(rest, "\r\n0\r\n\r\n"));
	assert_true(readers_are(0, 5));
	let_go();
}

// One address cannot have all places.
static void test_places_of_one_address(void **state)
{
	int fd[2];

	(void)state;
	ANSWER(OK_HEAD OUT("\3", "hi\n"));
	__atomic_store_n(&hold, true, __ATOMIC_SEQ_CST);
	logs.address_max = 1;
	fd[0] = follow();
	expect("/logs/web", 503,
	       "{\"error\":\"too many readers of logs from your address\",\"code\":\"agent.logs_busy\"}\n");
	close(fd[0]);
	assert_true(readers_are(0, 5));
	let_go();
	expect("/logs/web?text&bare", 200, "hi\n");
	logs.address_max = LOGS_PER_ADDRESS;
}

static void test_address(void **state)
{
	static const struct {
		enum http_peer_kind kind;
		const char *text, *want;
	} cases[] = {
		{ HTTP_PEER_TCP, "192.0.2.7:4711", "192.0.2.7" },
		{ HTTP_PEER_TCP, "[2001:db8:1:2:3:4:5:6]:80", "2001:db8:1:2::" },
		{ HTTP_PEER_TCP, "[2001:db8:1:2::9]:80", "2001:db8:1:2::" },
		{ HTTP_PEER_UNIX, "unix:uid=1000,pid=7", "unix:uid=1000" },
		{ HTTP_PEER_OTHER, "unknown", "unknown" },
	};
	char out[LOGS_ADDRESS];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct http_peer p = { .kind = cases[i].kind };
		snprintf(p.text, sizeof p.text, "%s", cases[i].text);
		logs_address(&p, out);
		assert_string_equal(out, cases[i].want);
	}
}

// Sends in pieces that split heads and frames.
static void *engine(void *arg)
{
	(void)arg;
	for (;;) {
		auto_close int fd = accept(engine_fd, NULL, NULL);
		if (fd < 0)
			return NULL;
		__atomic_store_n(&busy, true, __ATOMIC_SEQ_CST);
		char request[sizeof asked] = "";
		size_t n = 0, piece = reply.n < 200 ? 5 : 100000;
		for (ssize_t k; !strstr(request, "\r\n\r\n") && n + 1 < sizeof request; n += (size_t)k)
			if ((k = recv(fd, request + n, sizeof request - 1 - n, 0)) <= 0)
				break;
		memcpy(asked, request, sizeof asked);
		for (size_t at = 0, k; at < reply.n; at += k) {
			k = reply.n - at < piece ? reply.n - at : piece;
			if (send(fd, reply.p + at, k, MSG_NOSIGNAL) != (ssize_t)k)
				break;
		}
		while (__atomic_load_n(&hold, __ATOMIC_SEQ_CST))
			usleep(1000);
		__atomic_store_n(&busy, false, __ATOMIC_SEQ_CST);
	}
}

static void *run(void *arg)
{
	event_base_dispatch(arg);
	return NULL;
}

static void stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

static int setup(void **state)
{
	static char path[96], address[96], shy_address[96];
	struct sockaddr_un u = { .sun_family = AF_UNIX };
	struct err e = { 0 };

	(void)state;
	if (!mkdtemp(dir) || rpc_client_setup() || pipe(wake))
		return -1;
	snprintf(path, sizeof path, "%s/engine.sock", dir);
	snprintf(address, sizeof address, "unix:%s/logs.sock", dir);
	snprintf(shy_address, sizeof shy_address, "unix:%s/shy.sock", dir);
	memcpy(u.sun_path, path, sizeof path);
	engine_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(engine_fd, (void *)&u, sizeof u) || listen(engine_fd, 8) ||
	    pthread_create(&engine_thread, NULL, engine, NULL))
		return -1;
	agent.app.public_logs = true;
	side = (struct guest_side){ .agent = &agent, .engine = path };
	shy = (struct guest_side){ .agent = &shy_agent, .engine = path };
	outside = outside_here(base, &side);
	shy_outside = outside_here(base, &shy);
	base = event_base_new();
	server = rpc_server_new(base);
	shy_server = rpc_server_new(base);
	if (logs_mount(server, base, &logs, &outside) || rpc_server_listen(server, address, NULL, 0600, &e) ||
	    logs_mount(shy_server, base, &shy_logs, &shy_outside) ||
	    rpc_server_listen(shy_server, shy_address, NULL, 0600, &e) ||
	    event_base_once(base, wake[0], EV_READ, stop, base, NULL))
		return -1;
	return pthread_create(&loop, NULL, run, base);
}

static int teardown(void **state)
{
	struct err e = { 0 };

	(void)state;
	if (write(wake[1], "x", 1) != 1)
		return -1;
	pthread_join(loop, NULL);
	shutdown(engine_fd, SHUT_RDWR);
	pthread_join(engine_thread, NULL);
	close(engine_fd);
	rpc_server_free(server);
	rpc_server_free(shy_server);
	event_base_free(base);
	return file_remove_tree(dir, &e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_and_forms),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_console),
		cmocka_unit_test(test_what_the_engine_is_asked),
		cmocka_unit_test(test_query),
		cmocka_unit_test(ga_04_container_names),
		cmocka_unit_test(ga_03_no_logs_unless_public),
		cmocka_unit_test(test_engine_errors),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_silence_and_places),
		cmocka_unit_test(test_follower_that_leaves),
		cmocka_unit_test(test_half_closed_follower),
		cmocka_unit_test(test_places_of_one_address),
		cmocka_unit_test(test_address),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
