// A server whose threads are few: who waits, who is refused and with which code, who has left; and its rates.
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
#include "guest.pb-c.h"
#include "prpc.pb-c.h"
#include "rpc/server.h"

static struct event_base *base;
static struct rpc_server *server;
static struct pool *pool;
static pthread_t loop;
static char path[64];
static int stop_fd[2];
static struct event *on_stop;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static bool open_gate;
static int running, ran;

// Runs until the gate is open.
static int slow(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	(void)c, (void)in, (void)out, (void)e;
	pthread_mutex_lock(&lock);
	running++;
	ran++;
	pthread_cond_broadcast(&moved);
	while (!open_gate)
		pthread_cond_wait(&moved, &lock);
	running--;
	pthread_mutex_unlock(&lock);
	return 0;
}

static int quick(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	(void)c, (void)in, (void)out, (void)e;
	return 0;
}

static const struct rpc_method methods[] = {
	{ "Attest", &guest__raw_quote_args__descriptor, &guest__attest_response__descriptor, slow,
	  .worker = true, .lane = 1 },
	{ "Info", &prpc__empty__descriptor, &guest__app_info__descriptor, quick, .worker = true },
	{ "Version", &prpc__empty__descriptor, &guest__worker_version__descriptor, quick },
};

static void *run(void *arg)
{
	event_base_loop(arg, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static void stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

static void start(const struct rate_limits *rates)
{
	static const struct pool_lane lanes[] = { { .threads = 1 },
						  { .threads = 1, .waiting_max = 2, .wait_ms = 400 } };
	char address[80];
	struct err e = { 0 };

	open_gate = false;
	running = ran = 0;
	base = event_base_new();
	server = rpc_server_new(base);
	pool = pool_new_lanes(base, lanes, 2);
	rpc_server_pool(server, pool);
	rpc_server_mount(server, "", NULL, methods, 3, NULL);
	if (rates)
		assert_int_equal(rpc_server_rate(server, rates), 0);
	snprintf(path, sizeof path, "/tmp/dstack-queue-test-%d.sock", getpid());
	snprintf(address, sizeof address, "unix:%s", path);
	assert_int_equal(rpc_server_listen(server, address, NULL, 0600, &e), 0);
	assert_int_equal(pipe(stop_fd), 0);
	on_stop = event_new(base, stop_fd[0], EV_READ, stop, base);
	event_add(on_stop, NULL);
	assert_int_equal(pthread_create(&loop, NULL, run, base), 0);
}

static void let_go(void)
{
	pthread_mutex_lock(&lock);
	open_gate = true;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&lock);
}

static void end(void)
{
	let_go();
	assert_int_equal(write(stop_fd[1], "x", 1), 1);
	pthread_join(loop, NULL);
	event_free(on_stop);
	pool_free(pool);
	rpc_server_free(server);
	event_base_free(base);
	close(stop_fd[0]);
	close(stop_fd[1]);
	unlink(path);
}

static void until_running(int n)
{
	pthread_mutex_lock(&lock);
	while (running < n)
		pthread_cond_wait(&moved, &lock);
	pthread_mutex_unlock(&lock);
}

static int ask(const char *method)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char text[128];

	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	int n = snprintf(text, sizeof text, "GET /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
			 method);
	assert_int_equal(write(fd, text, (size_t)n), n);
	return fd;
}

static void answer_has(int fd, const char *want)
{
	char text[2048];
	size_t n = 0;
	ssize_t got;

	while (n < sizeof text - 1 && (got = read(fd, text + n, sizeof text - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = 0;
	close(fd);
	if (!strstr(text, want))
		fail_msg("want %s: %s", want, text);
}

static void ga_07_codes_of_a_full_queue(void **state)
{
	(void)state;
	start(NULL);
	int runs = ask("Attest");
	until_running(1);
	int a = ask("Attest"), b = ask("Attest");
	int many[8];
	for (int i = 0; i < 8; i++) // the same client, so nobody has to leave for it
		many[i] = ask("Attest");
	for (int i = 0; i < 8; i++)
		answer_has(many[i], "\"code\": \"rpc.busy\"");
	answer_has(ask("Info"), "200 OK"); // another lane
	answer_has(ask("Version"), "200 OK");
	answer_has(a, "\"code\": \"rpc.wait_timeout\"");
	answer_has(b, "\"code\": \"rpc.wait_timeout\"");
	let_go();
	answer_has(runs, "200 OK");
	assert_int_equal(ran, 1);
	end();
}

static void ga_07_who_has_left_is_not_served(void **state)
{
	(void)state;
	start(NULL);
	int runs = ask("Attest");
	until_running(1);
	int gone = ask("Attest"), half = ask("Attest");
	answer_has(ask("Version"), "200 OK");         // both have been read
	assert_int_equal(shutdown(half, SHUT_WR), 0); // only half a close: it waits for its answer
	answer_has(ask("Version"), "200 OK");
	close(gone);
	answer_has(ask("Version"), "200 OK");
	let_go();
	answer_has(runs, "200 OK");
	answer_has(half, "200 OK");
	assert_int_equal(ran, 2);
	end();
}

static void rates_before_any_work(void **state)
{
	(void)state;
	start(&(struct rate_limits){ .per_s = 1, .burst = 3 });
	for (int i = 0; i < 3; i++)
		answer_has(ask("Version"), "200 OK");
	int refused = ask("Attest"); // never reaches its method
	answer_has(refused, "429 Too Many Requests");
	answer_has(ask("nothing"), "\"code\": \"rpc.rate_limited\"");
	assert_int_equal(ran, 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ga_07_codes_of_a_full_queue),
		cmocka_unit_test(ga_07_who_has_left_is_not_served),
		cmocka_unit_test(rates_before_any_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
