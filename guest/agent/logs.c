#include "logs.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "engine.h"
#include "logline.h"

enum { AT_ONCE = 16384, OUT_MAX = 3 << 20, GONE_S = 20, CLOSED_S = 1 };

// One reader: from the request until its connection is gone.
struct reader {
	struct logs *l;
	struct reader *next, **prev; // of those that have a place
	struct http_conn *conn;
	struct bufferevent *engine; // NULL when done with, and so is the place
	char address[LOGS_ADDRESS];
	struct log_query how;
	struct log_decoder decoder;
	char name[LOG_NAME_MAX + 1];
	bool begun;  // our 200 is out
	bool over;   // the engine has said all
	bool ending; // the asker has closed its side
};

static void leave(struct reader *r)
{
	if (r->engine) {
		bufferevent_free(r->engine);
		r->engine = NULL;
		r->l->readers--;
		*r->prev = r->next;
		if (r->next)
			r->next->prev = r->prev;
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

	if (!r->engine)
		return;
	if (r->how.follow && http_peer_closed(c) &&
	    !r->ending) { // perhaps only its side: it gets what there is
		r->ending = true;
		bufferevent_set_timeouts(r->engine, &(struct timeval){ CLOSED_S, 0 }, NULL);
	}
	if (!r->over)
		bufferevent_enable(r->engine, EV_READ);
	pump(r);
}

static void begin(struct reader *r)
{
	static const char type[] = "text/plain; charset=utf-8";

	r->begun = true;
	bufferevent_set_timeouts(r->engine, &(struct timeval){ r->l->silence_s, 0 }, NULL);
	http_watch(r->conn, GONE_S);
	http_stream(r->conn, 200, type, more, on_gone, r);
}

static void head(struct reader *r)
{
	struct engine_head h;
	int rc = engine_head(bufferevent_get_input(r->engine), r->over, &h);

	if (rc < 0)
		fail(r, 502, "agent.engine", "the container engine sent no answer");
	else if (rc && h.status == 404)
		fail(r, 404, "agent.no_container", "no such container");
	else if (rc && h.status != 200)
		fail(r, 502, "agent.engine", "the container engine did not give the log");
	else if (rc)
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

static void ask(struct reader *r)
{
	const struct timeval answer = { r->l->answer_s, 0 };
	struct err e = { 0 };
	int fd = r->l->outside->logs(r->l->outside, r->name, &r->how, &e);

	r->engine = fd < 0 ? NULL : engine_get(r->l->base, fd, NULL, on_read, on_event, r);
	if (!r->engine) {
		fail(r, 502, "agent.engine", "the container engine cannot be reached");
		return;
	}
	r->l->readers++;
	r->next = r->l->all;
	r->prev = &r->l->all;
	if (r->next)
		r->next->prev = &r->next;
	r->l->all = r;
	bufferevent_setwatermark(r->engine, EV_READ, 0, AT_ONCE);
	bufferevent_set_timeouts(r->engine, &answer, &answer);
}

void logs_address(const struct http_peer *p, char out[static LOGS_ADDRESS])
{
	const char *colon = p->kind == HTTP_PEER_TCP ? strrchr(p->text, ':') : NULL;
	uint8_t six[16];

	snprintf(out, LOGS_ADDRESS, "%.*s", (int)(colon ? colon - p->text : (ptrdiff_t)strcspn(p->text, ",")),
		 p->text);
	if (out[0] != '[')
		return;
	out[strlen(out) - 1] = 0;
	if (inet_pton(AF_INET6, out + 1, six) == 1) { // who has one has its whole /64
		memset(six + 8, 0, 8);
		inet_ntop(AF_INET6, six, out, LOGS_ADDRESS);
	}
}

// Why there is no place for who comes from `address`, or NULL.
static const char *no_place(const struct logs *l, const char *address)
{
	unsigned here = 0;

	for (const struct reader *r = l->all; r; r = r->next)
		here += !strcmp(r->address, address);
	return l->readers >= l->readers_max ? "too many readers of logs"
	       : here >= l->address_max     ? "too many readers of logs from your address"
					    : NULL;
}

static void answer(struct http_conn *c, void *arg)
{
	struct logs *l = arg;
	const struct http_head *h = http_request(c);
	const size_t skip = strlen("/logs/");
	struct span name = { h->path.p + skip, h->path.n - skip };
	char address[LOGS_ADDRESS];
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
	logs_address(http_peer(c), address);
	const char *full = no_place(l, address);
	struct reader *r = full ? NULL : calloc(1, sizeof *r);
	if (!r) {
		refuse(c, 503, "agent.logs_busy", full ? full : "out of memory");
		return;
	}
	r->l = l;
	r->conn = c;
	r->how = how;
	r->decoder.how = &r->how;
	memcpy(r->name, name.p, name.n);
	memcpy(r->address, address, sizeof address);
	http_set_data(c, r, release);
	ask(r);
}

int logs_mount(struct rpc_server *s, struct event_base *base, struct logs *l, const struct outside *outside)
{
	*l = (struct logs){ .outside = outside,
			    .base = base,
			    .readers_max = LOGS_READERS,
			    .address_max = LOGS_PER_ADDRESS,
			    .answer_s = LOGS_ANSWER_S,
			    .silence_s = LOGS_SILENCE_S };
	return outside->app->public_logs ? rpc_server_raw(s, "/logs/*", answer, l) : 0;
}
