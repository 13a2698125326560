// The C library against a server that says whatever the test wants, and its reader against bad JSON.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "answer.h"

// One connection, one request, one answer; `reply` NULL: silence until the client goes.
struct server {
	pthread_t thread;
	int fd;
	const char *reply;
	size_t padding; // spaces behind it
	char request[4096];
};
static char folder[] = "/tmp/sdk-test-XXXXXX", path[64];

static void say(int fd, const char *s, size_t n)
{
	for (ssize_t w; n && (w = send(fd, s, n, MSG_NOSIGNAL)) > 0; s += w, n -= (size_t)w)
		;
}

static void *serve(void *arg)
{
	struct server *s = arg;
	char spaces[4096];
	size_t n = 0;
	ssize_t r;
	const int fd = accept(s->fd, NULL, NULL);

	while (n < sizeof s->request - 1 && (r = read(fd, s->request + n, sizeof s->request - 1 - n)) > 0) {
		s->request[n += (size_t)r] = 0;
		if (strstr(s->request, "\r\n\r\n") && s->request[n - 1] == '}' && s->reply)
			break;
	}
	memset(spaces, ' ', sizeof spaces);
	if (s->reply)
		say(fd, s->reply, strlen(s->reply));
	for (size_t left = s->padding; left; left -= left < sizeof spaces ? left : sizeof spaces)
		say(fd, spaces, left < sizeof spaces ? left : sizeof spaces);
	close(fd);
	return NULL;
}

static struct dstack *start(struct server *s, const char *reply, size_t padding)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct dstack_error e;

	*s = (struct server){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
			      .reply = reply,
			      .padding = padding };
	unlink(path);
	strcpy(a.sun_path, path);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(s->fd, 4), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	struct dstack *c = dstack_open(path, &e);
	assert_non_null(c);
	return c;
}

static void stop(struct server *s, struct dstack *c)
{
	dstack_close(c);
	pthread_join(s->thread, NULL);
	close(s->fd);
}

#define OK "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"

static void sends_what_it_should(void **state)
{
	const char *names[] = { "a.example", "q\"\\\n" };
	const struct dstack_tls_options o = {
		.subject = "s\303\251", .alt_names = names, .alt_names_count = 2, .usage_ra_tls = true
	};
	struct dstack_tls_key k;
	struct dstack_error e;
	struct server s;

	(void)state;
	struct dstack *c = start(&s, OK "{\"key\":\"K\",\"certificate_chain\":[\"A\",\"B\"]}", 0);
	assert_int_equal(dstack_get_tls_key(c, &o, &k, &e), 0);
	assert_string_equal(k.key, "K");
	assert_int_equal(k.chain.count, 2);
	assert_string_equal(k.chain.items[1], "B");
	dstack_tls_key_free(&k);
	dstack_tls_key_free(&k);
	stop(&s, c);
	assert_memory_equal(s.request, "POST /GetTlsKey HTTP/1.1\r\n", 26);
	assert_non_null(strstr(s.request, "\r\nContent-Type: application/json\r\n"));
	assert_string_equal(
		strstr(s.request, "\r\n\r\n") + 4,
		"{\"subject\":\"s\303\251\",\"alt_names\":[\"a.example\",\"q\\u0022\\u005c\\u000a\"],"
		"\"usage_ra_tls\":true,\"usage_server_auth\":false,\"usage_client_auth\":false,\"with_app_"
		"info\":false}");
}

static void keeps_the_words_of_a_refusal(void **state)
{
	static const struct {
		const char *reply, *code, *text;
		long http;
	} row[] = {
		{ "HTTP/1.1 400 Bad\r\n\r\n{\n  \"error\": \"no:\\nthat \\u00e9\",\n  \"code\": \"a.b\"\n}",
		  "a.b", "no: that \303\251", 400 },
		{ "HTTP/1.1 400 Bad\r\n\r\n{\"error\":\"old\"}", "", "old", 400 },
		{ "HTTP/1.1 404 Not\r\n\r\n<html>", "", "Attest: HTTP status 404", 404 },
		{ "HTTP/1.1 404 Not\r\n\r\n{\"error\":{\"code\":404}}", "", "Attest: HTTP status 404", 404 },
		{ "HTTP/1.1 302 Go\r\nLocation: http://x/\r\n\r\n", "", "Attest: HTTP status 302", 302 },
	};
	struct dstack_bytes b;
	struct dstack_error e;
	struct server s;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		struct dstack *c = start(&s, row[i].reply, 0);
		assert_int_equal(dstack_attest(c, "x", 1, &b, &e), -1);
		assert_int_equal(e.status, DSTACK_REFUSED);
		assert_int_equal(e.http, row[i].http);
		assert_string_equal(e.code, row[i].code);
		assert_string_equal(e.text, row[i].text);
		stop(&s, c);
	}
}

static void takes_no_bad_answer(void **state)
{
	static const char *const row[] = {
		OK,
		OK "null",
		OK "{}",
		OK "{\"key\":\"00\",\"signature_chain\":[]}",
		OK "{\"key\":\"zz\",\"signature_chain\":[]}",
		OK "{\"key\":\""
		   "0000000000000000000000000000000000000000000000000000000000000000"
		   "\"}",
		OK "{\"key\":\""
		   "0000000000000000000000000000000000000000000000000000000000000000"
		   "\",\"signature_chain\":null}",
	};
	const struct dstack_key none = { 0 };
	struct dstack_key k;
	struct dstack_error e;
	struct server s;

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		struct dstack *c = start(&s, row[i], 0);
		assert_int_equal(dstack_get_key(c, "p", NULL, NULL, &k, &e), -1);
		assert_int_equal(e.status, DSTACK_ANSWER);
		assert_memory_equal(&k, &none, sizeof k);
		stop(&s, c);
	}
}

static void stops_at_its_limits(void **state)
{
	struct dstack_version v;
	struct dstack_bytes b;
	struct dstack_error e;
	struct server s;

	(void)state;
	struct dstack *c = start(&s, OK "{}", 17 << 20);
	assert_int_equal(dstack_version(c, &v, &e), -1);
	assert_int_equal(e.status, DSTACK_ANSWER);
	assert_non_null(strstr(e.text, "larger than"));
	stop(&s, c);

	c = start(&s, NULL, 0);
	dstack_set_timeout_ms(c, 100);
	assert_int_equal(dstack_version(c, &v, &e), -1);
	assert_int_equal(e.status, DSTACK_TIMEOUT);
	stop(&s, c);

	c = start(&s, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", 0);
	assert_int_equal(dstack_attest(c, NULL, 65, &b, &e), -1);
	assert_int_equal(e.status, DSTACK_ARGUMENT);
	assert_int_equal(dstack_emit_event(c, "\xff", NULL, 0, &e), -1);
	assert_int_equal(e.status, DSTACK_ARGUMENT);
	assert_int_equal(dstack_version(c, &v, &e), -1); // cut off
	assert_int_equal(e.status, DSTACK_UNREACHABLE);
	stop(&s, c);
}

// An old agent would pass over `algorithm` and sign for another kind of key.
static void asks_an_old_agent_for_nothing_new(void **state)
{
	struct dstack_key k;
	struct dstack_error e;
	struct server s;

	(void)state;
	struct dstack *c = start(&s, "HTTP/1.1 404 Not\r\nConnection: close\r\n\r\n", 0);
	assert_int_equal(dstack_get_key(c, "p", "", "ed25519", &k, &e), -1);
	assert_int_equal(e.status, DSTACK_REFUSED);
	assert_non_null(strstr(e.text, "too old"));
	stop(&s, c);
	assert_memory_equal(s.request, "POST /Version ", 14);
}

static void finds_the_agent(void **state)
{
	struct dstack_error e;
	struct dstack *c;

	(void)state;
	assert_null(dstack_open("/nonexistent/dstack.sock", &e));
	assert_int_equal(e.status, DSTACK_UNREACHABLE);
	setenv("DSTACK_SIMULATOR_ENDPOINT", "/nonexistent/env.sock", 1);
	assert_null(dstack_open(NULL, &e));
	assert_non_null(strstr(e.text, "/nonexistent/env.sock"));
	unsetenv("DSTACK_SIMULATOR_ENDPOINT");
	assert_null(dstack_open("http:///", &e));
	assert_int_equal(e.status, DSTACK_ARGUMENT);
	c = dstack_open("http://127.0.0.1:1/", &e);
	assert_non_null(c);
	assert_int_equal(dstack_emit_event(c, "x", NULL, 0, &e), -1);
	assert_int_equal(e.status, DSTACK_UNREACHABLE);
	dstack_close(c);
	dstack_close(NULL);
}

static void reads_json_to_the_letter(void **state)
{
	static const struct {
		const char *text, *error; // NULL: refused
	} row[] = {
		{ "{}", "" },
		{ " {\"error\" : \"a\\u0041\\ud83d\\ude00\\/\\n\" }\n", "aA\360\237\230\200/\n" },
		{ "{\"error\":null}", "" },
		{ "{\"x\":[{},[],-0,1.5e-3,true,false,null,\"\"],\"error\":\"b\"}", "b" },
		{ "{\"\\u0065rror\":\"named by escape\"}", "named by escape" },
		{ "{\"error\":\"a\",\"error\":\"b\"}", NULL },
		{ "{\"error\":null,\"error\":\"b\"}", NULL },
		{ "{\"error\":1}", NULL },
		{ "{\"error\":\"a\"}}", NULL },
		{ "{\"error\":\"a\"", NULL },
		{ "{\"error\":\"a\",}", NULL },
		{ "{\"error\":\"a", NULL },
		{ "{\"error\":\"\\u00", NULL },
		{ "{\"error\":\"\\u0000\"}", NULL },
		{ "{\"error\":\"\\ud83d\"}", NULL },
		{ "{\"error\":\"\\ud83d\\u0041\"}", NULL },
		{ "{\"error\":\"\\ude00\"}", NULL },
		{ "{\"error\":\"\\u00g0\"}", NULL },
		{ "{\"error\":\"\\x\"}", NULL },
		{ "{\"error\":\"\n\"}", NULL },
		{ "{\"error\":\"\xc0\xaf\"}", NULL },
		{ "{\"error\":\"\xed\xa0\x80\"}", NULL },
		{ "{\"error\":\"\xf4\x90\x80\x80\"}", NULL },
		{ "{\"error\" \"a\"}", NULL },
		{ "{\"x\":01}", NULL },
		{ "{\"x\":1.}", NULL },
		{ "{\"x\":1e}", NULL },
		{ "{\"x\":-}", NULL },
		{ "{\"x\":nul}", NULL },
		{ "{\"x\":[1,]}", NULL },
		{ "{\"x\":[1 2]}", NULL },
		{ "{\"x\":{1:2}}", NULL },
		{ "{\"x\":", NULL },
		{ "[]", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		char *text = NULL;
		const char *why;
		struct dstack_answer_field f = { "error", ANSWER_TEXT, &text, true, false };
		const int ret = dstack_answer_read(row[i].text, strlen(row[i].text), &f, 1, &why);
		if (ret != (row[i].error ? 0 : -1))
			fail_msg("%s: %d, %s", row[i].text, ret, why ? why : "taken");
		if (row[i].error)
			assert_string_equal(text, row[i].error);
		else
			assert_non_null(why);
		dstack_answer_text_free(&text);
	}
}

static void bounds_depth_and_lists(void **state)
{
	char deep[256] = "{\"x\":";
	char list[512] = "{\"l\":[\"0aF1\"";
	struct dstack_list l = { 0 };
	struct dstack_answer_field f = { "l", ANSWER_HEXES, &l, true, false };
	const char *why;

	(void)state;
	memset(deep + 5, '[', 100);
	assert_int_equal(dstack_answer_read(deep, 105, &f, 1, &why), -1);
	assert_string_equal(why, "values too deep in one another");
	for (int i = 0; i < 64; i++)
		strcat(list, ",\"\"");
	strcat(list, "]}");
	assert_int_equal(dstack_answer_read(list, strlen(list), &f, 1, &why), -1);
	assert_string_equal(why, "a list too long");
	assert_memory_equal(l.items[0].data, "\x0a\xf1", 2);
	dstack_answer_list_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_what_it_should),
		cmocka_unit_test(keeps_the_words_of_a_refusal),
		cmocka_unit_test(takes_no_bad_answer),
		cmocka_unit_test(stops_at_its_limits),
		cmocka_unit_test(asks_an_old_agent_for_nothing_new),
		cmocka_unit_test(finds_the_agent),
		cmocka_unit_test(reads_json_to_the_letter),
		cmocka_unit_test(bounds_depth_and_lists),
	};

	if (!mkdtemp(folder))
		return 1;
	snprintf(path, sizeof path, "%s/s", folder);
	const int ret = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	rmdir(folder);
	return ret;
}
