// server and client together: a loop on a thread, real sockets, each way of asking and each way of failing.
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
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
#include "base/strings.h"
#include "guest.pb-c.h"
#include "prpc.pb-c.h"
#include "rpc/client.h"
#include "rpc/server.h"

static struct event_base *base;
static struct rpc_server *server;
static pthread_t loop;
static char path[64];
static char url[96];
static struct rpc_call *waiting;

static int get_key(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const Guest__GetKeyArgs *a = in;
	Guest__GetKeyResponse *r = out;

	if (!strcmp(a->algorithm, "bad"))
		return err_code(e, ERR_INPUT, "agent.algorithm", "Unsupported algorithm");
	if (!strcmp(a->algorithm, "broken"))
		return err_set(e, ERR_SYSTEM, "open /secret/place: Permission denied");
	r->key = pb_bytes(rpc_arena(c), a->path, strlen(a->path));
	return 0;
}

static int attest_rest(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const Guest__RawQuoteArgs *a = in;
	Guest__AttestResponse *r = out;

	(void)e;
	r->attestation = pb_bytes(rpc_arena(c), a->report_data.data, a->report_data.len);
	return 0;
}

static void *somebody_else(void *call)
{
	usleep(1000);
	rpc_continue(call, attest_rest);
	return NULL;
}

// In two stages: the second is asked for before the first has returned, or later by another thread.
static int attest(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	static atomic_uint turn;
	pthread_t t;

	(void)in, (void)out, (void)e;
	if (atomic_fetch_add(&turn, 1) % 2) {
		rpc_continue(c, attest_rest);
		usleep(20000); // a worker may take its time
	} else if (!pthread_create(&t, NULL, somebody_else, c)) {
		pthread_detach(t);
	}
	return RPC_LATER;
}

static int version(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	Guest__WorkerVersion *r = out;

	(void)in;
	(void)e;
	r->version = arena_fmt(rpc_arena(c), "%s %s", rpc_method_name(c), rpc_peer(c)->text);
	rpc_finish(c, 0, NULL); // inside the method
	return RPC_LATER;
}

static void finish_later(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	rpc_finish(waiting, -1, &(struct err){ ERR_DENIED, "test.later", "no" });
}

static int info(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	(void)in;
	(void)out;
	(void)e;
	waiting = c;
	event_base_once(base, -1, EV_TIMEOUT, finish_later, NULL, &(struct timeval){ 0, 10000 });
	return RPC_LATER;
}

static const struct rpc_method methods[] = {
	{ "GetKey", &guest__get_key_args__descriptor, &guest__get_key_response__descriptor, get_key },
	{ "Attest", &guest__raw_quote_args__descriptor, &guest__attest_response__descriptor, attest,
	  .worker = true, .body_max = 4096 },
	{ "Version", &prpc__empty__descriptor, &guest__worker_version__descriptor, version },
	{ "Info", &prpc__empty__descriptor, &guest__app_info__descriptor, info },
};

static void health(struct http_conn *c, void *arg)
{
	(void)arg;
	http_reply(c, 200, "text/plain", "OK", 2);
}

static void *run(void *arg)
{
	event_base_loop(arg, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static void stopped(void *arg)
{
	event_base_loopbreak(arg);
}

static void stop_now(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	rpc_server_stop(server, 2, stopped, arg);
}

static struct event *stop_pipe;
static int stop_fd[2];

static int setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	snprintf(path, sizeof path, "/tmp/dstack-rpc-test-%d.sock", getpid());
	snprintf(url, sizeof url, "unix:%s:/prpc", path);
	base = event_base_new();
	server = rpc_server_new(base);
	rpc_server_mount(server, "", "DstackGuest.", methods, 4, NULL);
	rpc_server_mount(server, "/prpc", "DstackGuest.", methods, 4, NULL);
	rpc_server_raw(server, "/health", health, NULL);
	rpc_server_header(server, "X-App-Version: v1");
	char address[80];
	snprintf(address, sizeof address, "unix:%s", path);
	if (rpc_server_listen(server, address, NULL, 0600, &e) ||
	    rpc_server_listen(server, "tcp:127.0.0.1:0", NULL, 0, &e) || pipe(stop_fd))
		return -1;
	stop_pipe = event_new(base, stop_fd[0], EV_READ, stop_now, base);
	event_add(stop_pipe, NULL);
	return pthread_create(&loop, NULL, run, base);
}

static int teardown(void **state)
{
	(void)state;
	if (write(stop_fd[1], "x", 1) != 1)
		return -1;
	pthread_join(loop, NULL);
	rpc_server_free(server);
	event_free(stop_pipe);
	event_base_free(base);
	unlink(path);
	return 0;
}

// One raw request on a new connection, half-closed: the whole answer.
static void ask(const char *request, size_t n, char *out, size_t cap)
{
	struct sockaddr_un u = { .sun_family = AF_UNIX };
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t at = 0;

	snprintf(u.sun_path, sizeof u.sun_path, "%s", path);
	assert_int_equal(connect(fd, (void *)&u, sizeof u), 0);
	assert_int_equal(send(fd, request, n, MSG_NOSIGNAL), n);
	shutdown(fd, SHUT_WR);
	for (ssize_t r; at < cap - 1 && (r = read(fd, out + at, cap - 1 - at)) > 0;)
		at += (size_t)r;
	out[at] = 0;
}

static void post(const char *target, const char *type, const char *body, size_t n, char *out, size_t cap)
{
	char request[8192];
	int k = snprintf(request, sizeof request,
			 "POST %s HTTP/1.1\r\nHost: x\r\n%s%s%sContent-Length: %zu\r\n\r\n", target,
			 type ? "Content-Type: " : "", type ? type : "", type ? "\r\n" : "", n);

	memcpy(request + k, body, n);
	ask(request, (size_t)k + n, out, cap);
}

static void post_json(const char *target, const char *body, const char *want)
{
	char out[4096];

	post(target, "application/json; charset=utf-8", body, strlen(body), out, sizeof out);
	if (!strstr(out, want))
		fail_msg("%s %s: %s", target, body, out);
	assert_non_null(strstr(out, "X-App-Version: v1\r\n"));
}

static void test_ways_of_asking(void **state)
{
	char out[4096];

	(void)state;
	post_json("/GetKey", "{\"path\":\"a\"}", "{\"key\":\"61\",\"signature_chain\":[]}");
	post_json("/prpc/DstackGuest.GetKey", "{\"path\":\"a\"}", "{\"key\":\"61\"");
	post_json("/DstackGuest.DstackGuest.GetKey", "", "{\"key\":\"\"");
	post("/GetKey?json", NULL, "{\"path\":\"b\"}", 12, out, sizeof out);
	assert_non_null(strstr(out, "{\"key\":\"62\""));
	post("/GetKey?a&json=1", "text/plain", "{\"path\":\"b\"}", 12, out, sizeof out);
	assert_non_null(strstr(out, "{\"key\":\"62\""));
	post("/GetKey", NULL, "\x0a\x01z", 3, out, sizeof out);
	assert_non_null(strstr(out, "application/octet-stream"));
	assert_non_null(strstr(out, "\r\n\r\n\x0a\x01z"));
	static const char get[] = "GET /GetKey?path=%7e HTTP/1.1\r\nHost: x\r\n\r\n";
	ask(get, sizeof get - 1, out, sizeof out);
	assert_non_null(strstr(out, "{\"key\":\"7e\""));
	static const char head[] = "HEAD /GetKey?path=%7e HTTP/1.1\r\nHost: x\r\n\r\n";
	ask(head, sizeof head - 1, out, sizeof out);
	assert_non_null(strstr(out, "Content-Length: 33"));
	assert_null(strstr(out, "7e\""));
	static const char raw[] = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
	ask(raw, sizeof raw - 1, out, sizeof out);
	assert_non_null(strstr(out, "\r\n\r\nOK"));
}

static void test_errors(void **state)
{
	char out[4096];

	(void)state;
	post_json("/GetKey", "{\"algorithm\":\"bad\"}",
		  "\r\n\r\n{\n  \"error\": \"Unsupported algorithm\",\n  \"code\": \"agent.algorithm\"\n}");
	post_json("/GetKey", "{\"algorithm\":\"bad\"}", "HTTP/1.1 400 ");
	post_json("/GetKey", "{\"algorithm\":\"broken\"}", "\"error\": \"internal error, request ");
	post_json("/Nope", "{}", "\"error\": \"Service not found: Nope\"");
	post_json("/prpc/Nope", "{}", "HTTP/1.1 400 ");
	post_json("/prpc/", "{}", "HTTP/1.1 404 ");
	post_json("/a/b", "{}", "HTTP/1.1 404 ");
	post_json("/health", "{}", "HTTP/1.1 405 ");
	post_json("/GetKey", "{", "\"code\": \"rpc.json\"");
	post_json("/GetKey", "{\"path\":1}", "field path: must be a string");
	post("/GetKey", NULL, "\x0a\x05z", 3, out, sizeof out);
	assert_non_null(strstr(out, "HTTP/1.1 400 "));
	assert_non_null(strstr(out, "application/octet-stream"));
	assert_non_null(strstr(out, "request is not a valid GetKeyArgs message"));
	static const char put[] = "PUT /GetKey HTTP/1.1\r\nHost: x\r\n\r\n";
	ask(put, sizeof put - 1, out, sizeof out);
	assert_non_null(strstr(out, "HTTP/1.1 405 "));
	static const char large[] = "POST /Attest HTTP/1.1\r\nHost: x\r\nContent-Length: 4097\r\n\r\n";
	ask(large, sizeof large - 1, out, sizeof out);
	assert_non_null(strstr(out, "HTTP/1.1 400 "));
	assert_non_null(strstr(out, "payload too large"));
}

static void *many_calls(void *arg)
{
	struct err e = { 0 };
	auto_rpc_client *c = rpc_client_new(url, NULL, &e);

	(void)arg;
	for (int i = 0; c && i < 20; i++) {
		auto_arena *a = arena_new(0);
		Guest__RawQuoteArgs in;
		void *out;
		guest__raw_quote_args__init(&in);
		in.report_data = (ProtobufCBinaryData){ 3, (uint8_t *)&(char[]){ "abc" } };
		if (rpc_client_call(c, "Attest", &in.base, &guest__attest_response__descriptor, a, &out,
				    &e) ||
		    ((Guest__AttestResponse *)out)->attestation.len != 3)
			return "failed";
	}
	return c ? NULL : "no client";
}

static void test_client_and_workers(void **state)
{
	struct err e = { 0 };
	void *out;
	pthread_t t[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&t[i], NULL, many_calls, NULL), 0);
	for (int i = 0; i < 8; i++) {
		void *why;
		pthread_join(t[i], &why);
		assert_null(why);
	}
	auto_arena *a = arena_new(0);
	auto_rpc_client *c = rpc_client_new(url, NULL, &e);
	assert_int_equal(rpc_client_call(c, "Version", NULL, &guest__worker_version__descriptor, a, &out, &e),
			 0);
	assert_int_equal(strncmp(((Guest__WorkerVersion *)out)->version, "Version unix:uid=", 17), 0);
	assert_string_equal(rpc_client_header(c, "X-App-Version"), "v1");
	assert_int_equal(rpc_client_call(c, "Info", NULL, NULL, a, NULL, &e),
			 -1); // answered later, with an error
	assert_string_equal(e.code, "test.later");
	assert_string_equal(e.text, "Info: no");
	assert_int_equal(rpc_client_call(c, "Nope", NULL, NULL, a, NULL, &e), -1);
	assert_string_equal(e.code, "rpc.unknown_method");

	char tcp[64];
	snprintf(tcp, sizeof tcp, "http://127.0.0.1:%u", rpc_server_port(server));
	auto_rpc_client *plain = rpc_client_new(tcp, NULL, &e);
	int status;
	struct span body;
	assert_int_equal(rpc_client_get(plain, "/health", a, &status, &body, &e), 0);
	assert_int_equal(status, 200);
	assert_true(span_is(body, "OK"));
	assert_int_equal(rpc_client_post(plain, "/GetKey?json", "text/plain", span_str("{\"path\":\"c\"}"), a,
					 &status, &body, &e),
			 0);
	assert_true(span_is(body, "{\"key\":\"63\",\"signature_chain\":[]}"));

	auto_rpc_client *dead = rpc_client_new("unix:/nowhere.sock", NULL, &e);
	assert_int_equal(rpc_client_call(dead, "X", NULL, NULL, a, NULL, &e), -1);
	assert_string_equal(e.code, "rpc.connect");
	assert_null(rpc_client_new("ftp://x", NULL, &e));
	assert_null(rpc_client_new("vsock://2/api", NULL, &e));
}

static void test_addresses(void **state)
{
	static const char *const bad[] = { "",
					   "x",
					   "unix:",
					   "tcp:1",
					   "tcp:localhost:1",
					   "tcp:127.0.0.1:65536",
					   "tcp:[::1:1",
					   "vsock:",
					   "vsock:x:1",
					   "fd:999",
					   "fd:x" };
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(rpc_socket(bad[i], 0, &e), -1);
	char address[80];
	snprintf(address, sizeof address, "unix:%s", path);
	assert_int_equal(rpc_socket(address, 0, &e), -1); // in use
	assert_non_null(strstr(e.text, "another process"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways_of_asking),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_client_and_workers),
		cmocka_unit_test(test_addresses),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
