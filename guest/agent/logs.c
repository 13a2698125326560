#include "logs.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "logline.h"

enum { HEAD_MAX = 8192, AT_ONCE = 16384, OUT_MAX = 3 << 20 };

// One reader: from the request until its connection is gone.
struct reader {
	struct logs *l;
	struct http_conn *conn;
	struct bufferevent *engine; // NULL when done with
	struct log_query how;
	struct log_decoder decoder;
	char name[LOG_NAME_MAX + 1];
	bool begun; // our 200 is out
	bool over;  // the engine has said all
};

static void leave(struct reader *r)
{
	if (r->engine) {
		bufferevent_free(r->engine);
		r->engine = NULL;
		r->l->readers--;
	}
}

static void on_gone(void *arg)
{
	leave(arg);
}

static void release(void *arg)
{
	struct reader *r = arg;

	leave(r);
	log_free(&r->decoder);
	free(r);
}

static void refuse(struct http_conn *c, int status, const char *code, const char *text)
{
	auto_sb b = { 0 };

	sb_str(&b, "{\"error\":");
	sb_json_str(&b, text);
	sb_fmt(&b, ",\"code\":\"%s\"}\n", code);
	http_reply(c, status, "application/json", b.bad ? "" : b.p, b.bad ? 0 : b.n);
}

// A failure after the 200 is the last line of the body.
static void fail(struct reader *r, int status, const char *code, const char *text)
{
	auto_sb b = { 0 };

	if (status != 404) // which is the asker's affair
		log_warn("agent", "logs: %s code=%s container=%s", text, code, r->name);
	leave(r);
	if (!r->begun) {
		refuse(r->conn, status, code, text);
		return;
	}
	sb_str(&b, "{\"error\":");
	sb_json_str(&b, text);
	sb_fmt(&b, ",\"code\":\"%s\"}\n", code);
	if (!b.bad)
		http_write(r->conn, b.p, b.n);
	http_end(r->conn);
}

// What the engine has sent, as far as the reader has room: more is read when that has gone out.
static void pump(struct reader *r)
{
	struct evbuffer *in = bufferevent_get_input(r->engine);
	auto_sb out = { .max = OUT_MAX };
	struct err e = { 0 };
	int rc = 0;

	for (size_t n; !rc && !out.n && (n = evbuffer_get_contiguous_space(in));) {
		n = n < AT_ONCE ? n : AT_ONCE;
		rc = log_feed(&r->decoder, evbuffer_pullup(in, (ev_ssize_t)n), n, &out, &e);
		evbuffer_drain(in, n);
	}
	bool end = !rc && r->over && !evbuffer_get_length(in);
	if (end)
		rc = log_end(&r->decoder, &out, &e);
	if (out.n && !out.bad) {
		bufferevent_disable(r->engine, EV_READ);
		http_write(r->conn, out.p, out.n);
	}
	if (rc)
		fail(r, 502, e.code[0] ? e.code : "agent.engine", e.text);
	else if (end) {
		leave(r);
		http_end(r->conn);
	}
}

static void more(struct http_conn *c, void *arg)
{
	struct reader *r = arg;

	(void)c;
	if (!r->engine)
		return;
	if (!r->over)
		bufferevent_enable(r->engine, EV_READ);
	pump(r);
}

static void begin(struct reader *r)
{
	static const char type[] = "text/plain; charset=utf-8";

	r->begun = true;
	bufferevent_set_timeouts(r->engine, &(struct timeval){ r->l->silence_s, 0 }, NULL);
	http_stream(r->conn, 200, type, more, on_gone, r);
}

// The engine's head: HTTP/1.0 was asked, so the body ends with the connection.
static void head(struct reader *r)
{
	struct evbuffer *in = bufferevent_get_input(r->engine);
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	char h[HEAD_MAX + 1];

	if (end.pos < 0 || end.pos > HEAD_MAX - 4) {
		if (r->over || evbuffer_get_length(in) > HEAD_MAX)
			fail(r, 502, "agent.engine", "the container engine sent no answer");
		return;
	}
	size_t n = (size_t)end.pos + 4;
	evbuffer_remove(in, h, n);
	h[n] = 0;
	bool http = n > 13 && (str_starts(h, "HTTP/1.0 ") || str_starts(h, "HTTP/1.1 ")) && h[12] == ' ';
	if (http && !memcmp(h + 9, "404", 3))
		fail(r, 404, "agent.no_container", "no such container");
	else if (!http || memcmp(h + 9, "200", 3) || strcasestr(h, "\ntransfer-encoding:"))
		fail(r, 502, "agent.engine", "the container engine did not give the log");
	else
		begin(r);
}

static void on_read(struct bufferevent *b, void *arg)
{
	struct reader *r = arg;

	(void)b;
	if (r->begun)
		pump(r);
	else
		head(r);
}

static void on_event(struct bufferevent *b, short what, void *arg)
{
	struct reader *r = arg;

	(void)b;
	if (what & BEV_EVENT_CONNECTED)
		return;
	r->over = true;
	if (what & BEV_EVENT_TIMEOUT && r->begun) { // silence: the end, upstream's way
		leave(r);
		http_end(r->conn);
	} else if (what & (BEV_EVENT_TIMEOUT | BEV_EVENT_ERROR))
		fail(r, 502, "agent.engine",
		     what & BEV_EVENT_TIMEOUT ? "the container engine does not answer"
					      : "the container engine cannot be reached");
	else
		on_read(b, r);
}

static int ask(struct reader *r)
{
	const struct log_query *q = &r->how;
	struct sockaddr_un u = { .sun_family = AF_UNIX };
	const char *path = r->l->side->engine;

	if (!*path || strlen(path) >= sizeof u.sun_path)
		return -1;
	memcpy(u.sun_path, path, strlen(path));
	r->engine = bufferevent_socket_new(r->l->base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!r->engine)
		return -1;
	r->l->readers++;
	bufferevent_setcb(r->engine, on_read, NULL, on_event, r);
	bufferevent_setwatermark(r->engine, EV_READ, 0, AT_ONCE);
	bufferevent_set_timeouts(r->engine, &(struct timeval){ r->l->answer_s, 0 },
				 &(struct timeval){ r->l->answer_s, 0 });
	struct evbuffer *out = bufferevent_get_output(r->engine);
	evbuffer_add_printf(out, "GET /containers/%s/logs?stdout=true&stderr=true&tail=%s", r->name, q->tail);
	evbuffer_add_printf(out, "&follow=%s&timestamps=%s", q->follow ? "true" : "false",
			    q->timestamps ? "true" : "false");
	if (q->since)
		evbuffer_add_printf(out, "&since=%" PRIu64, q->since);
	if (q->until)
		evbuffer_add_printf(out, "&until=%" PRIu64, q->until);
	evbuffer_add_printf(out, " HTTP/1.0\r\nHost: engine\r\n\r\n");
	if (bufferevent_socket_connect(r->engine, (void *)&u, sizeof u))
		return -1;
	return bufferevent_enable(r->engine, EV_READ | EV_WRITE);
}

static void answer(struct http_conn *c, void *arg)
{
	struct logs *l = arg;
	const struct http_head *h = http_request(c);
	const size_t skip = strlen("/logs/");
	struct span name = { h->path.p + skip, h->path.n - skip };
	struct log_query how;
	struct err e = { 0 };

	http_last(c);
	if (!log_name_ok(name)) {
		refuse(c, 400, "agent.container", "Invalid container name");
		return;
	}
	if (log_query_parse(h->query, time_now(), &how, &e)) {
		refuse(c, 400, e.code, e.text);
		return;
	}
	if (l->readers >= l->readers_max) {
		refuse(c, 503, "agent.logs_busy", "too many readers of logs");
		return;
	}
	struct reader *r = calloc(1, sizeof *r);
	if (!r) {
		refuse(c, 503, "agent.logs_busy", "out of memory");
		return;
	}
	r->l = l;
	r->conn = c;
	r->how = how;
	r->decoder.how = &r->how;
	memcpy(r->name, name.p, name.n);
	http_set_data(c, r, release);
	if (ask(r))
		fail(r, 502, "agent.engine", "the container engine cannot be reached");
}

int logs_mount(struct rpc_server *s, struct event_base *base, struct logs *l, const struct guest_side *side)
{
	*l = (struct logs){ .side = side,
			    .base = base,
			    .readers_max = LOGS_READERS,
			    .answer_s = LOGS_ANSWER_S,
			    .silence_s = LOGS_SILENCE_S };
	return side->agent->app.public_logs ? rpc_server_raw(s, "/logs/*", answer, l) : 0;
}
