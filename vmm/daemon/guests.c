#include "guests.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/strings.h"
#include "dial.h"
#include "host.pb-c.h"
#include "prpc.pb-c.h"
#include "rpc/reply.h"

enum { GREETING_MAX = 32 };

// One request on its way: no pointer to its VM, which may be removed meanwhile.
struct ask {
	struct daemon *owner;
	struct ask *next;
	struct rpc_call *call;
	const ProtobufCMessageDescriptor *out;
	char vm[sizeof((struct manifest *)0)->id];
	struct bufferevent *guest;
	struct event *limit;
	bool greeting; // the runner's "OK" is still to come
	struct reply reply;
};

static void ask_free(struct ask *q)
{
	for (struct ask **at = &q->owner->asks; *at; at = &(*at)->next)
		if (*at == q) {
			*at = q->next;
			break;
		}
	if (q->guest)
		bufferevent_free(q->guest);
	if (q->limit)
		event_free(q->limit);
	free(q);
}

static void ask_end(struct ask *q, int rc, const struct err *e)
{
	struct rpc_call *call = q->call;

	ask_free(q);
	rpc_finish(call, rc, e);
}

static void ask_fail(struct ask *q, const char *why)
{
	struct err e = { 0 };

	err_code(&e, ERR_ABSENT, "vmm.guest_silent", "the guest's agent does not answer: %s", why);
	ask_end(q, -1, &e);
}

void *guest_answer(const ProtobufCMessageDescriptor *d, int status, struct span body, struct arena *a,
		   struct err *e)
{
	struct err why = { 0 };

	if (status == 200) {
		void *m = pb_read(d, body, a, &why);
		if (!m)
			err_code(e, ERR_ABSENT, "vmm.guest_answer", "the guest's answer is no %s message",
				 d->short_name);
		return m;
	}
	const Prpc__Error *told = status == 400 ? pb_read(&prpc__error__descriptor, body, a, &why) : NULL;
	if (told)
		err_code(e, ERR_INPUT, "vmm.guest_refused", "the guest says: %s", STR_QZ(told->message));
	else
		err_code(e, ERR_ABSENT, "vmm.guest_answer", "the guest answers with status %d", status);
	return NULL;
}

static void answered(struct ask *q, struct evbuffer *in)
{
	size_t n = q->reply.head + q->reply.body;
	const uint8_t *p = evbuffer_pullup(in, (ev_ssize_t)n);
	struct err e = { 0 };

	if (!p) {
		ask_fail(q, "out of memory");
		return;
	}
	const void *m = guest_answer(q->out, q->reply.status, span_of(p + q->reply.head, q->reply.body),
				     rpc_arena(q->call), &e);
	if (m)
		memcpy(rpc_out(q->call), m, q->out->sizeof_message);
	ask_end(q, m ? 0 : -1, &e);
}

// Without a content type the answer is protobuf.
static void send_request(struct ask *q)
{
	evbuffer_add_printf(bufferevent_get_output(q->guest),
			    "POST /api/%s HTTP/1.1\r\nHost: guest\r\nContent-Length: 0\r\n"
			    "Connection: close\r\n\r\n",
			    rpc_method_name(q->call));
}

// False: not yet, or the ask is over.
static bool greeted(struct ask *q, struct evbuffer *in)
{
	char line[GREETING_MAX] = "", want[GREETING_MAX];
	struct evbuffer_ptr end = evbuffer_search_eol(in, NULL, NULL, EVBUFFER_EOL_LF);

	if (end.pos < 0 && evbuffer_get_length(in) < GREETING_MAX)
		return false;
	if (end.pos >= 0 && end.pos < GREETING_MAX)
		evbuffer_remove(in, line, (size_t)end.pos + 1);
	snprintf(want, sizeof want, "OK %d\n", GUEST_API_PORT);
	if (memcmp(line, want, strlen(want)) != 0) {
		ask_fail(q, "no connection");
		return false;
	}
	q->greeting = false;
	send_request(q);
	return true;
}

static void on_read(struct bufferevent *b, void *arg)
{
	struct ask *q = arg;
	struct evbuffer *in = bufferevent_get_input(b);

	if (q->greeting && !greeted(q, in))
		return;
	size_t n = evbuffer_get_length(in), need = q->reply.head + q->reply.body;
	if (!need) {
		size_t look = n < REPLY_HEAD_MAX ? n : REPLY_HEAD_MAX;
		const uint8_t *p = look ? evbuffer_pullup(in, (ev_ssize_t)look) : NULL;
		struct reply r;
		if (p && reply_read(&r, span_of(p, look), GUEST_ANSWER_MAX) == REPLY_BAD) {
			ask_fail(q, "it is no HTTP answer");
			return;
		}
		if (!p || !r.head)
			return;
		q->reply = r;
		need = r.head + r.body;
		bufferevent_setwatermark(b, EV_READ, need, need + 1); // no more is held than is needed
	}
	if (n >= need)
		answered(q, in);
}

static void on_event(struct bufferevent *b, short what, void *arg)
{
	(void)b;
	if (!(what & BEV_EVENT_CONNECTED))
		ask_fail(arg, "the connection ended");
}

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	ask_fail(arg, "time ran out");
}

static struct vm *running(struct daemon *d, const char *id, struct err *e)
{
	struct vm *v = vm_find(d, id);

	if (!v) {
		err_code(e, ERR_ABSENT, "vmm.no_vm", "vm not found");
		return NULL;
	}
	if (v->runner)
		return v;
	err_code(e, ERR_INPUT, "vmm.not_running", "VM is not running");
	return NULL;
}

static int check_room(const struct daemon *d, const char *id, struct err *e)
{
	size_t all = 0, own = 0;

	for (const struct ask *q = d->asks; q; q = q->next) {
		all++;
		own += !strcmp(q->vm, id);
	}
	if (all >= GUESTS_OPEN_MAX || own >= GUEST_OPEN_MAX)
		return err_code(e, ERR_AGAIN, "vmm.guest_busy", "too many requests to the guest are open");
	return 0;
}

static int ask_start(struct ask *q, const struct vm *v, struct err *e)
{
	struct timeval limit = { .tv_sec = q->owner->guest_wait_s ? q->owner->guest_wait_s : GUEST_WAIT_S };
	int fd = dial_guest(v, GUEST_API_PORT, &q->greeting);

	if (fd < 0)
		return err_code(e, ERR_ABSENT, "vmm.guest_silent", "the VM has no way in yet");
	q->limit = evtimer_new(q->owner->base, on_limit, q);
	q->guest = bufferevent_socket_new(q->owner->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!q->guest)
		close(fd);
	if (!q->guest || !q->limit || event_add(q->limit, &limit))
		return err_set(e, ERR_SYSTEM, "out of memory");
	bufferevent_setcb(q->guest, on_read, NULL, on_event, q);
	bufferevent_setwatermark(q->guest, EV_READ, 0, REPLY_HEAD_MAX);
	bufferevent_enable(q->guest, EV_READ | EV_WRITE);
	if (q->greeting)
		evbuffer_add_printf(bufferevent_get_output(q->guest), "CONNECT %d\n", GUEST_API_PORT);
	else
		send_request(q);
	return 0;
}

static int forward(struct rpc_call *call, const void *in, struct err *e,
		   const ProtobufCMessageDescriptor *out)
{
	struct daemon *d = rpc_arg(call);
	const Host__Id *id = in;
	const struct vm *v = running(d, id->id, e);

	if (!v || check_room(d, v->m.id, e))
		return -1;
	struct ask *q = calloc(1, sizeof *q);
	if (!q)
		return err_set(e, ERR_SYSTEM, "out of memory");
	*q = (struct ask){ .owner = d, .next = d->asks, .call = call, .out = out };
	snprintf(q->vm, sizeof q->vm, "%s", v->m.id);
	d->asks = q;
	if (!ask_start(q, v, e))
		return RPC_LATER;
	ask_free(q);
	return -1;
}

static int info(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	(void)out;
	return forward(c, in, e, &host__guest_info__descriptor);
}

static int sys_info(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	(void)out;
	return forward(c, in, e, &host__system_info__descriptor);
}

static int network_info(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	(void)out;
	return forward(c, in, e, &host__network_information__descriptor);
}

static int list_containers(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	(void)out;
	return forward(c, in, e, &host__list_containers_response__descriptor);
}

static int shut_down(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	(void)out;
	return forward(c, in, e, &prpc__empty__descriptor);
}

#define M(name, out, fn)                                                                                     \
	{                                                                                                    \
		name, &host__id__descriptor, &out##__descriptor, fn, false, 4096                             \
	}
static const struct rpc_method methods[] = {
	M("Info", host__guest_info, info),
	M("SysInfo", host__system_info, sys_info),
	M("NetworkInfo", host__network_information, network_info),
	M("ListContainers", host__list_containers_response, list_containers),
	M("Shutdown", prpc__empty, shut_down),
};

int guests_mount(struct rpc_server *s, struct daemon *d)
{
	return rpc_server_mount(s, "/guest", "ProxiedGuestApi.", methods, sizeof methods / sizeof *methods,
				d);
}

void guests_free(struct daemon *d)
{
	while (d->asks)
		ask_fail(d->asks, "the VMM ends");
}
