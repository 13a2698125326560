#include "broker.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "rpc/pool.h"

enum { LOGS_HELD = 64 << 10 };

struct broker {
	struct event_base *base;
	struct pool *pool;
	struct event *on_ask;
	struct outside here;
	void (*gone)(void *);
	void *arg;
	unsigned waiting, relays;
	struct relay *first;
};

// One question, from its message to its answer.
struct question {
	struct containers_wait wait; // first: what `listed` is given
	struct broker *b;
	struct ask_request q;
	struct ask_reply r;
	int fd, file;
};

// A container's log on its way: from the engine to the listener, never back.
struct relay {
	struct broker *b;
	struct relay *next, **at;
	struct bufferevent *from, *to;
	bool over;
};

static void relay_free(struct relay *r)
{
	*r->at = r->next;
	if (r->next)
		r->next->at = r->at;
	if (r->from)
		bufferevent_free(r->from);
	if (r->to)
		bufferevent_free(r->to);
	r->b->relays--;
	free(r);
}

static void relay_read(struct bufferevent *from, void *arg)
{
	struct relay *r = arg;
	struct evbuffer *out = bufferevent_get_output(r->to);

	bufferevent_write_buffer(r->to, bufferevent_get_input(from));
	if (evbuffer_get_length(out) >= LOGS_HELD)
		bufferevent_disable(from, EV_READ);
}

static void relay_written(struct bufferevent *to, void *arg)
{
	struct relay *r = arg;

	(void)to;
	if (r->over)
		relay_free(r);
	else
		bufferevent_enable(r->from, EV_READ);
}

static void relay_from_event(struct bufferevent *from, short what, void *arg)
{
	struct relay *r = arg;

	(void)what;
	relay_read(from, r);
	bufferevent_disable(from, EV_READ);
	r->over = true;
	if (!evbuffer_get_length(bufferevent_get_output(r->to)))
		relay_free(r);
}

static void relay_to_read(struct bufferevent *to, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(to);

	(void)arg;
	evbuffer_drain(in, evbuffer_get_length(in)); // there is nothing to say to an engine
}

static void relay_to_event(struct bufferevent *to, short what, void *arg)
{
	(void)to, (void)what;
	relay_free(arg);
}

// Takes both descriptors.
static void relay_start(struct broker *b, int engine, int listener)
{
	struct relay *r = calloc(1, sizeof *r);

	if (!r) {
		close(engine);
		close(listener);
		return;
	}
	*r = (struct relay){ .b = b, .next = b->first, .at = &b->first };
	if (b->first)
		b->first->at = &r->next;
	b->first = r;
	b->relays++;
	r->from = bufferevent_socket_new(b->base, engine, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	r->to = bufferevent_socket_new(b->base, listener, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!r->from)
		close(engine);
	if (!r->to)
		close(listener);
	if (!r->from || !r->to) {
		relay_free(r);
		return;
	}
	bufferevent_setcb(r->from, relay_read, NULL, relay_from_event, r);
	bufferevent_setcb(r->to, relay_to_read, relay_written, relay_to_event, r);
	bufferevent_setwatermark(r->from, EV_READ, 0, LOGS_HELD);
	bufferevent_enable(r->from, EV_READ);
	bufferevent_enable(r->to, EV_READ | EV_WRITE);
}

static bool tail_ok(const char *s)
{
	return !strcmp(s, "all") || (*s && strspn(s, "0123456789") == strlen(s));
}

// Without an answer the listener finds the stream at its end, and says that the engine gave none.
static void logs(struct broker *b, const struct ask_request *q, int fd)
{
	struct log_query how = { .since = q->since,
				 .until = q->until,
				 .follow = q->follow != 0,
				 .timestamps = q->timestamps != 0 };
	struct err e = { 0 };

	memcpy(how.tail, q->tail, sizeof how.tail);
	bool sound = !how.tail[sizeof how.tail - 1] && tail_ok(how.tail) &&
		     !q->container[sizeof q->container - 1] && log_name_ok(span_str(q->container));
	int engine = sound && b->here.app->public_logs && b->relays < BROKER_LOGS
			     ? b->here.logs(&b->here, q->container, &how, &e)
			     : -1;
	if (engine < 0 || evutil_make_socket_nonblocking(fd)) {
		if (engine >= 0)
			close(engine);
		close(fd);
		return;
	}
	relay_start(b, engine, fd);
}

static int write_file(const ProtobufCMessage *m, struct question *x)
{
	size_t n = protobuf_c_message_get_packed_size(m), at = 0;
	auto_free uint8_t *p = n <= ASK_ANSWER_MAX ? malloc(n + 1) : NULL;
	auto_close int fd = p ? memfd_create("answer", MFD_CLOEXEC) : -1;

	if (fd < 0)
		return err_set(&x->r.err, ERR_SYSTEM, "hand over an answer of %zu bytes", n);
	protobuf_c_message_pack(m, p);
	while (at < n) {
		ssize_t w = write(fd, p + at, n - at);
		if (w < 0 && errno != EINTR)
			return err_errno(&x->r.err, "hand over an answer");
		at += w > 0 ? (size_t)w : 0;
	}
	x->r.n = n;
	x->file = take_fd(&fd);
	return 0;
}

static void work(void *arg)
{
	struct question *x = arg;
	const struct outside *o = &x->b->here;
	struct err *e = &x->r.err;
	auto_arena *a = arena_new(ASK_ANSWER_MAX);
	union {
		ProtobufCMessage base;
		Guest__AppInfo info;
		Guest__GetQuoteResponse quote;
		Host__SystemInfo sysinfo;
	} m;
	int rc = -1;

	if (!a)
		rc = err_set(e, ERR_SYSTEM, "out of memory");
	else if (x->q.op == ASK_INFO) {
		guest__app_info__init(&m.info);
		rc = o->info(o, a, &m.info, e);
	} else if (x->q.op == ASK_APP_QUOTE) {
		guest__get_quote_response__init(&m.quote);
		rc = o->app_quote(o, x->q.algorithm, a, &m.quote, e);
	} else {
		host__system_info__init(&m.sysinfo);
		rc = o->sysinfo(o, a, &m.sysinfo, e);
	}
	if (!rc)
		rc = write_file(&m.base, x);
	if (rc && e->class == ERR_NONE)
		e->class = ERR_BUG;
}

static void done(void *arg, enum pool_end how)
{
	struct question *x = arg;

	x->b->waiting--;
	if (how != POOL_DONE)
		err_code(&x->r.err, ERR_AGAIN, "agent.busy", "too many questions from outside are waiting");
	// Who does not wait for an answer gets none.
	if (ask_send(x->fd, &x->r, sizeof x->r, x->file))
		log_debug("agent", "an answer was not taken");
	if (x->file >= 0)
		close(x->file);
	close(x->fd);
	free(x);
}

static void listed(struct containers_wait *w, const Host__ListContainersResponse *list, const struct err *e)
{
	struct question *x = (struct question *)w;

	if (!list)
		x->r.err = *e;
	if ((!list || write_file(&list->base, x)) && x->r.err.class == ERR_NONE)
		x->r.err.class = ERR_BUG;
	done(x, POOL_DONE);
}

static void answer(struct broker *b, const struct ask_request *q, int fd)
{
	struct question *x = calloc(1, sizeof *x);

	if (!x) {
		close(fd);
		return;
	}
	*x = (struct question){ .b = b, .q = *q, .fd = fd, .file = -1 };
	x->wait.done = listed;
	b->waiting++;
	if (b->waiting > BROKER_WAITING)
		done(x, POOL_FULL);
	else if (q->op == ASK_CONTAINERS)
		b->here.containers(&b->here, &x->wait);
	else if (q->op == ASK_SYSINFO && b->here.app->public_sysinfo) { // a few files of /proc: at once
		work(x);
		done(x, POOL_DONE);
	} else if (q->op == ASK_SYSINFO || (q->op == ASK_APP_QUOTE && q->algorithm[ASK_ALGORITHM_MAX - 1])) {
		err_set(&x->r.err, ERR_DENIED, "not for the external listener");
		done(x, POOL_DONE);
	} else if (pool_add(b->pool, work, done, x))
		done(x, POOL_FULL);
}

static void on_ask(evutil_socket_t channel, short what, void *arg)
{
	struct broker *b = arg;
	struct ask_request q;
	int fd;
	ssize_t n = ask_receive(channel, &q, sizeof q, &fd, MSG_DONTWAIT);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (n <= 0) {
		event_del(b->on_ask);
		b->gone(b->arg);
	} else if (n != (ssize_t)sizeof q || q.op >= ASK_OPS || fd < 0) {
		log_error("agent", "the external listener sent what is no question");
		if (fd >= 0)
			close(fd);
	} else if (q.op == ASK_LOGS)
		logs(b, &q, fd);
	else
		answer(b, &q, fd);
}

struct broker *broker_new(struct event_base *base, int fd, const struct outside *here,
			  void (*gone)(void *arg), void *arg)
{
	struct broker *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	*b = (struct broker){ .base = base, .here = *here, .gone = gone, .arg = arg };
	b->pool = pool_new(base, BROKER_THREADS);
	b->on_ask = event_new(base, fd, EV_READ | EV_PERSIST, on_ask, b);
	if (b->pool && b->on_ask && !event_add(b->on_ask, NULL))
		return b;
	broker_free(b);
	return NULL;
}

void broker_free(struct broker *b)
{
	if (!b)
		return;
	if (b->on_ask)
		event_free(b->on_ask);
	pool_free(b->pool); // answers what it held
	while (b->first)
		relay_free(b->first);
	free(b);
}
