#include "qmp.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "core/codec/json.h"

enum { LINE_MAX_HERE = 256 * 1024, RETRY_MS = 100 };

struct qmp {
	struct event_base *base;
	struct bufferevent *b;
	struct event *retry;
	struct sockaddr_un at;
	bool ready;
	char waiting[64]; // a command given before the connection was there
	void (*event)(void *arg, const char *name, const char *reason);
	void *arg;
};

static void send_command(struct qmp *q, const char *command)
{
	evbuffer_add_printf(bufferevent_get_output(q->b), "{\"execute\":\"%s\"}\n", command);
}

static void one_line(struct qmp *q, const char *line, size_t n)
{
	struct json o, v, data;
	char name[64], reason[64] = "";

	if (json_parse(&o, span_of(line, n), NULL))
		return;
	if (json_get(o, "QMP", &v)) { // the greeting
		send_command(q, "qmp_capabilities");
		q->ready = true;
		if (*q->waiting)
			send_command(q, q->waiting);
	} else if (json_get(o, "event", &v) && json_cstr(v, name, sizeof name) == 0) {
		if (json_get(o, "data", &data) && json_get(data, "reason", &v) &&
		    json_cstr(v, reason, sizeof reason))
			*reason = 0;
		q->event(q->arg, name, reason);
	} else if (json_get(o, "error", &v)) {
		log_warn("qmp", "QEMU refused a command: %.*s", (int)(v.text.n < 200 ? v.text.n : 200),
			 (const char *)v.text.p);
	}
}

static void on_read(struct bufferevent *b, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(b);
	char *line;
	size_t n;

	while ((line = evbuffer_readln(in, &n, EVBUFFER_EOL_CRLF))) {
		one_line(arg, line, n);
		free(line);
	}
	if (evbuffer_get_length(in) > LINE_MAX_HERE)
		bufferevent_disable(b, EV_READ);
}

static void on_event(struct bufferevent *b, short what, void *arg)
{
	struct qmp *q = arg;

	(void)b;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		q->ready = false; // QEMU is on its way out; its exit tells the rest
}

static void try_connect(evutil_socket_t unused, short what, void *arg)
{
	struct timeval soon = { .tv_usec = RETRY_MS * 1000 };
	struct qmp *q = arg;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)unused, (void)what;
	if (fd >= 0 && connect(fd, (struct sockaddr *)&q->at, sizeof q->at) == 0) {
		q->b = bufferevent_socket_new(q->base, fd, BEV_OPT_CLOSE_ON_FREE);
		if (q->b) {
			bufferevent_setcb(q->b, on_read, NULL, on_event, q);
			bufferevent_enable(q->b, EV_READ | EV_WRITE);
			return;
		}
	}
	if (fd >= 0)
		close(fd);
	event_add(q->retry, &soon);
}

struct qmp *qmp_new(struct event_base *base, const char *path,
		    void (*event)(void *arg, const char *name, const char *reason), void *arg)
{
	struct qmp *q = calloc(1, sizeof *q);

	if (!q)
		return NULL;
	*q = (struct qmp){ .base = base, .at = { .sun_family = AF_UNIX }, .event = event, .arg = arg };
	snprintf(q->at.sun_path, sizeof q->at.sun_path, "%s", path);
	q->retry = evtimer_new(base, try_connect, q);
	if (!q->retry) {
		free(q);
		return NULL;
	}
	try_connect(-1, 0, q);
	return q;
}

void qmp_free(struct qmp *q)
{
	if (!q)
		return;
	if (q->b)
		bufferevent_free(q->b);
	event_free(q->retry);
	free(q);
}

void qmp_execute(struct qmp *q, const char *command)
{
	if (q->ready)
		send_command(q, command);
	else
		snprintf(q->waiting, sizeof q->waiting, "%s", command);
}
