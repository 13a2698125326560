// A VM's network namespace: what is forwarded works in both directions, nothing else is there.
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/relay.h"

static struct event_base *base;
static struct netns ns;

static int set_up(void **state)
{
	struct err e = { 0 };

	(void)state;
	base = event_base_new();
	if (netns_new(&ns, &e)) {
		print_error("%s\n", e.text);
		return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	netns_close(&ns);
	event_base_free(base);
	return 0;
}

static int make(bool inside, int type)
{
	struct err e = { 0 };
	int fd = netns_socket(&ns, inside, AF_INET, type, &e);

	assert_true(fd >= 0);
	return fd;
}

// A socket of the test on a free port of 127.0.0.1; TCP listens.
static int serve(bool inside, int type, struct address *at)
{
	struct err e = { 0 };
	int fd = make(inside, type);
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 4), 0);
	socklen_t n = sizeof in;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &n), 0);
	assert_int_equal(address_of(at, "127.0.0.1", ntohs(in.sin_port), &e), 0);
	return fd;
}

static void turn(int fd, short what)
{
	for (int i = 0; i < 200; i++) {
		struct pollfd p = { fd, what, 0 };

		event_base_loop(base, EVLOOP_NONBLOCK);
		if (poll(&p, 1, 5) > 0)
			return;
	}
	fail_msg("nothing came");
}

static struct relay *start(bool udp, bool into_vm, const struct address *to, struct address *from)
{
	struct relay_plan p = { .udp = udp, .into_vm = into_vm, .to = *to, .ns = &ns };
	struct err e = { 0 };
	// A free port on the listening side: bind, look, close.
	int probe = serve(!into_vm, udp ? SOCK_DGRAM : SOCK_STREAM, from);

	close(probe);
	p.from = *from;
	struct relay *r = relay_new(base, &p, &e);
	if (!r)
		fail_msg("%s", e.text);
	return r;
}

static int dial(bool inside, int type, const struct address *to)
{
	int fd = make(inside, type);

	assert_true(connect(fd, (const struct sockaddr *)&to->at, to->n) == 0 || errno == EINPROGRESS);
	return fd;
}

static void tcp_one_way(bool into_vm)
{
	struct address to, from;
	char got[16];
	int service = serve(into_vm, SOCK_STREAM, &to);
	struct relay *r = start(false, into_vm, &to, &from);
	int client = dial(!into_vm, SOCK_STREAM, &from);

	turn(service, POLLIN);
	int peer = accept(service, NULL, NULL);
	assert_true(peer >= 0);
	assert_int_equal(write(client, "ping", 4), 4);
	shutdown(client, SHUT_WR);
	turn(peer, POLLIN);
	assert_int_equal(read(peer, got, sizeof got), 4);
	turn(peer, POLLIN);
	assert_int_equal(read(peer, got, sizeof got), 0); // half close arrives
	assert_int_equal(write(peer, "pong!", 5), 5);
	close(peer);
	turn(client, POLLIN);
	assert_int_equal(read(client, got, sizeof got), 5);
	turn(client, POLLIN);
	assert_int_equal(read(client, got, sizeof got), 0);
	close(client);
	close(service);
	relay_free(r);
}

static void tcp_out_of_the_vm(void **state)
{
	(void)state;
	tcp_one_way(false);
}

static void tcp_into_the_vm(void **state)
{
	(void)state;
	tcp_one_way(true);
}

static void tcp_bulk(void **state)
{
	static uint8_t block[65536];
	struct address to, from;
	size_t sent = 0, got = 0, total = 8 << 20;
	int service = serve(false, SOCK_STREAM, &to);
	struct relay *r = start(false, false, &to, &from);
	int client = dial(true, SOCK_STREAM, &from), peer;

	(void)state;
	turn(service, POLLIN);
	peer = accept4(service, NULL, NULL, SOCK_NONBLOCK);
	while (got < total) {
		ssize_t n = sent < total ? write(client, block, sizeof block) : 0;

		sent += n > 0 ? (size_t)n : 0;
		event_base_loop(base, EVLOOP_NONBLOCK);
		while ((n = read(peer, block, sizeof block)) > 0)
			got += (size_t)n;
	}
	assert_true(got >= total);
	close(client);
	close(peer);
	close(service);
	relay_free(r);
}

static void udp(void **state)
{
	struct address to, from;
	struct sockaddr_in peer;
	socklen_t n = sizeof peer;
	char got[16];
	int service = serve(false, SOCK_DGRAM, &to);
	struct relay *r = start(true, false, &to, &from);
	int one = dial(true, SOCK_DGRAM, &from), two = dial(true, SOCK_DGRAM, &from);

	(void)state;
	assert_int_equal(send(one, "first", 5, 0), 5);
	turn(service, POLLIN);
	assert_int_equal(recvfrom(service, got, sizeof got, 0, (struct sockaddr *)&peer, &n), 5);
	assert_int_equal(send(two, "2", 1, 0), 1); // another sender in between
	turn(service, POLLIN);
	assert_int_equal(recv(service, got, sizeof got, 0), 1);
	assert_int_equal(sendto(service, "back", 4, 0, (struct sockaddr *)&peer, n), 4);
	turn(one, POLLIN);
	assert_int_equal(recv(one, got, sizeof got, 0), 4);
	assert_int_equal(recv(two, got, sizeof got, 0), -1); // it was not for that one
	close(one);
	close(two);
	close(service);
	relay_free(r);
}

static void nothing_else_is_there(void **state)
{
	struct address host;
	int service = serve(false, SOCK_STREAM, &host);
	int fd = make(true, SOCK_STREAM);
	struct pollfd p = { fd, POLLOUT, 0 };
	struct sockaddr_in out = { .sin_family = AF_INET,
				   .sin_port = htons(53),
				   .sin_addr.s_addr = htonl(0x08080808) };
	int error = 0;
	socklen_t n = sizeof error;

	(void)state;
	// A service on the host's loopback cannot be seen from inside, nor anything beyond.
	if (connect(fd, (struct sockaddr *)&host.at, host.n) < 0 && errno == EINPROGRESS) {
		poll(&p, 1, 1000);
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n);
	} else {
		error = errno;
	}
	assert_int_equal(error, ECONNREFUSED);
	close(fd);
	fd = make(true, SOCK_STREAM);
	assert_int_equal(connect(fd, (struct sockaddr *)&out, sizeof out), -1);
	assert_int_equal(errno, ENETUNREACH);
	close(fd);
	close(service);
}

static void port_in_use(void **state)
{
	struct address taken;
	struct err e = { 0 };
	int service = serve(false, SOCK_STREAM, &taken);
	struct relay_plan p = { .into_vm = true, .from = taken, .to = taken, .ns = &ns };

	(void)state;
	assert_null(relay_new(base, &p, &e));
	assert_string_equal(e.code, "vmm.port_in_use");
	close(service);
}

static void addresses(void **state)
{
	static const char *const bad[] = {
		"",         "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",  "127.0.0.1:65536", "localhost:80",
		"1.2.3:80", "[::1:80",   ":80",        "127.0.0.1:8 0"
	};
	struct address a;
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(address_parse(&a, bad[i], &e), -1);
	assert_int_equal(address_parse(&a, "127.0.0.1:65535", &e), 0);
	assert_int_equal(a.at.ss_family, AF_INET);
	assert_int_equal(address_parse(&a, "[::1]:80", &e), 0);
	assert_int_equal(a.at.ss_family, AF_INET6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_out_of_the_vm),
		cmocka_unit_test(tcp_into_the_vm),
		cmocka_unit_test(tcp_bulk),
		cmocka_unit_test(udp),
		cmocka_unit_test(nothing_else_is_there),
		cmocka_unit_test(port_in_use),
		cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
