// The list of containers from a made-up engine: one question for all who ask, bounded in time and size, and
// the loop never waits for it.
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
#include "base/time.h"
#include "containers.h"
#include "engine.h"

#define LIST "[{\"Id\":\"xy\"}]"

static char dir[64] = "/tmp/containers-test.XXXXXX", path[96];
static struct event_base *base;
static struct containers *list;
static int engine_fd;

// One connection: takes the request, sends `reply` in pieces, then waits until the other side closes if told
// so.
struct turn {
	const char *reply;
	size_t n, piece;
	bool hold;
	int asked;
};

static void *engine(void *arg)
{
	static const char want[] = "GET /containers/json?all=true HTTP/1.0\r\nHost: engine\r\n\r\n";
	struct turn *t = arg;
	auto_close int fd = accept(engine_fd, NULL, NULL);
	char request[1024] = "";
	size_t n = 0;

	for (ssize_t k; n < sizeof want - 1 && (k = recv(fd, request + n, sizeof request - 1 - n, 0)) > 0;)
		n += (size_t)k;
	t->asked += !strcmp(request, want);
	for (size_t at = 0, k; at < t->n; at += k) {
		k = t->n - at < t->piece ? t->n - at : t->piece;
		if (send(fd, t->reply + at, k, MSG_NOSIGNAL) != (ssize_t)k)
			break;
	}
	if (t->hold && recv(fd, request, 1, 0))
		t->asked = -1;
	return NULL;
}

struct asker {
	struct containers_wait wait;
	int answers;
	size_t n;
	char code[64], text[160];
	bool again; // asks once more when it is told
};

static unsigned open_askers;

static void told(struct containers_wait *w, const Host__ListContainersResponse *l, const struct err *e)
{
	struct asker *a = (struct asker *)w;

	a->answers++;
	a->n = l ? l->n_containers : 0;
	snprintf(a->code, sizeof a->code, "%s", l ? "" : e->code);
	snprintf(a->text, sizeof a->text, "%s", l ? "" : e->text);
	if (a->again) {
		a->again = false;
		containers_list(list, w);
		return;
	}
	if (!--open_askers)
		event_base_loopbreak(base);
}

static void fresh(int answer_s)
{
	containers_free(list);
	list = containers_new(base, path, answer_s);
	assert_non_null(list);
}

static void ask(struct asker *a, size_t n, struct turn *t)
{
	pthread_t thread;

	if (t)
		assert_int_equal(pthread_create(&thread, NULL, engine, t), 0);
	open_askers += (unsigned)n;
	for (size_t i = 0; i < n; i++) {
		a[i].wait.done = told;
		containers_list(list, &a[i].wait);
	}
	if (open_askers)
		event_base_dispatch(base);
	event_base_loop(base, EVLOOP_NONBLOCK); // libevent closes what is freed a turn later
	if (t)
		pthread_join(thread, NULL);
	assert_int_equal(open_askers, 0);
}

#define TURN(text, size) ((struct turn){ .reply = (text), .n = sizeof(text) - 1, .piece = (size) })

static void test_one_question_for_all(void **state)
{
	struct turn t = TURN("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" LIST, 7);
	struct asker a[3] = { { .again = true } };

	(void)state;
	fresh(5);
	ask(a, 3, &t);
	assert_int_equal(t.asked, 1);
	for (int i = 0; i < 3; i++)
		assert_true(a[i].answers == 1 + !i && a[i].n == 1);
	struct asker later = { 0 };
	ask(&later, 1, NULL); // at once: nobody accepts
	assert_true(later.answers == 1 && later.n == 1);
}

static void test_length(void **state)
{
	struct turn kept = TURN("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n" LIST, 100);
	struct turn cut = TURN("HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n" LIST, 100);
	struct asker a = { 0 };

	(void)state;
	fresh(5);
	kept.hold = true; // the length says that all is here
	ask(&a, 1, &kept);
	assert_int_equal(a.n, 1);
	fresh(5);
	ask(&a, 1, &cut);
	assert_string_equal(a.code, "agent.engine");
	assert_string_equal(a.text, "the container engine broke off its answer");
}

static void test_answers_that_are_none(void **state)
{
	static const struct {
		const char *reply, *text;
	} cases[] = {
		{ "", "sent no answer" },
		{ "HTTP/1.0 200", "sent no answer" },
		{ "HTTP/2 200 OK\r\n\r\n" LIST, "sent no answer" },
		{ "HTTP/1.0 2000 OK\r\n\r\n" LIST, "sent no answer" },
		{ "HTTP/1.0 099 OK\r\n\r\n" LIST, "sent no answer" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "sent no answer" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n" LIST, "sent no answer" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" LIST, "sent no answer" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n[", "sent a list that is too large" },
		{ "HTTP/1.0 500 E\r\n\r\n[]", "did not list its containers" },
		{ "HTTP/1.0 200 OK\r\n\r\n", "sent no list: " },
		{ "HTTP/1.0 200 OK\r\n\r\n{}", "sent no list: not an array" },
		{ "HTTP/1.0 200 OK\r\n\r\n[{}]", "sent a container without id or date" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct turn t = { cases[i].reply, strlen(cases[i].reply), 100, false, 0 };
		struct asker a = { 0 };
		fresh(5);
		ask(&a, 1, &t);
		assert_string_equal(a.code, "agent.engine");
		if (!strstr(a.text, cases[i].text))
			fail_msg("%s: %s", cases[i].reply, a.text);
	}
}

static void large(const char *head, bool into_head)
{
	const size_t n = into_head ? ENGINE_HEAD_MAX + 1 : (4 << 20) + 2;
	auto_free char *all = malloc(n + 64);
	struct turn t = { .reply = all, .piece = 65536, .hold = true };
	struct asker a = { 0 };

	assert_non_null(all);
	t.n = (size_t)snprintf(all, 64, "%s", head);
	memset(all + t.n, into_head ? 'a' : ' ', n);
	t.n += n;
	fresh(5);
	ask(&a, 1, &t);
	assert_string_equal(a.code, "agent.engine");
}

static void test_too_much(void **state)
{
	(void)state;
	large("HTTP/1.0 200 OK\r\n\r\n", false);
	large("HTTP/1.0 200 OK\r\n", true);
}

static void test_silence(void **state)
{
	struct turn t = TURN("HTTP/1.0 200 OK\r\n\r\n[", 100),
		    good = TURN("HTTP/1.0 200 OK\r\n\r\n" LIST, 100);
	struct asker a[2] = { 0 };

	(void)state;
	fresh(1);
	t.hold = true;
	uint64_t began = time_mono_ms();
	ask(a, 2, &t);
	assert_true(time_mono_ms() - began < 4000);
	assert_string_equal(a[1].text, "the container engine does not answer");
	ask(a, 2, &good); // a failure is not kept
	assert_int_equal(a[0].n, 1);
}

static void test_no_engine(void **state)
{
	struct asker a = { 0 };

	(void)state;
	containers_free(list);
	list = containers_new(base, "", 1);
	ask(&a, 1, NULL);
	assert_string_equal(a.code, "");
	containers_free(list);
	list = containers_new(base, "/nonexistent/engine.sock", 1);
	ask(&a, 1, NULL);
	assert_true(!*a.code && a.n == 0 && a.answers == 2);
	containers_free(list);
	list = containers_new(base, dir, 1); // something else than a socket
	ask(&a, 1, NULL);
	assert_string_equal(a.code, "agent.engine");
	char far[200];
	memset(far, 'a', sizeof far - 1);
	far[sizeof far - 1] = 0;
	containers_free(list);
	list = containers_new(base, far, 1);
	ask(&a, 1, NULL);
	assert_string_equal(a.code, "agent.engine");
}

// Who waits when the agent stops is told.
static void test_end(void **state)
{
	struct asker a = { .wait.done = told };

	(void)state;
	fresh(5);
	open_askers = 1;
	containers_list(list, &a.wait);
	assert_int_equal(a.answers, 0);
	containers_free(list);
	list = NULL;
	assert_string_equal(a.code, "agent.engine");
	auto_close int fd = accept(engine_fd, NULL, NULL); // what was asked
	assert_true(fd >= 0);
}

static int setup(void **state)
{
	struct sockaddr_un u = { .sun_family = AF_UNIX };

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/engine.sock", dir);
	memcpy(u.sun_path, path, sizeof path);
	engine_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	base = event_base_new();
	return !base || bind(engine_fd, (void *)&u, sizeof u) || listen(engine_fd, 4) ? -1 : 0;
}

static int teardown(void **state)
{
	struct err e = { 0 };

	(void)state;
	containers_free(list);
	close(engine_fd);
	event_base_free(base);
	return file_remove_tree(dir, &e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_question_for_all),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_answers_that_are_none),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_no_engine),
		cmocka_unit_test(test_end),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
