// wire - a server that answers each message of proto/guest.proto, host.proto and kms.proto with itself, and a
// client that is nothing but a socket, so that a test says byte for byte what is sent and what must come
// back.
//
// `POST /GetKeyArgs` takes a GetKeyArgs and returns it; the same under /prpc and with the prefix DstackGuest.
// . Fail is refused by its method; Sized returns as many bytes as its request asks for.
#pragma once
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/cleanup.h"
#include "guest.pb-c.h"
#include "host.pb-c.h"
#include "kms.pb-c.h"
#include "prpc.pb-c.h"
#include "rpc/server_impl.h"

enum { WIRE_METHODS_MAX = 96 };

static struct wire {
	struct event_base *base;
	struct rpc_server *server, *hasty; // hasty: the same methods, idle connections end after a second
	struct rpc_method method[WIRE_METHODS_MAX];
	size_t methods;
	pthread_t loop;
	int stop[2], ended;
	struct event *on_stop;
	char path[80], hasty_path[80];
} wire;

struct answer {
	int status;
	char head[2048];
	char *body; // with a NUL after it
	size_t n;
};

static int wire_echo(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	ProtobufCMessage *m = out;

	(void)c;
	(void)e;
	memcpy(m, in, m->descriptor->sizeof_message);
	m->n_unknown_fields = 0;
	return 0;
}

static int wire_fail(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	(void)c;
	(void)in;
	(void)out;
	err_code(e, ERR_INPUT, "agent.algorithm", "Unsupported \xc3\xa9lgorithm");
	return err_wrap(e, "sign");
}

static int wire_sized(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const Guest__GetKeyArgs *a = in;
	Guest__GpuInfoResponse *r = out;
	size_t n = (size_t)strtoul(a->path, NULL, 10);

	(void)e;
	r->attestation = arena_alloc(rpc_arena(c), n + 1);
	if (r->attestation)
		memset(r->attestation, 'x', n);
	return 0;
}

// A message and those within it. Named without its package, unless the name is taken.
static void wire_add(const ProtobufCMessageDescriptor *d)
{
	const char *name = d->short_name;

	for (size_t i = 0; i < wire.methods; i++) {
		if (wire.method[i].in == d)
			return;
		if (!strcmp(wire.method[i].name, name))
			name = d->name;
	}
	assert_true(wire.methods < WIRE_METHODS_MAX);
	wire.method[wire.methods++] = (struct rpc_method){ name, d, d, wire_echo };
	for (unsigned i = 0; i < d->n_fields; i++)
		if (d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
			wire_add(d->fields[i].descriptor);
}

static void wire_add_service(const ProtobufCServiceDescriptor *s)
{
	for (unsigned i = 0; i < s->n_methods; i++) {
		wire_add(s->methods[i].input);
		wire_add(s->methods[i].output);
	}
}

static void wire_ended(void *arg)
{
	(void)arg;
	if (++wire.ended == 2)
		event_base_loopbreak(wire.base);
}

static void wire_stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	rpc_server_stop(wire.server, 2, wire_ended, NULL);
	rpc_server_stop(wire.hasty, 2, wire_ended, NULL);
}

static void *wire_run(void *arg)
{
	event_base_loop(arg, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static struct rpc_server *wire_server(const char *path)
{
	struct rpc_server *s = rpc_server_new(wire.base);
	char address[96];
	struct err e = { 0 };

	assert_non_null(s);
	rpc_server_mount(s, "", "DstackGuest.", wire.method, wire.methods, NULL);
	rpc_server_mount(s, "/prpc", "DstackGuest.", wire.method, wire.methods, NULL);
	snprintf(address, sizeof address, "unix:%s", path);
	if (rpc_server_listen(s, address, NULL, 0600, &e))
		fail_msg("%s", e.text);
	return s;
}

static int wire_setup(void **state)
{
	(void)state;
	wire_add_service(&guest__dstack_guest__descriptor);
	wire_add_service(&guest__tappd__descriptor);
	wire_add_service(&guest__worker__descriptor);
	wire_add_service(&host__host_api__descriptor);
	wire_add_service(&host__proxied_guest_api__descriptor);
	wire_add_service(&kms__kms__descriptor);
	wire_add_service(&kms__onboard__descriptor);
	wire_add_service(&kms__admin__descriptor);
	wire.method[wire.methods++] = (struct rpc_method){ "Fail", &guest__sign_request__descriptor,
							   &guest__sign_response__descriptor, wire_fail };
	wire.method[wire.methods++] =
		(struct rpc_method){ "Sized", &guest__get_key_args__descriptor,
				     &guest__gpu_info_response__descriptor, wire_sized };
	snprintf(wire.path, sizeof wire.path, "/tmp/dstack-wire-%d.sock", getpid());
	snprintf(wire.hasty_path, sizeof wire.hasty_path, "/tmp/dstack-wire-%d-hasty.sock", getpid());
	wire.base = event_base_new();
	wire.server = wire_server(wire.path);
	wire.hasty = wire_server(wire.hasty_path);
	rpc_server_limits(wire.hasty, 16, 1, 30, 30);
	if (pipe(wire.stop))
		return -1;
	wire.on_stop = event_new(wire.base, wire.stop[0], EV_READ, wire_stop, NULL);
	event_add(wire.on_stop, NULL);
	return pthread_create(&wire.loop, NULL, wire_run, wire.base);
}

static int wire_teardown(void **state)
{
	(void)state;
	if (write(wire.stop[1], "x", 1) != 1)
		return -1;
	pthread_join(wire.loop, NULL);
	rpc_server_free(wire.server);
	rpc_server_free(wire.hasty);
	event_free(wire.on_stop);
	event_base_free(wire.base);
	close(wire.stop[0]);
	close(wire.stop[1]);
	return unlink(wire.path) | unlink(wire.hasty_path);
}

static int wire_dial(const char *path)
{
	struct sockaddr_un u = { .sun_family = AF_UNIX };
	struct timeval patience = { 30, 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(u.sun_path, sizeof u.sun_path, "%s", path);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	assert_int_equal(connect(fd, (void *)&u, sizeof u), 0);
	return fd;
}

static void wire_put(int fd, const void *p, size_t n)
{
	const char *at = p;

	for (ssize_t w; n; at += w, n -= (size_t)w) {
		w = send(fd, at, n, MSG_NOSIGNAL);
		assert_true(w > 0);
	}
}

static inline void wire_puts(int fd, const char *s)
{
	wire_put(fd, s, strlen(s));
}

// Exactly one answer: the head to its blank line, then Content-Length bytes (none after HEAD).
static void wire_get(int fd, bool head_only, struct answer *a)
{
	size_t at = 0;

	free(a->body);
	*a = (struct answer){ 0 };
	while (at < 4 || memcmp(a->head + at - 4, "\r\n\r\n", 4)) {
		assert_true(at < sizeof a->head - 1);
		if (recv(fd, a->head + at, 1, 0) != 1)
			fail_msg("the answer ends within its head: \"%s\"", a->head);
		at++;
	}
	const char *length = strstr(a->head, "\r\nContent-Length: ");
	assert_int_equal(sscanf(a->head, "HTTP/1.1 %d ", &a->status), 1);
	assert_non_null(length); // always, and never chunked
	assert_null(strstr(a->head, "Transfer-Encoding"));
	size_t n = head_only ? 0 : (size_t)strtoul(length + 18, NULL, 10);
	a->body = calloc(1, n + 1);
	assert_non_null(a->body);
	for (ssize_t r; a->n < n; a->n += (size_t)r) {
		r = recv(fd, a->body + a->n, n - a->n, 0);
		assert_true(r > 0);
	}
}

static void wire_post(int fd, const char *target, const char *type, const void *body, size_t n)
{
	char head[512];
	int k = snprintf(head, sizeof head,
			 "POST %s HTTP/1.1\r\nHost: dstack\r\n%s%s%sContent-Length: %zu\r\n\r\n", target,
			 type ? "Content-Type: " : "", type ? type : "", type ? "\r\n" : "", n);

	wire_put(fd, head, (size_t)k);
	wire_put(fd, body, n);
}

static void answer_free(struct answer *a)
{
	free(a->body);
}
#define auto_answer __attribute__((cleanup(answer_free))) struct answer
