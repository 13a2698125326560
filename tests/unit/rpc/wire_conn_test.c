// The prpc wire, sentence by sentence: what clients rely on from the connection (guest agent specification,
// section 2.4), and the limit on bodies.
#include "wire.h"
#include <sys/ioctl.h>
#include <time.h>
#include "base/strings.h"

// The server's FIN, and nothing before it.
static void wire_fin(int fd)
{
	char c;

	assert_int_equal(recv(fd, &c, 1, 0), 0);
}

#define KEY(path)  "{\"path\":\"" path "\",\"purpose\":\"\",\"algorithm\":\"\"}"
#define POST(path) "POST " path " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "

static int64_t ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void want(int fd, int status, const char *body)
{
	auto_answer a = { 0 };

	wire_get(fd, false, &a);
	if (a.status != status || strcmp(a.body, body))
		fail_msg("%d %s\nnot %d %s", a.status, a.body, status, body);
}

static void content_length_always(void **state)
{
	static const char *const requests[] = {
		POST("/GetKeyArgs") "2\r\n\r\n{}",
		POST("/Empty") "0\r\n\r\n",
		POST("/Nope") "0\r\n\r\n",
		POST("/a/b") "0\r\n\r\n",
		POST("/Fail") "2\r\n\r\n{}",
		"POST /Empty HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		"GET /Sized?path=1000000 HTTP/1.1\r\nHost: x\r\n\r\n",
	};
	auto_close int fd = wire_dial(wire.path);
	auto_answer a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		wire_puts(fd, requests[i]);
		wire_get(fd, false, &a); // asserts it
	}
	assert_int_equal(a.n, 1000000 + 18);
}

// Upstream's own JavaScript client splits each line at ": ".
static void header_lines_are_name_colon_space_value(void **state)
{
	auto_close int fd = wire_dial(wire.path);
	auto_answer a = { 0 };
	char *save = NULL;

	(void)state;
	wire_puts(fd, POST("/Empty") "0\r\n\r\n");
	wire_get(fd, false, &a);
	char *line = strtok_r(a.head, "\r\n", &save);
	assert_int_equal(strncmp(line, "HTTP/1.1 200 ", 13), 0);
	while ((line = strtok_r(NULL, "\r\n", &save))) {
		char *colon = strstr(line, ": ");
		assert_non_null(colon);
		assert_true(colon > line && colon[2] && colon[2] != ' ');
	}
}

static void keep_alive_by_default(void **state)
{
	auto_close int fd = wire_dial(wire.path);
	auto_answer a = { 0 };

	(void)state;
	for (int i = 0; i < 50; i++) {
		wire_post(fd, "/GetKeyArgs", "application/json", "{\"path\":\"a\"}", 12);
		wire_get(fd, false, &a);
		assert_string_equal(a.body, KEY("a"));
		assert_null(strstr(a.head, "Connection: close"));
	}
	wire_puts(fd, POST("/Fail") "2\r\n\r\n{}"); // an error does not end it
	wire_get(fd, false, &a);
	assert_int_equal(a.status, 400);
	wire_puts(fd, POST("/GetKeyArgs") "11\r\n\r\n{\"path\": 1}"); // nor one of the request's types
	wire_get(fd, false, &a);
	assert_int_equal(a.status, 400);
	wire_puts(fd, POST("/Empty") "2\r\n\r\n{}");
	want(fd, 200, "null");
}

static void connection_close_is_honoured(void **state)
{
	auto_close int fd = wire_dial(wire.path), old = wire_dial(wire.path);
	auto_answer a = { 0 };

	(void)state;
	wire_puts(fd, "GET /Empty HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	wire_get(fd, false, &a);
	assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
	wire_fin(fd);
	wire_puts(old, "GET /Empty HTTP/1.0\r\n\r\n");
	want(old, 200, "null");
	wire_fin(old);
}

static void idle_connections_end(void **state)
{
	auto_close int fd = wire_dial(wire.hasty_path), silent = wire_dial(wire.hasty_path);
	int64_t began = ms();

	(void)state;
	assert_int_equal(wire.server->http.idle_s, 10); // what a server has unless told otherwise
	wire_puts(fd, POST("/Empty") "0\r\n\r\n");
	want(fd, 200, "null");
	wire_fin(fd);
	wire_fin(silent);
	assert_in_range(ms() - began, 0, 15000);
}

static void half_close_before_the_answer(void **state)
{
	auto_answer a = { 0 };

	(void)state;
	for (int i = 0; i < 50; i++) {
		auto_close int fd = wire_dial(wire.path);
		wire_puts(fd, i % 2 ? "GET /Sized?path=3000000 HTTP/1.1\r\nHost: x\r\n\r\n"
				    : POST("/Empty") "0\r\n\r\n");
		shutdown(fd, SHUT_WR);
		wire_get(fd, false, &a);
		assert_int_equal(a.n, i % 2 ? 3000018 : 4);
		wire_fin(fd);
	}
}

static void half_close_after_the_answer_closes_promptly(void **state)
{
	int64_t began = ms();

	(void)state;
	for (int i = 0; i < 50; i++) {
		auto_close int fd = wire_dial(wire.path);
		wire_puts(fd, POST("/Empty") "0\r\n\r\n");
		want(fd, 200, "null");
		shutdown(fd, SHUT_WR);
		wire_fin(fd);
	}
	assert_in_range(ms() - began, 0, 5000); // one that waited for the idle timeout would take 10 s
}

static void half_close_within_a_request(void **state)
{
	auto_close int head = wire_dial(wire.path), body = wire_dial(wire.path);
	auto_answer a = { 0 };

	(void)state;
	wire_puts(head, "POST /Empty HTTP/1.1\r\nHo");
	shutdown(head, SHUT_WR);
	wire_fin(head);
	wire_puts(body, POST("/GetKeyArgs") "10\r\n\r\n{\"pa");
	shutdown(body, SHUT_WR);
	wire_get(body, false, &a);
	assert_int_equal(a.status, 400);
	wire_fin(body);
}

static void dribbled_one_byte_writes(void **state)
{
	static const char two[] = POST("/GetKeyArgs") "12\r\n\r\n{\"path\":\"a\"}"
						      "GET /GetKeyArgs?path=b HTTP/1.1\r\nHost: x\r\n\r\n";
	auto_close int fd = wire_dial(wire.path);

	(void)state;
	for (size_t i = 0; i < sizeof two - 1; i++) {
		int waits = 1;
		wire_put(fd, two + i, 1);
		for (int k = 0; k < 100 && !ioctl(fd, TIOCOUTQ, &waits) && waits; k++)
			usleep(100); // until the server has read it
	}
	want(fd, 200, KEY("a"));
	want(fd, 200, KEY("b"));
}

static void any_user_agent_and_host(void **state)
{
	static const char *const fields[] = { "Host: dstack\r\n",
					      "Host: localhost\r\nUser-Agent: x\r\n",
					      "Host:\r\n",
					      "host: [::1]:80\r\nuser-agent: \xc3\xa9 (a; b)\r\n",
					      "Host: %2Fvar%2Frun%2Fdstack.sock\r\nAccept: */*\r\n",
					      "HOST: \"odd\" host, with = things\r\nUser-Agent:\r\n" };

	(void)state;
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		auto_close int fd = wire_dial(wire.path);
		wire_puts(fd, "GET /GetKeyArgs?path=a HTTP/1.1\r\n");
		wire_puts(fd, fields[i]);
		wire_puts(fd, "\r\n");
		want(fd, 200, KEY("a"));
	}
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	auto_close int fd = wire_dial(wire.path);

	(void)state;
	wire_puts(fd, POST("/GetKeyArgs") "12\r\n\r\n{\"path\":\"1\"}" POST("/Empty") "4\r\n\r\nnull" POST(
			      "/Fail") "2\r\n\r\n{}"
				       "GET /GetKeyArgs?path=4 HTTP/1.1\r\nHost: x\r\n\r\n");
	shutdown(fd, SHUT_WR);
	want(fd, 200, KEY("1"));
	want(fd, 200, "null");
	want(fd, 400,
	     "{\n  \"error\": \"sign: Unsupported \\u00e9lgorithm\",\n  \"code\": \"agent.algorithm\"\n}");
	want(fd, 200, KEY("4"));
	wire_fin(fd);
}

#define CHUNKED "Host: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

static void chunked_requests_are_read(void **state)
{
	auto_close int fd = wire_dial(wire.path);

	(void)state;
	wire_puts(fd, "POST /GetKeyArgs HTTP/1.1\r\n" CHUNKED "5\r\n{\"pat\r\n07\r\nh\":\"a\"}\r\n0\r\n\r\n");
	want(fd, 200, KEY("a"));
	wire_puts(fd, "POST /Empty HTTP/1.1\r\n" CHUNKED "0\r\n\r\n");
	want(fd, 200, "null");
}

static void chunks_that_parsers_disagree_on_are_refused(void **state)
{
	static const char *const bad[] = { "2;x=y\r\n{}\r\n0\r\n\r\n", "0x2\r\n{}\r\n0\r\n\r\n",
					   "2\r\n{}\r\n0\r\nA: b\r\n\r\n", "2\n{}\r\n0\r\n\r\n" };
	auto_answer a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		auto_close int fd = wire_dial(wire.path);
		wire_puts(fd, "POST /GetKeyArgs HTTP/1.1\r\n" CHUNKED);
		wire_puts(fd, bad[i]);
		wire_get(fd, false, &a);
		assert_int_equal(a.status, 400);
		assert_non_null(strstr(a.body, "\"code\": \"rpc.http\""));
		wire_fin(fd);
	}
}

// Exactly the limit, JSON; the answer is as large.
static void ten_mebibytes_pass(void **state)
{
	static const char before[] = "{\"report_data\":\"", after[] = "\"}";
	auto_close int fd = wire_dial(wire.path);
	auto_free char *body = malloc(RPC_BODY_MAX);
	auto_answer a = { 0 };

	(void)state;
	assert_int_equal(RPC_BODY_MAX, 10485760);
	assert_non_null(body);
	memset(body, ' ', RPC_BODY_MAX);
	memcpy(body, before, sizeof before - 1);
	memset(body + sizeof before - 1, 'a', RPC_BODY_MAX - 64);
	memcpy(body + sizeof before - 1 + RPC_BODY_MAX - 64, after, sizeof after - 1);
	wire_post(fd, "/RawQuoteArgs", "application/json", body, RPC_BODY_MAX);
	wire_get(fd, false, &a);
	assert_int_equal(a.status, 200);
	assert_int_equal(a.n, sizeof before - 1 + RPC_BODY_MAX - 64 + sizeof after - 1);
	assert_memory_equal(a.body, body, a.n);
	wire_puts(fd, POST("/Empty") "0\r\n\r\n");
	want(fd, 200, "null");
}

static void one_byte_more_is_too_large(void **state)
{
	static const char text[] = "{\n  \"error\": \"payload too large\",\n  \"code\": \"rpc.too_large\"\n}";
	static const char *const json[] = {
		POST("/RawQuoteArgs") "10485761\r\n\r\n",
		"POST /RawQuoteArgs?json HTTP/1.1\r\nHost: x\r\nContent-Length: 10485761\r\n\r\n",
		"GET /RawQuoteArgs HTTP/1.1\r\nHost: x\r\nContent-Length: 10485761\r\n\r\n",
		"POST /RawQuoteArgs HTTP/1.1\r\n" CHUNKED "A00001\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof json / sizeof *json; i++) {
		auto_close int fd = wire_dial(wire.path);
		wire_puts(fd, json[i]);
		want(fd, 400, text);
		wire_fin(fd);
	}
}

// The refusal comes in the encoding that the request chose, also before dispatch.
static void too_large_in_protobuf(void **state)
{
	auto_close int fd = wire_dial(wire.path);
	auto_answer a = { 0 };

	(void)state;
	wire_puts(fd, "POST /RawQuoteArgs HTTP/1.1\r\nHost: x\r\nContent-Length: 10485761\r\n\r\n");
	wire_get(fd, false, &a);
	assert_int_equal(a.status, 400);
	assert_non_null(strstr(a.head, "\r\nContent-Type: application/octet-stream\r\n"));
	assert_memory_equal(a.body, "\x0a\x11payload too large", 19);
	wire_fin(fd);
}

// A client that counts UTF-16 units declares one byte less for each two-byte character: the text ends within
// its last brace. 400 and close; what follows is never taken for a request.
static void short_length_of_utf16_clients(void **state)
{
	auto_close int fd = wire_dial(wire.path);
	auto_answer a = { 0 };

	(void)state;
	wire_puts(fd, POST("/GetKeyArgs") "12\r\n\r\n{\"path\":\"\xc3\xa9\"}");
	wire_get(fd, false, &a);
	assert_int_equal(a.status, 400);
	assert_non_null(strstr(a.body, "not valid JSON"));
	assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
	wire_fin(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_length_always),
		cmocka_unit_test(header_lines_are_name_colon_space_value),
		cmocka_unit_test(keep_alive_by_default),
		cmocka_unit_test(connection_close_is_honoured),
		cmocka_unit_test(idle_connections_end),
		cmocka_unit_test(half_close_before_the_answer),
		cmocka_unit_test(half_close_after_the_answer_closes_promptly),
		cmocka_unit_test(half_close_within_a_request),
		cmocka_unit_test(dribbled_one_byte_writes),
		cmocka_unit_test(any_user_agent_and_host),
		cmocka_unit_test(pipelined_requests_are_answered_in_order),
		cmocka_unit_test(chunked_requests_are_read),
		cmocka_unit_test(chunks_that_parsers_disagree_on_are_refused),
		cmocka_unit_test(ten_mebibytes_pass),
		cmocka_unit_test(one_byte_more_is_too_large),
		cmocka_unit_test(too_large_in_protobuf),
		cmocka_unit_test(short_length_of_utf16_clients),
	};
	return cmocka_run_group_tests_name("wire connections", tests, wire_setup, wire_teardown);
}
