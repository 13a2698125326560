// /guest: requests to the agent inside a VM, through the daemon. The guest is a thread behind the runner's
// socket that says whatever a test wants; the daemon's loop is another.
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
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "daemon/guests.h"
#include "host.pb-c.h"
#include "rpc/client.h"
#include "rpc/reply.h"

// What the guest does with each connection. Set before a request, read by the guest's thread after.
static struct {
	const char *greeting;
	const void *answer;
	size_t n;
	size_t step;   // bytes a write; 0: all at once
	bool hang;     // never answers, and keeps the connection
	size_t repeat; // the answer again and again, this many times
	char request[512];
} guest;

static struct {
	char dir[64], address[96], url[128];
	struct daemon d;
	struct vm vm, off;
	struct rpc_server *s;
	pthread_t loop, guest;
	int door, stop[2], held[64];
	size_t n_held;
	struct event *on_stop;
} t;

static void serve(int fd)
{
	char line[64] = "";
	size_t n = 0;

	while (n < sizeof line - 1 && read(fd, line + n, 1) == 1 && line[n] != '\n')
		n++;
	if (strcmp(line, "CONNECT 8000\n") != 0)
		return;
	if (write(fd, guest.greeting, strlen(guest.greeting)) < 0)
		return;
	memset(guest.request, 0, sizeof guest.request);
	for (n = 0; n < sizeof guest.request - 1 && !strstr(guest.request, "\r\n\r\n"); n++)
		if (read(fd, guest.request + n, 1) != 1)
			return;
	const char *p = guest.answer;
	for (size_t k = 0; k <= guest.repeat; k++)
		for (size_t at = 0, step = guest.step ? guest.step : guest.n; at < guest.n; at += step)
			if (send(fd, p + at, guest.n - at < step ? guest.n - at : step, MSG_NOSIGNAL) < 0)
				return;
}

static void *guest_main(void *arg)
{
	(void)arg;
	for (int fd; (fd = accept(t.door, NULL, NULL)) >= 0;) {
		if (guest.hang && t.n_held < 64) {
			t.held[t.n_held++] = fd;
			continue;
		}
		serve(fd);
		close(fd);
	}
	return NULL;
}

static void *loop_main(void *arg)
{
	event_base_loop(arg, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

static struct vm vm_named(const char *id, pid_t runner)
{
	struct vm v = { .owner = &t.d, .runner = runner };

	snprintf(v.m.id, sizeof v.m.id, "%s", id);
	snprintf(v.dir, sizeof v.dir, "%s", t.dir);
	return v;
}

static int setup(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct err e = { 0 };

	(void)state;
	snprintf(t.dir, sizeof t.dir, "/tmp/vmm-guests.XXXXXX");
	if (!mkdtemp(t.dir) || pipe(t.stop) || rpc_client_setup())
		return -1;
	snprintf(a.sun_path, sizeof a.sun_path, "%s/guest.sock", t.dir);
	t.door = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(t.door, (struct sockaddr *)&a, sizeof a) || listen(t.door, 64))
		return -1;
	t.vm = vm_named("vm-1", getpid());
	t.off = vm_named("vm-2", 0);
	t.vm.next = &t.off;
	t.d = (struct daemon){ .base = event_base_new(), .vms = &t.vm, .guest_wait_s = 1 };
	t.s = rpc_server_new(t.d.base);
	snprintf(t.address, sizeof t.address, "unix:%s/vmm.sock", t.dir);
	snprintf(t.url, sizeof t.url, "%s:/guest", t.address);
	t.on_stop = event_new(t.d.base, t.stop[0], EV_READ, on_stop, t.d.base);
	if (!t.s || guests_mount(t.s, &t.d) || rpc_server_listen(t.s, t.address, NULL, 0600, &e) ||
	    event_add(t.on_stop, NULL))
		return -1;
	return pthread_create(&t.loop, NULL, loop_main, t.d.base) ||
	       pthread_create(&t.guest, NULL, guest_main, NULL);
}

static int teardown(void **state)
{
	struct err e = { 0 };

	(void)state;
	if (write(t.stop[1], "x", 1) != 1)
		return -1;
	pthread_join(t.loop, NULL);
	shutdown(t.door, SHUT_RDWR);
	pthread_join(t.guest, NULL);
	close(t.door);
	guests_free(&t.d);
	rpc_server_free(t.s);
	event_free(t.on_stop);
	event_base_free(t.d.base);
	close(t.stop[0]);
	close(t.stop[1]);
	return file_remove_tree(t.dir, &e);
}

static void answers(const void *p, size_t n)
{
	memset(&guest, 0, sizeof guest);
	guest.greeting = "OK 8000\n";
	guest.answer = p;
	guest.n = n;
}
#define ANSWERS(text) answers(text, sizeof(text) - 1)
#define HEAD(status)  "HTTP/1.1 " status "\r\nContent-Type: application/octet-stream\r\nContent-Length: "

// Asks about `id`; the code of the refusal, "" when it worked.
static const char *ask(const char *method, const char *id, const ProtobufCMessageDescriptor *out,
		       struct arena *a, void **m)
{
	static _Thread_local struct err e;
	auto_rpc_client *c = rpc_client_new(t.url, NULL, &e);
	Host__Id q = HOST__ID__INIT;

	assert_non_null(c);
	q.id = (char *)(uintptr_t)id;
	e = (struct err){ 0 };
	if (!rpc_client_call(c, method, &q.base, out, a, m, &e))
		return "";
	return *e.code ? e.code : e.text;
}

static void refused(const char *code)
{
	auto_arena *a = arena_new(0);
	Host__ListContainersResponse *r = NULL;

	assert_string_equal(
		ask("ListContainers", "vm-1", &host__list_containers_response__descriptor, a, (void **)&r),
		code);
}

static void every_method_reaches_the_guest(void **state)
{
	static const struct {
		const char *name, *path;
	} methods[] = { { "Info", "/api/Info" },
			{ "SysInfo", "/api/SysInfo" },
			{ "NetworkInfo", "/api/NetworkInfo" },
			{ "ListContainers", "/api/ListContainers" },
			{ "Shutdown", "/api/Shutdown" },
			{ "ProxiedGuestApi.Info", "/api/Info" } };
	char want[64];

	(void)state;
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		auto_arena *a = arena_new(0);
		ANSWERS(HEAD("200 OK") "0\r\n\r\n");
		assert_string_equal(ask(methods[i].name, "vm-1", NULL, a, NULL), "");
		snprintf(want, sizeof want, "POST %s HTTP/1.1\r\n", methods[i].path);
		assert_int_equal(strncmp(guest.request, want, strlen(want)), 0);
	}
}

static void answers_are_passed_on(void **state)
{
	static const char answer[] = HEAD("200 OK") "15\r\n\r\n\x0a\x05"
						    "0.6.0\x12\x02\xab\xcd\x22\x02xy";
	static const size_t steps[] = { 0, 1, 7 };
	Host__GuestInfo *r = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		auto_arena *a = arena_new(0);
		ANSWERS(answer);
		guest.step = steps[i];
		assert_string_equal(ask("Info", "vm-1", &host__guest_info__descriptor, a, (void **)&r), "");
		assert_string_equal(r->version, "0.6.0");
		assert_string_equal(r->app_cert, "xy");
		assert_int_equal(r->app_id.len, 2);
		assert_int_equal(r->app_id.data[1], 0xcd);
	}
}

static void a_large_answer(void **state)
{
	static const char head[] = HEAD("200 OK") "3000005\r\n\r\n\x2a\xc0\x8d\xb7\x01";
	auto_arena *a = arena_new(0);
	auto_free char *all = malloc(sizeof head + 3000000);
	Host__GuestInfo *r = NULL;

	(void)state;
	memcpy(all, head, sizeof head - 1);
	memset(all + sizeof head - 1, 'x', 3000000);
	answers(all, sizeof head - 1 + 3000000);
	assert_string_equal(ask("Info", "vm-1", &host__guest_info__descriptor, a, (void **)&r), "");
	assert_int_equal(strlen(r->tcb_info), 3000000);
}

static void guests_that_answer_nonsense(void **state)
{
	static const struct {
		const char *answer, *code;
	} cases[] = {
		{ "", "vmm.guest_silent" },
		{ "garbage", "vmm.guest_silent" },
		{ "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "vmm.guest_silent" },
		{ "HTTP/1.1 200 OK\r\n\r\n", "vmm.guest_silent" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n\x0a\x00",
		  "vmm.guest_silent" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "vmm.guest_silent" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 10485761\r\n\r\n", "vmm.guest_silent" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n", "vmm.guest_silent" },
		{ HEAD("200 OK") "9\r\n\r\nshort", "vmm.guest_silent" },
		{ HEAD("200 OK") "3\r\n\r\n\x0a\x7fx", "vmm.guest_answer" },
		{ HEAD("404 Not Found") "0\r\n\r\n", "vmm.guest_answer" },
		{ HEAD("302 Found") "0\r\n\r\n", "vmm.guest_answer" },
		{ HEAD("400 Bad Request") "3\r\n\r\n\x0a\x7fx", "vmm.guest_answer" },
		{ HEAD("400 Bad Request") "6\r\n\r\n\x0a\x04nope", "vmm.guest_refused" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		answers(cases[i].answer, strlen(cases[i].answer));
		refused(cases[i].code);
	}
	ANSWERS(HEAD("200 OK") "0\r\n\r\n");
	guest.greeting = "NO 8000\n";
	refused("vmm.guest_silent");
	guest.greeting = "OK 8000 and much more than a runner would ever say here\n";
	refused("vmm.guest_silent");
	ANSWERS("HTTP/1.1 200 OK\r\nX: 0123456789012345678901234567890123456789012345678901234567890123\r\n");
	guest.repeat = 1 << 16; // a head without end
	refused("vmm.guest_silent");
	ANSWERS(HEAD("200 OK") "0\r\n\r\nmore than was announced");
	refused("");
}

static void vms_that_cannot_be_asked(void **state)
{
	auto_arena *a = arena_new(0);

	(void)state;
	ANSWERS(HEAD("200 OK") "0\r\n\r\n");
	assert_string_equal(ask("Info", "vm-3", NULL, a, NULL), "vmm.no_vm");
	assert_string_equal(ask("Info", "", NULL, a, NULL), "vmm.no_vm");
	assert_string_equal(ask("Info", "../vm-1", NULL, a, NULL), "vmm.no_vm");
	assert_string_equal(ask("Shutdown", "vm-2", NULL, a, NULL), "vmm.not_running");
	assert_string_equal(ask("Nope", "vm-1", NULL, a, NULL), "rpc.unknown_method");
}

static void *ask_in_thread(void *code)
{
	auto_arena *a = arena_new(0);

	snprintf(code, 32, "%s", ask("Info", "vm-1", NULL, a, NULL));
	return NULL;
}

// A guest that hangs has a few requests open for a second each; more are refused at once, then all is well.
static void a_guest_that_hangs(void **state)
{
	enum { ASKED = 12 };
	static char code[ASKED][32];
	pthread_t thread[ASKED];
	size_t silent = 0, busy = 0;
	struct timespec began, ended;

	(void)state;
	ANSWERS(HEAD("200 OK") "0\r\n\r\n");
	guest.hang = true;
	clock_gettime(CLOCK_MONOTONIC, &began);
	for (size_t i = 0; i < ASKED; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, ask_in_thread, code[i]), 0);
	for (size_t i = 0; i < ASKED; i++)
		pthread_join(thread[i], NULL);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	for (size_t i = 0; i < ASKED; i++) {
		silent += !strcmp(code[i], "vmm.guest_silent");
		busy += !strcmp(code[i], "vmm.guest_busy");
	}
	assert_int_equal(silent + busy, ASKED);
	assert_in_range(silent, 1, GUEST_OPEN_MAX);
	assert_in_range(ended.tv_sec - began.tv_sec, 0, 8);
	while (t.n_held)
		close(t.held[--t.n_held]);
	ANSWERS(HEAD("200 OK") "0\r\n\r\n");
	refused("");
}

static void replies_are_read_as_they_come(void **state)
{
	static const char whole[] = "HTTP/1.1 200 OK\r\nA:b\r\ncontent-length:\t 3 \r\n\r\nabcd";
	struct reply r;

	(void)state;
	for (size_t n = 0; n < sizeof whole - 3; n++)
		assert_int_equal(reply_read(&r, span_of(whole, n), 3), REPLY_MORE);
	assert_int_equal(reply_read(&r, span_of(whole, sizeof whole - 2), 3), REPLY_WHOLE);
	assert_int_equal(r.status, 200);
	assert_int_equal(r.body, 3);
	assert_memory_equal(whole + r.head, "abc", 3);
	assert_int_equal(reply_read(&r, span_of(whole, sizeof whole - 2), 2), REPLY_BAD);
	static const char *const bad[] = {
		"HTTP/1.1 99 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
		"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n Content-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: +0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0x0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0, 0\r\n\r\n",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (reply_read(&r, span_of(bad[i], strlen(bad[i])), 100) != REPLY_BAD)
			fail_msg("accepted: %s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_method_reaches_the_guest),
		cmocka_unit_test(answers_are_passed_on),
		cmocka_unit_test(a_large_answer),
		cmocka_unit_test(guests_that_answer_nonsense),
		cmocka_unit_test(vms_that_cannot_be_asked),
		cmocka_unit_test(a_guest_that_hangs),
		cmocka_unit_test(replies_are_read_as_they_come),
	};
	return cmocka_run_group_tests_name("guests", tests, setup, teardown);
}
