// What the external listener asks of the main process: answers as in place, and an asker that was taken over
// gets no more than the table has.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include "ask.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "broker.h"

enum { NAME = 3 << 20 }; // longer than any socket's buffer

static struct event_base *base;
static struct app_files app;
static struct outside here, asked;
static struct broker *broker;
static int channel[2], gone, engine;
static char *long_name, container[LOG_NAME_MAX + 1];
static unsigned infos, logs_asked, slow;
static pthread_mutex_t hold = PTHREAD_MUTEX_INITIALIZER;

static int info(const struct outside *o, struct arena *a, Guest__AppInfo *out, struct err *e)
{
	(void)o, (void)e;
	pthread_mutex_lock(&hold);
	pthread_mutex_unlock(&hold);
	__atomic_add_fetch(&infos, 1, __ATOMIC_SEQ_CST);
	out->app_name = arena_str(a, long_name);
	return 0;
}

static int app_quote(const struct outside *o, const char *algorithm, struct arena *a,
		     Guest__GetQuoteResponse *out, struct err *e)
{
	(void)o;
	if (strcmp(algorithm, "k256") != 0)
		return err_code(e, ERR_INPUT, "agent.algorithm", "Unsupported algorithm");
	out->vm_config = arena_str(a, algorithm);
	return 0;
}

static void containers(const struct outside *o, struct containers_wait *w)
{
	Host__Container c = HOST__CONTAINER__INIT, *list[] = { &c };
	Host__ListContainersResponse r = HOST__LIST_CONTAINERS_RESPONSE__INIT;

	(void)o;
	c.id = (char *)(uintptr_t) "c1";
	r.containers = list;
	r.n_containers = 1;
	w->done(w, &r, NULL);
}

static int sysinfo(const struct outside *o, struct arena *a, Host__SystemInfo *out, struct err *e)
{
	(void)o, (void)a, (void)e;
	out->num_cpus = 7;
	return 0;
}

static int logs(const struct outside *o, const char *name, const struct log_query *how, struct err *e)
{
	int pair[2];

	(void)o, (void)e;
	logs_asked++;
	snprintf(container, sizeof container, "%s", name);
	assert_string_equal(how->tail, "5");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	engine = pair[0];
	return pair[1];
}

static void on_gone(void *arg)
{
	(void)arg;
	gone++;
}

static int setup(void **state)
{
	(void)state;
	log_setup(false, LOG_LEVEL_ERROR);
	base = event_base_new();
	long_name = calloc(1, NAME + 1);
	memset(long_name, 'n', NAME);
	here = (struct outside){ &app, "tdx", base, NULL, info, app_quote, containers, sysinfo, logs };
	app.public_sysinfo = app.public_logs = true;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel))
		return -1;
	broker = broker_new(base, channel[0], &here, on_gone, NULL);
	asked = outside_asked(base, &channel[1], &app, "tdx");
	return broker ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	broker_free(broker);
	event_base_free(base);
	close(channel[0]);
	free(long_name);
	return 0;
}

static void turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
	usleep(1000);
}

// One of the blocking questions, on a thread, while the loop turns here.
struct asking {
	enum ask_op op;
	const char *algorithm;
	struct arena *a;
	Guest__AppInfo info;
	Guest__GetQuoteResponse quote;
	Host__SystemInfo system;
	struct err e;
	int rc, over;
};

static void *run(void *arg)
{
	struct asking *x = arg;

	x->rc = x->op == ASK_INFO        ? asked.info(&asked, x->a, &x->info, &x->e)
		: x->op == ASK_APP_QUOTE ? asked.app_quote(&asked, x->algorithm, x->a, &x->quote, &x->e)
					 : asked.sysinfo(&asked, x->a, &x->system, &x->e);
	__atomic_store_n(&x->over, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static void ask_it(struct asking *x, enum ask_op op, const char *algorithm)
{
	pthread_t t;

	*x = (struct asking){ .op = op, .algorithm = algorithm, .a = arena_new(0) };
	guest__app_info__init(&x->info);
	guest__get_quote_response__init(&x->quote);
	host__system_info__init(&x->system);
	assert_int_equal(pthread_create(&t, NULL, run, x), 0);
	while (!__atomic_load_n(&x->over, __ATOMIC_SEQ_CST))
		turn();
	pthread_join(t, NULL);
}

static void listed(struct containers_wait *w, const Host__ListContainersResponse *list, const struct err *e)
{
	(void)w, (void)e;
	assert_non_null(list);
	assert_int_equal(list->n_containers, 1);
	assert_string_equal(list->containers[0]->id, "c1");
	slow = 1;
}

static void test_answers(void **state)
{
	static struct containers_wait w = { .done = listed };
	struct asking x;

	(void)state;
	ask_it(&x, ASK_INFO, NULL);
	assert_int_equal(x.rc, 0);
	assert_string_equal(x.info.app_name, long_name);
	arena_free(x.a);
	ask_it(&x, ASK_APP_QUOTE, "k256");
	assert_int_equal(x.rc, 0);
	assert_string_equal(x.quote.vm_config, "k256");
	arena_free(x.a);
	ask_it(&x, ASK_APP_QUOTE, "ed448");
	assert_int_equal(x.rc, -1);
	assert_string_equal(x.e.code, "agent.algorithm");
	arena_free(x.a);
	ask_it(&x, ASK_APP_QUOTE, "an algorithm whose name is much too long");
	assert_string_equal(x.e.code, "agent.algorithm");
	arena_free(x.a);
	ask_it(&x, ASK_SYSINFO, NULL);
	assert_int_equal(x.rc, 0);
	assert_int_equal(x.system.num_cpus, 7);
	arena_free(x.a);
	app.public_sysinfo = false;
	ask_it(&x, ASK_SYSINFO, NULL);
	assert_int_equal(x.rc, -1);
	assert_int_equal(x.e.class, ERR_DENIED);
	arena_free(x.a);
	app.public_sysinfo = true;
	slow = 0;
	asked.containers(&asked, &w);
	while (!slow)
		turn();
}

static bool at_end(int fd)
{
	char c;

	for (int i = 0; i < 500; i++, turn())
		if (recv(fd, &c, 1, MSG_DONTWAIT) == 0)
			return true;
	return false;
}

// A log is relayed one way, whole, and no faster than it is read; what the asker sends never reaches the
// engine.
static void test_logs(void **state)
{
	static char block[1 << 16], got[1 << 16];
	const struct log_query how = { .tail = "5" };
	size_t sent = 0, taken = 0, want = 1 << 20;
	struct err e = { 0 };

	(void)state;
	int fd = asked.logs(&asked, "web-1", &how, &e);
	assert_true(fd >= 0);
	logs_asked = 0;
	while (!logs_asked)
		turn();
	assert_string_equal(container, "web-1");
	assert_int_equal(send(fd, "DELETE", 6, MSG_NOSIGNAL), 6);
	for (int i = 0; i < 200; i++, turn()) { // nobody reads: it stops
		ssize_t n = send(engine, block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
	}
	assert_true(sent < (4u << 20));
	assert_int_equal(recv(engine, got, 1, MSG_DONTWAIT), -1); // nothing came back
	while (taken < want) {
		ssize_t n = recv(fd, got, sizeof got, MSG_DONTWAIT);
		taken += n > 0 ? (size_t)n : 0;
		n = sent < want ? send(engine, block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
		sent += n > 0 ? (size_t)n : 0;
		turn();
	}
	close(engine);
	for (ssize_t n = 1; n; turn()) {
		n = recv(fd, got, sizeof got, MSG_DONTWAIT);
		taken += n > 0 ? (size_t)n : 0;
	}
	assert_int_equal(taken, sent);
	close(fd);
	fd = asked.logs(&asked, "web-1", &how, &e); // the reader leaves first
	logs_asked = 0;
	while (!logs_asked)
		turn();
	close(fd);
	assert_true(at_end(engine));
	close(engine);
}

// Messages that outside_asked never sends: no answer, and the broker goes on.
static void test_hostile(void **state)
{
	struct ask_request good = { .op = ASK_LOGS, .container = "web", .tail = "5" }, q;
	const char *const names[] = { "", "../x", "a b", "a/b", "a?b", "x\r\nGET /", NULL };
	const char *const tails[] = { "", "5&x=1", "-1", "all\r\n", "5 ", NULL };
	struct asking x;
	int pair[2];

	(void)state;
	logs_asked = 0;
#define SEND(p, n, with)                                                                                     \
	do {                                                                                                 \
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);               \
		assert_int_equal(ask_send(channel[1], p, n, (with) ? pair[1] : -1), 0);                      \
		close(pair[1]);                                                                              \
		assert_true(at_end(pair[0]));                                                                \
		close(pair[0]);                                                                              \
	} while (0)
	SEND(&good, sizeof good - 1, true);
	SEND(&good, 1, true);
	SEND("", 0 + 1, false);
	SEND(&good, sizeof good, false); // nowhere to answer
	q = good, q.op = ASK_OPS;
	SEND(&q, sizeof q, true);
	q.op = UINT32_MAX;
	SEND(&q, sizeof q, true);
	for (size_t i = 0; names[i]; i++) {
		q = good;
		memset(q.container, 0, sizeof q.container);
		memcpy(q.container, names[i], strlen(names[i]));
		SEND(&q, sizeof q, true);
	}
	for (size_t i = 0; tails[i]; i++) {
		q = good;
		memset(q.tail, 0, sizeof q.tail);
		memcpy(q.tail, tails[i], strlen(tails[i]));
		SEND(&q, sizeof q, true);
	}
	q = good, memset(q.container, 'a', sizeof q.container);
	SEND(&q, sizeof q, true);
	q = good, memset(q.tail, '1', sizeof q.tail);
	SEND(&q, sizeof q, true);
	app.public_logs = false;
	SEND(&good, sizeof good, true);
	app.public_logs = true;
	assert_int_equal(logs_asked, 0);
	assert_int_equal(gone, 0);
	ask_it(&x, ASK_SYSINFO, NULL);
	assert_int_equal(x.rc, 0);
	arena_free(x.a);
}

// Whoever asks a thousand times at once gets a bounded number of answers, the rest a refusal, and all of them
// one.
static void test_flood(void **state)
{
	enum { MANY = 300 };
	const struct ask_request q = { .op = ASK_INFO };
	static int fd[MANY];
	unsigned answered = 0, busy = 0;

	(void)state;
	infos = 0;
	pthread_mutex_lock(&hold);
	for (unsigned i = 0; i < MANY; i++) {
		int pair[2];
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		assert_int_equal(ask_send(channel[1], &q, sizeof q, pair[1]), 0);
		close(pair[1]);
		fd[i] = pair[0];
		turn();
	}
	pthread_mutex_unlock(&hold);
	for (unsigned i = 0; i < MANY; i++) {
		struct ask_reply r;
		int file = -1;
		while (ask_receive(fd[i], &r, sizeof r, &file, MSG_DONTWAIT) < 0)
			turn();
		if (r.err.class == ERR_NONE)
			answered++;
		else if (!strcmp(r.err.code, "agent.busy"))
			busy++;
		if (file >= 0)
			close(file);
		close(fd[i]);
	}
	assert_int_equal(answered + busy, MANY);
	assert_int_equal(answered, infos);
	assert_true(answered >= 2 && answered <= BROKER_WAITING);
}

static void test_end(void **state)
{
	struct asking x;

	(void)state;
	close(channel[1]);
	for (int i = 0; i < 500 && !gone; i++)
		turn();
	assert_int_equal(gone, 1);
	ask_it(&x, ASK_INFO, NULL);
	assert_string_equal(x.e.code, "agent.no_answer");
	arena_free(x.a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers), cmocka_unit_test(test_logs), cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_flood),   cmocka_unit_test(test_end),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
