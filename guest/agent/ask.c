#include "ask.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"

int ask_send(int fd, const void *p, size_t n, int with)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec v = { (void *)(uintptr_t)p, n };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (with >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof control.room;
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		*c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
				       .cmsg_type = SCM_RIGHTS,
				       .cmsg_len = CMSG_LEN(sizeof with) };
		memcpy(CMSG_DATA(c), &with, sizeof with);
	}
	ssize_t sent;
	do
		sent = sendmsg(fd, &m, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)n ? 0 : -1;
}

ssize_t ask_receive(int fd, void *p, size_t n, int *with, int flags)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))]; // the kernel closes what does not fit
	} control = { 0 };
	struct iovec v = { p, n };
	struct msghdr m = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room
	};
	ssize_t got;

	*with = -1;
	do
		got = recvmsg(fd, &m, flags | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -1;
	const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof *with))
		memcpy(with, CMSG_DATA(c), sizeof *with);
	if (m.msg_flags & MSG_TRUNC) // too long: as wrong as too short
		return (ssize_t)n + 1;
	return got;
}

static int channel_of(const struct outside *o)
{
	return *(const int *)o->arg;
}

static int lost(struct err *e)
{
	return err_code(e, ERR_AGAIN, "agent.no_answer", "the agent's main process does not answer");
}

// Sends the question with one end of a new pair; gives the other.
static int put(const struct outside *o, const struct ask_request *q, int type, struct err *e)
{
	int pair[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair))
		return err_errno(e, "ask the main process");
	int rc = ask_send(channel_of(o), q, sizeof *q, pair[1]);
	close(pair[1]);
	if (!rc)
		return pair[0];
	close(pair[0]);
	return lost(e);
}

static int read_file(int fd, size_t n, struct arena *a, struct span *out, struct err *e)
{
	uint8_t *p = n <= ASK_ANSWER_MAX ? arena_alloc(a, n + 1) : NULL;

	if (!p)
		return err_set(e, ERR_SYSTEM, "out of memory");
	for (size_t at = 0; at < n;) {
		ssize_t r = pread(fd, p + at, n - at, (off_t)at);
		if (r <= 0 && !(r < 0 && errno == EINTR))
			return lost(e);
		at += r > 0 ? (size_t)r : 0;
	}
	*out = span_of(p, n);
	return 0;
}

// The answer on `fd`, from the arena; NULL is an error.
static const void *take_answer(int fd, int flags, const ProtobufCMessageDescriptor *d, struct arena *a,
			       struct err *e)
{
	struct ask_reply r;
	struct span bytes;
	auto_close int file = -1;

	if (ask_receive(fd, &r, sizeof r, &file, flags) != (ssize_t)sizeof r) {
		lost(e);
		return NULL;
	}
	if (r.err.class != ERR_NONE) {
		*e = r.err;
		return NULL;
	}
	if (file < 0)
		lost(e);
	return file < 0 || read_file(file, r.n, a, &bytes, e) ? NULL : pb_read(d, bytes, a, e);
}

// One question, and its answer into *out.
static int ask(const struct outside *o, const struct ask_request *q, const ProtobufCMessageDescriptor *d,
	       struct arena *a, void *out, struct err *e)
{
	static const struct timeval limit = { .tv_sec = ASK_S };
	auto_close int fd = put(o, q, SOCK_SEQPACKET, e);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	const void *m = take_answer(fd, 0, d, a, e);
	if (m)
		memcpy(out, m, d->sizeof_message);
	return m ? 0 : -1;
}

static int info(const struct outside *o, struct arena *a, Guest__AppInfo *out, struct err *e)
{
	return ask(o, &(struct ask_request){ .op = ASK_INFO }, &guest__app_info__descriptor, a, out, e);
}

static int app_quote(const struct outside *o, const char *algorithm, struct arena *a,
		     Guest__GetQuoteResponse *out, struct err *e)
{
	struct ask_request q = { .op = ASK_APP_QUOTE };
	size_t n = strlen(algorithm);

	if (n >= sizeof q.algorithm)
		return err_code(e, ERR_INPUT, "agent.algorithm", "Unsupported algorithm");
	memcpy(q.algorithm, algorithm, n);
	return ask(o, &q, &guest__get_quote_response__descriptor, a, out, e);
}

// Somebody on the loop waits for the list.
struct listing {
	struct containers_wait *wait;
	struct event *event;
	int fd;
};

static void on_list(evutil_socket_t fd, short what, void *arg)
{
	struct listing *l = arg;
	struct containers_wait *w = l->wait;
	auto_arena *a = arena_new(ASK_ANSWER_MAX);
	const void *list = NULL;
	struct err e = { 0 };

	if (!a)
		err_set(&e, ERR_SYSTEM, "out of memory");
	else if (what & EV_READ)
		list = take_answer(fd, MSG_DONTWAIT, &host__list_containers_response__descriptor, a, &e);
	else
		lost(&e);
	event_free(l->event);
	close(l->fd);
	free(l);
	w->done(w, list, &e);
}

static void containers(const struct outside *o, struct containers_wait *w)
{
	static const struct timeval limit = { .tv_sec = ASK_S };
	struct err e = { 0 };
	struct listing *l = calloc(1, sizeof *l);
	int fd = put(o, &(struct ask_request){ .op = ASK_CONTAINERS }, SOCK_SEQPACKET, &e);

	if (l && fd >= 0) {
		*l = (struct listing){ .wait = w, .fd = fd };
		l->event = event_new(o->base, fd, EV_READ, on_list, l);
		if (l->event && !event_add(l->event, &limit))
			return;
		if (l->event)
			event_free(l->event);
	}
	if (fd >= 0) {
		close(fd);
		err_set(&e, ERR_SYSTEM, "out of memory");
	}
	free(l);
	w->done(w, NULL, &e);
}

static int sysinfo(const struct outside *o, struct arena *a, Host__SystemInfo *out, struct err *e)
{
	return ask(o, &(struct ask_request){ .op = ASK_SYSINFO }, &host__system_info__descriptor, a, out, e);
}

static int logs(const struct outside *o, const char *name, const struct log_query *how, struct err *e)
{
	struct ask_request q = { .op = ASK_LOGS,
				 .since = how->since,
				 .until = how->until,
				 .follow = how->follow,
				 .timestamps = how->timestamps };
	size_t n = strlen(name);

	memcpy(q.tail, how->tail, sizeof q.tail);

	if (n >= sizeof q.container)
		return err_code(e, ERR_INPUT, "agent.container", "Invalid container name");
	memcpy(q.container, name, n);
	return put(o, &q, SOCK_STREAM | SOCK_NONBLOCK, e);
}

struct outside outside_asked(struct event_base *base, const int *channel, const struct app_files *app,
			     const char *tee)
{
	return (struct outside){ .app = app,
				 .tee = tee,
				 .base = base,
				 .arg = channel,
				 .info = info,
				 .app_quote = app_quote,
				 .containers = containers,
				 .sysinfo = sysinfo,
				 .logs = logs };
}
