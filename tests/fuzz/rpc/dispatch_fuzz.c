// Any bytes as the request of any method of the guest agent's services, in each form, through the dispatcher
// and back: the method returns its request. Asserts a whole answer of status 200 or 400 each time, that JSON
// is ASCII and well formed, and that an answer asked again is answered with itself.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "base/sb.h"
#include "core/codec/json.h"
#include "guest.pb-c.h"
#include "rpc/server_impl.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

enum { METHODS_MAX = 32, INPUT_MAX = 16384 };
enum form { PROTOBUF, JSON, JSON_QUERY, GET };

static struct rpc_method methods[METHODS_MAX];
static size_t methods_n;
static struct rpc_server *server;

static int echo(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	ProtobufCMessage *m = out;

	(void)c;
	(void)e;
	memcpy(m, in, m->descriptor->sizeof_message);
	m->n_unknown_fields = 0;
	return 0;
}

static void add(const ProtobufCServiceDescriptor *s)
{
	for (unsigned i = 0; i < s->n_methods; i++) {
		if (methods_n == METHODS_MAX)
			abort();
		methods[methods_n++] = (struct rpc_method){ s->methods[i].name, s->methods[i].input,
							    s->methods[i].input, echo };
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_setup(false, LOG_LEVEL_ERROR);
	add(&guest__dstack_guest__descriptor);
	add(&guest__tappd__descriptor);
	add(&guest__worker__descriptor);
	server = rpc_server_new(event_base_new());
	if (!server || rpc_server_mount(server, "", "DstackGuest.", methods, methods_n, NULL))
		abort();
	return 0;
}

// What is sent: false if the bytes cannot stand in a request of this form.
static bool request(struct sb *out, const char *method, enum form form, const void *p, size_t n)
{
	if (form == GET) {
		for (size_t i = 0; i < n; i++)
			if (((const uint8_t *)p)[i] <= ' ' || ((const uint8_t *)p)[i] >= 127)
				return false;
		sb_fmt(out, "GET /%s?", method);
		sb_put(out, p, n);
		sb_str(out, " HTTP/1.1\r\nHost: x\r\n\r\n");
		return out->n < HTTP_HEAD_MAX;
	}
	sb_fmt(out, "POST /%s%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n", method,
	       form == JSON_QUERY ? "?json" : "", form == JSON ? "Content-Type: application/json\r\n" : "",
	       n);
	sb_put(out, p, n);
	return true;
}

// Sends, half-closes, and reads until the server has closed. The status; the body is the end of `in`.
static int ask(const struct sb *out, struct sb *in, struct span *body)
{
	char b[65536];
	ssize_t r = -1;
	int f[2], status;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, f) || http_adopt(&server->http, f[0], NULL))
		abort();
	if (send(f[1], out->p, out->n, MSG_NOSIGNAL) != (ssize_t)out->n || shutdown(f[1], SHUT_WR))
		abort();
	for (int i = 0; i < 1000 && r; i++) {
		event_base_loop(server->http.base, EVLOOP_NONBLOCK);
		while ((r = recv(f[1], b, sizeof b, 0)) > 0)
			sb_put(in, b, (size_t)r);
	}
	close(f[1]);
	for (int i = 0; i < 5 && server->http.conns; i++)
		event_base_loop(server->http.base, EVLOOP_NONBLOCK);
	const char *head = in->bad || !in->n ? NULL : strstr(in->p, "\r\n\r\n");
	const char *length = head ? strstr(in->p, "\r\nContent-Length: ") : NULL;
	if (r || server->http.conns || !length || sscanf(in->p, "HTTP/1.1 %d ", &status) != 1)
		abort();
	*body = span_of(head + 4, in->n - (size_t)(head + 4 - in->p));
	if (body->n != strtoul(length + 18, NULL, 10) || (status != 200 && status != 400))
		abort();
	return status;
}

static void check_json(struct span s)
{
	struct json v;

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= 127)
			abort();
	if (json_parse(&v, s, NULL))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	auto_sb out = { 0 }, in = { 0 }, again = { 0 }, same = { 0 };
	struct span body, second;

	if (n < 2 || n > INPUT_MAX)
		return 0;
	const char *method = methods[d[0] % methods_n].name;
	enum form form = d[1] & 3;
	if (!request(&out, method, form, d + 2, n - 2))
		return 0;
	int status = ask(&out, &in, &body);
	if (form != PROTOBUF)
		check_json(body);
	if (status != 200)
		return 0;
	request(&again, method, form == GET ? JSON : form, body.p, body.n);
	if (ask(&again, &same, &second) != 200 || second.n != body.n || memcmp(second.p, body.p, body.n))
		abort();
	return 0;
}
