#include "service.h"

#include <errno.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "page.h"
#include "rpc/http.h"
#include "rpc/pool.h"
#include "rpc/server.h"

enum { CONNS_MAX = 256, IDLE_S = 15, REQUEST_S = 30, TICK_US = 50000 };

struct service {
	struct event_base *base;
	struct checker *checker;
	struct pool *pool;
	struct http_server http;
	struct evconnlistener *listener;
	struct event *again, *tick;
	size_t waiting, waiting_max; // verifications that wait or run
	uint32_t id;
	uint64_t stop_by;
	void (*stopped)(void *);
	void *stopped_arg;
};

struct job {
	struct service *s;
	struct http_conn *conn; // NULL when the asker has gone
	char id[12];
	uint8_t *body;
	size_t n;
	int rc;
	struct err err;
	struct sb out;
};

static void reply_error(struct http_conn *c, int status, const char *code, const char *text)
{
	struct sb b = { 0 };

	sb_str(&b, "{");
	sb_json_key(&b, "error");
	sb_json_str(&b, text);
	sb_json_key(&b, "code");
	sb_json_str(&b, code);
	sb_str(&b, "}");
	http_reply(c, status, "application/json", b.p, b.n);
	sb_free(&b);
}

// ---- POST /verify

static void work(void *arg)
{
	struct job *j = arg;
	bool valid;

	log_request(j->id);
	j->rc = check_body(j->s->checker, span_of(j->body, j->n), &j->out, &valid, &j->err);
	log_request(NULL);
}

static void done(void *arg, enum pool_end how)
{
	struct job *j = arg;

	(void)how; // the queue holds them all, and the pool ends after the connections
	j->s->waiting--;
	if (j->conn) {
		http_set_request(j->conn, NULL);
		if (j->rc)
			reply_error(j->conn, 400, j->err.code, j->err.text);
		else if (j->out.bad)
			reply_error(j->conn, 500, "verifier.memory", "out of memory");
		else
			http_reply(j->conn, 200, "application/json", j->out.p, j->out.n);
	}
	sb_free(&j->out);
	free(j->body);
	free(j);
}

static void verify(struct service *s, struct http_conn *c)
{
	struct span body = http_body(c);
	struct job *j = NULL;

	if (s->waiting >= s->waiting_max) {
		reply_error(c, 503, "verifier.busy", "too many verifications are waiting; try again");
		return;
	}
	j = calloc(1, sizeof *j);
	if (j && (j->body = malloc(body.n + 1))) {
		if (body.n)
			memcpy(j->body, body.p, body.n);
		j->s = s;
		j->conn = c;
		j->n = body.n;
		snprintf(j->id, sizeof j->id, "%08x", s->id++);
		s->waiting++;
		http_set_request(c, j);
		if (!pool_add(s->pool, work, done, j))
			return;
		s->waiting--;
		http_set_request(c, NULL);
	}
	if (j)
		free(j->body);
	free(j);
	reply_error(c, 503, "verifier.busy", "too many verifications are waiting; try again");
}

// The asker has gone: the work goes on, its answer is dropped.
static void on_gone(struct http_conn *c, void *request, void *arg)
{
	(void)c, (void)arg;
	if (request)
		((struct job *)request)->conn = NULL;
}

// ---- requests

static size_t on_route(struct http_conn *c, const struct http_head *h, void *arg)
{
	(void)c, (void)arg;
	return span_is(h->path, "/verify") ? REQUEST_MAX : 1024;
}

static void on_request(struct http_conn *c, void *arg)
{
	static const char health[] = "{\"status\":\"ok\",\"service\":\"dstack-verifier\"}";
	const struct http_head *h = http_request(c);
	bool get = span_is(h->method, "GET") || span_is(h->method, "HEAD");
	struct span page = verify_page();

	if (span_is(h->path, "/verify") && span_is(h->method, "POST"))
		verify(arg, c);
	else if (span_is(h->path, "/health") && get)
		http_reply(c, 200, "application/json", health, sizeof health - 1);
	else if (span_is(h->path, "/") && get)
		http_reply(c, 200, "text/html; charset=utf-8", page.p, page.n);
	else if (span_is(h->path, "/verify") || span_is(h->path, "/health") || span_is(h->path, "/"))
		reply_error(c, 405, "verifier.method", "this path has another method");
	else
		reply_error(c, 404, "verifier.path", "there are POST /verify, GET /health and GET /");
}

// ---- life

struct service *service_new(struct event_base *base, struct checker *k, const struct verifier_config *c,
			    struct err *e)
{
	struct service *s = calloc(1, sizeof *s);

	if (s) {
		s->base = base;
		s->checker = k;
		s->waiting_max = (size_t)(c->queue + c->workers);
		s->http = (struct http_server){
			.base = base,
			.body_max = REQUEST_MAX,
			.idle_s = IDLE_S,
			.request_s = REQUEST_S,
			.handler_s = (int)c->image_seconds + 120, // fetching included
			.conns_max = CONNS_MAX,
			.headers = "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n",
			.arg = s,
			.route = on_route,
			.handler = on_request,
			.gone = on_gone,
		};
		if (getrandom(&s->id, sizeof s->id, 0) < 0)
			s->id = (uint32_t)time_now_ms(); // ids only tell requests apart
		s->pool = pool_new(base, (unsigned)c->workers);
	}
	if (s && s->pool)
		return s;
	free(s);
	err_set(e, ERR_SYSTEM, "start worker threads");
	return NULL;
}

static void close_listener(struct service *s)
{
	if (s->listener)
		evconnlistener_free(s->listener);
	if (s->again)
		event_free(s->again);
	s->listener = NULL;
	s->again = NULL;
}

void service_free(struct service *s)
{
	if (!s)
		return;
	close_listener(s);
	http_close_all(&s->http); // their jobs go on without an asker
	pool_free(s->pool);
	if (s->tick)
		event_free(s->tick);
	free(s);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int n, void *arg)
{
	struct service *s = arg;

	(void)l, (void)sa, (void)n;
	if (http_adopt(&s->http, fd, NULL))
		log_warn("verifier", "connection refused: too many open=%zu", s->http.conns);
}

static void on_accept_error(struct evconnlistener *l, void *arg)
{
	struct service *s = arg;

	log_warn("verifier", "accept failed, again in a second reason=\"%s\"", strerror(errno));
	evconnlistener_disable(l);
	event_add(s->again, &(struct timeval){ 1, 0 });
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	evconnlistener_enable(((struct service *)arg)->listener);
}

int service_listen(struct service *s, const char *address, struct err *e)
{
	int fd = rpc_socket(address, 0, e);

	if (fd < 0)
		return -1;
	s->again = evtimer_new(s->base, on_again, s);
	if (s->again)
		s->listener = evconnlistener_new(s->base, on_accept, s,
						 LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!s->listener) {
		close(fd);
		return err_set(e, ERR_SYSTEM, "listen on %s: out of memory", address);
	}
	evconnlistener_set_error_cb(s->listener, on_accept_error);
	return 0;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct service *s = arg;

	(void)fd, (void)what;
	http_close_idle(&s->http);
	if ((s->http.conns || s->waiting) && time_mono_ms() < s->stop_by)
		event_add(s->tick, &(struct timeval){ 0, TICK_US });
	else
		s->stopped(s->stopped_arg);
}

void service_stop(struct service *s, int seconds, void (*stopped)(void *), void *arg)
{
	close_listener(s);
	s->http.stopping = true;
	s->stop_by = time_mono_ms() + (uint64_t)seconds * 1000;
	s->stopped = stopped;
	s->stopped_arg = arg;
	if (!s->tick)
		s->tick = evtimer_new(s->base, on_tick, s);
	if (s->tick)
		event_active(s->tick, EV_TIMEOUT, 0);
	else
		stopped(arg);
}
