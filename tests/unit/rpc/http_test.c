// http: the framing corpus, half-close, caps, streams, deadlines; over socket pairs, without a network.
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "http_corpus.h"
#include "rpc/http.h"

static struct event_base *base;
static struct http_server server;
static size_t stream_left;
static unsigned gone_calls;
static struct http_conn *later;

static void more(struct http_conn *c, void *arg)
{
	char b[10000];
	size_t n = stream_left < sizeof b ? stream_left : sizeof b;

	(void)arg;
	memset(b, 'x', n);
	stream_left -= n;
	if (n)
		http_write(c, b, n);
	else
		http_end(c);
}

static void stream_gone(void *arg)
{
	(void)arg;
	gone_calls++;
}

static void handler(struct http_conn *c, void *arg)
{
	const struct http_head *h = http_request(c);
	struct span body = http_body(c);

	(void)arg;
	if (span_is(h->path, "/stream")) {
		http_stream(c, 200, "text/plain", more, stream_gone, NULL);
	} else if (span_is(h->path, "/later")) {
		later = c;
		http_set_request(c, &later);
	} else if (span_is(h->path, "/large")) {
		char *b = calloc(1, 3 << 20);
		assert_non_null(b);
		http_reply(c, 200, "x/y", b, 3 << 20);
		free(b);
	} else {
		http_reply(c, 200, "application/json", body.n ? (const char *)body.p : "{}",
			   body.n ? body.n : 2);
	}
}

static void gone(struct http_conn *c, void *request, void *arg)
{
	(void)c;
	(void)arg;
	if (request == &later)
		later = NULL;
}

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	server = (struct http_server){ .base = base,
				       .body_max = 10 << 20,
				       .idle_s = 10,
				       .request_s = 30,
				       .handler_s = 60,
				       .conns_max = 16,
				       .handler = handler,
				       .gone = gone };
	gone_calls = 0;
	return base ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	http_close_all(&server);
	assert_int_equal(server.conns, 0);
	event_base_free(base);
	return 0;
}

static int dial(void)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	assert_int_equal(http_adopt(&server, fd[0], NULL), 0);
	return fd[1];
}

static void turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

// Sends all, turning the loop, and gives what came back. *fin: the server closed its side.
static size_t talk(int fd, const char *p, size_t n, bool half_close, char *out, size_t cap, bool *fin)
{
	size_t got = 0;
	*fin = false;

	for (int quiet = 0; quiet < 20;) {
		bool moved = false;
		if (n) {
			ssize_t w = send(fd, p, n, MSG_NOSIGNAL);
			if (w > 0) {
				p += w;
				n -= (size_t)w;
				moved = true;
			} else if (errno != EAGAIN) {
				n = 0;
			}
			if (!n && half_close)
				shutdown(fd, SHUT_WR);
		}
		turn();
		char drop[65536];
		bool room = got < cap - 1;
		ssize_t r = recv(fd, room ? out + got : drop, room ? cap - 1 - got : sizeof drop, 0);
		if (r > 0) {
			got += room ? (size_t)r : 0;
			moved = true;
		}
		if (r == 0) {
			*fin = true;
			break;
		}
		quiet = moved ? 0 : quiet + 1;
	}
	out[got] = 0;
	return got;
}

static const char get[] = "GET /json HTTP/1.1\r\nHost: x\r\n\r\n";

// The status of the first final reply, 0 if none came.
static int first_status(const char *b)
{
	int status = 0;

	while ((b = strstr(b, "HTTP/1.1 "))) {
		status = atoi(b + 9);
		if (status != 100)
			return status;
		b += 9;
	}
	return status;
}

static void one_case(const char *name, bool ok, const char *p, size_t n)
{
	static char out[1 << 16];
	bool fin;
	char *all = malloc(n + sizeof get);

	assert_non_null(all);
	memcpy(all, p, n);
	memcpy(all + n, get, sizeof get);
	int fd = dial();
	talk(fd, all, n + sizeof get - 1, false, out, sizeof out, &fin);
	close(fd);
	turn();
	free(all);
	int status = first_status(out);
	if ((status == 200) != ok || (!ok && (!fin || !strstr(out, "application/json"))))
		fail_msg("%s: status %d, fin %d\n%.300s", name, status, fin, out);
}

static void test_corpus(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof http_cases / sizeof *http_cases; i++)
		one_case(http_cases[i].name, http_cases[i].ok, http_cases[i].bytes, http_cases[i].n);
}

static void test_long_heads(void **state)
{
	static char b[1 << 17];
	static const char line[] = "POST /echo HTTP/1.1\r\nHost: x\r\n";
	size_t n;

	(void)state;
	n = (size_t)snprintf(b, sizeof b, "%sA: ", line);
	memset(b + n, 'b', 17000);
	n += 17000 + (size_t)sprintf(b + n + 17000, "\r\n\r\n");
	one_case("field of 17 KiB", false, b, n);
	n = (size_t)sprintf(b, "POST /");
	memset(b + n, 'b', 17000);
	n += 17000 + (size_t)sprintf(b + n + 17000, " HTTP/1.1\r\nHost: x\r\n\r\n");
	one_case("target of 17 KiB", false, b, n);
	for (int fields = 200; fields <= 10000; fields += 9800) {
		n = (size_t)sprintf(b, "%s", line);
		for (int i = 0; i < fields; i++)
			n += (size_t)sprintf(b + n, "a:b\r\n");
		n += (size_t)sprintf(b + n, "\r\n");
		one_case("many fields", false, b, n);
	}
}

static void test_keep_alive_and_pipelining(void **state)
{
	char out[4096], three[300];
	bool fin;

	(void)state;
	int fd = dial();
	snprintf(three, sizeof three, "%s%s%s", get, get, get);
	talk(fd, three, strlen(three), false, out, sizeof out, &fin);
	assert_false(fin);
	int n = 0;
	for (const char *p = out; (p = strstr(p, "HTTP/1.1 200")); p++)
		n++;
	assert_int_equal(n, 3);
	close(fd);
}

static void test_half_close(void **state)
{
	static char out[8 << 20];
	bool fin;

	(void)state;
	int fd = dial(); // at once after the request
	talk(fd, get, sizeof get - 1, true, out, sizeof out, &fin);
	assert_true(fin);
	assert_non_null(strstr(out, "\r\n\r\n{}"));
	close(fd);

	fd = dial(); // a reply larger than the socket's buffer
	static const char large[] = "GET /large HTTP/1.1\r\nHost: x\r\n\r\n";
	size_t n = talk(fd, large, sizeof large - 1, true, out, sizeof out, &fin);
	assert_true(fin);
	assert_true(n > 3 << 20);
	close(fd);

	fd = dial(); // a stream
	stream_left = 5000000;
	static const char stream[] = "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n";
	n = talk(fd, stream, sizeof stream - 1, true, out, sizeof out, &fin);
	assert_true(fin);
	assert_true(n > 5000000);
	assert_memory_equal(out + n - 5, "0\r\n\r\n", 5);
	assert_int_equal(gone_calls, 1);
	close(fd);

	fd = dial(); // inside the body
	static const char cut[] = "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a";
	talk(fd, cut, sizeof cut - 1, true, out, sizeof out, &fin);
	assert_true(fin);
	assert_int_equal(first_status(out), 400);
	close(fd);
	turn();
}

static void test_dribble(void **state)
{
	static const char post[] = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
	char out[1024];
	bool fin;

	(void)state;
	int fd = dial();
	for (size_t i = 0; i + 2 < sizeof post; i++) {
		assert_int_equal(send(fd, post + i, 1, 0), 1);
		turn();
	}
	talk(fd, post + sizeof post - 2, 1, false, out, sizeof out, &fin);
	assert_non_null(strstr(out, "\r\n\r\n{\"a\":1}"));
	close(fd);
}

static size_t large_body(const char *head, size_t body, char *out, size_t cap)
{
	bool fin;
	size_t n = strlen(head);
	char *all = malloc(n + body);

	assert_non_null(all);
	memcpy(all, head, n);
	memset(all + n, 'x', body);
	int fd = dial();
	talk(fd, all, n + body, false, out, cap, &fin);
	close(fd);
	turn();
	free(all);
	return (size_t)first_status(out);
}

static void test_body_cap(void **state)
{
	static char out[1 << 16];
	char head[128];

	(void)state;
	snprintf(head, sizeof head, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 10 << 20);
	assert_int_equal(large_body(head, 10 << 20, out, sizeof out), 200);
	snprintf(head, sizeof head, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n",
		 (10 << 20) + 1);
	assert_int_equal(large_body(head, (10 << 20) + 1, out, sizeof out), 413);
	assert_non_null(strstr(out, "payload too large"));
	assert_int_equal(large_body(head, 0, out, sizeof out), 413); // before a byte of the body
	assert_int_equal(
		large_body("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nf00000\r\n", 100,
			   out, sizeof out),
		413);
	assert_int_equal(
		large_body("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n000000000000", 0,
			   out, sizeof out),
		0); // an endless size line: nothing yet
}

static void test_later_and_gone(void **state)
{
	static const char req[] = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n";
	char out[1024];
	bool fin;

	(void)state;
	int fd = dial();
	talk(fd, req, sizeof req - 1, true, out, sizeof out, &fin);
	assert_false(fin);
	assert_non_null(later);
	http_reply(later, 200, "x/y", "late", 4);
	talk(fd, "", 0, false, out, sizeof out, &fin);
	assert_true(fin);
	assert_non_null(strstr(out, "late"));
	close(fd);

	fd = dial();
	talk(fd, req, sizeof req - 1, false, out, sizeof out, &fin);
	assert_non_null(later);
	http_close_all(&server);
	assert_null(later); // told by `gone`
	close(fd);
}

static void test_pipelining_without_reading(void **state)
{
	(void)state;
	int fd = dial();
	size_t sent = 0;
	for (int stuck = 0; stuck < 50;) {
		ssize_t w = send(fd, get, sizeof get - 1, MSG_NOSIGNAL);
		turn();
		sent += w > 0 ? (size_t)w : 0;
		stuck = w > 0 ? 0 : stuck + 1;
		assert_true(sent < 8 << 20); // it must stop taking them
	}
	size_t replies = 0; // and go on once they are read
	for (int quiet = 0; quiet < 20;) {
		char b[4097];
		ssize_t r = recv(fd, b, sizeof b - 1, 0);
		turn();
		b[r > 0 ? r : 0] = 0;
		for (const char *p = b; (p = strchr(p, '{')); p++)
			replies++;
		quiet = r > 0 ? 0 : quiet + 1;
	}
	assert_int_equal(replies, sent / (sizeof get - 1));
	close(fd);
}

static void test_caps_and_stop(void **state)
{
	char out[1024];
	bool fin;
	int fd[16], two[2];

	(void)state;
	for (int i = 0; i < 16; i++)
		fd[i] = dial();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, two), 0);
	assert_int_equal(http_adopt(&server, two[0], NULL), -1);
	close(two[1]);
	server.stopping = true;
	talk(fd[0], get, sizeof get - 1, false, out, sizeof out, &fin);
	assert_true(fin);
	assert_non_null(strstr(out, "Connection: close"));
	http_close_idle(&server);
	for (int i = 0; i < 16; i++)
		close(fd[i]);
	for (int i = 0; i < 3; i++)
		turn();
	assert_int_equal(server.conns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_corpus, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_heads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keep_alive_and_pipelining, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_close, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dribble, setup, teardown),
		cmocka_unit_test_setup_teardown(test_body_cap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_later_and_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pipelining_without_reading, setup, teardown),
		cmocka_unit_test_setup_teardown(test_caps_and_stop, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
