#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/uio.h>
#include "rpc/http_conn.h"

static size_t waiting_out(struct http_conn *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

// The bytes of a line that ends in CRLF, or NULL: not here yet, or *bad.
static char *line(struct evbuffer *in, size_t *n, size_t max, bool *bad)
{
	struct evbuffer_ptr e = evbuffer_search_eol(in, NULL, NULL, EVBUFFER_EOL_LF);

	if (e.pos < 0) {
		*bad = evbuffer_get_length(in) > max;
		return NULL;
	}
	char *s = (size_t)e.pos > max || e.pos == 0 ? NULL : (char *)evbuffer_pullup(in, e.pos + 1);
	if (!s || s[e.pos - 1] != '\r') {
		*bad = true;
		return NULL;
	}
	*n = (size_t)e.pos - 1;
	return s;
}

static void call(struct http_conn *c)
{
	c->st = HTTP_HANDLER;
	http_deadline(c, c->s->handler_s);
	c->s->handler(c, c->s->arg); // may have answered at once
	if (c->st == HTTP_HANDLER || (c->st == HTTP_STREAM && !c->watched))
		bufferevent_disable(c->bev, EV_READ);
}

static bool body_room(struct http_conn *c, size_t want)
{
	if (want <= c->body_cap)
		return true;
	size_t cap = c->body_cap ? c->body_cap : 4096;
	while (cap < want)
		cap *= 2;
	uint8_t *p = realloc(c->body, cap);
	if (!p)
		return false;
	c->body = p;
	c->body_cap = cap;
	return true;
}

static void on_whole_head(struct http_conn *c, struct evbuffer *in, const uint8_t *b, size_t n)
{
	struct http_head *h = c->head = malloc(sizeof *h + n);

	c->begun = false;
	if (!h) {
		http_refuse(c, 503);
		return;
	}
	memcpy(h + 1, b, n);
	evbuffer_drain(in, n);
	int status = http_head_parse(h, h + 1, n);
	c->close = status || h->close || c->s->stopping;
	c->v10 = !status && h->v10;
	c->head_only = !status && h->method.n == 4 && !memcmp(h->method.p, "HEAD", 4);
	if (status) {
		free(h); // nothing in it may be believed
		c->head = NULL;
		http_refuse(c, status);
		return;
	}
	c->body_max = c->s->route ? c->s->route(c, h, c->s->arg) : c->s->body_max;
	if (c->body_max == HTTP_TOO_MANY) {
		http_refuse(c, 429);
		return;
	}
	if (c->body_max > c->s->body_max)
		c->body_max = c->s->body_max;
	if (!h->chunked && h->length > c->body_max) {
		http_refuse(c, 413);
		return;
	}
	if (!h->chunked && !h->length) {
		call(c);
		return;
	}
	if (!h->chunked && !body_room(c, (size_t)h->length)) {
		http_refuse(c, 503);
		return;
	}
	c->left = (size_t)h->length;
	c->st = h->chunked ? HTTP_CHUNK_SIZE : HTTP_BODY;
	if (h->expect && !evbuffer_get_length(in)) {
		static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
		http_put(c, &(struct iovec){ (char *)(uintptr_t)go, sizeof go - 1 }, 1);
	}
}

static void on_head(struct http_conn *c, struct evbuffer *in)
{
	size_t have = evbuffer_get_length(in), look = have < HTTP_HEAD_MAX ? have : HTTP_HEAD_MAX;

	if (!have)
		return;
	if (waiting_out(c)) { // the last reply first: that bounds the output. on_drained reads on
		bufferevent_disable(c->bev, EV_READ); // libevent calls us without end while the input is full
		return;
	}
	if (!c->begun) {
		c->begun = true;
		http_deadline(c, c->s->request_s);
	}
	const uint8_t *b = evbuffer_pullup(in, (ev_ssize_t)look), *end = memmem(b, look, "\r\n\r\n", 4);
	if (end)
		on_whole_head(c, in, b, (size_t)(end + 4 - b));
	else if (look == HTTP_HEAD_MAX)
		http_refuse(c, 431);
	else if (b[0] <= ' ' || b[0] >= 127)
		http_refuse(c, 400); // not HTTP at all: a TLS hello, blank lines
}

// Moves body bytes; true when all are here.
static bool take(struct http_conn *c, struct evbuffer *in)
{
	int n = evbuffer_remove(in, c->body + c->body_n, c->left);

	if (n > 0) {
		c->body_n += (size_t)n;
		c->left -= (size_t)n;
	}
	return !c->left;
}

// RFC 9112 7.1: 1 to 8 hex digits. Extensions are refused: nobody sends them.
static bool chunk_size(struct http_conn *c, const char *s, size_t n)
{
	uint64_t v = 0;

	if (!n || n > 8)
		return false;
	for (size_t i = 0; i < n; i++) {
		int d = s[i] >= '0' && s[i] <= '9'   ? s[i] - '0'
			: s[i] >= 'a' && s[i] <= 'f' ? s[i] - 'a' + 10
			: s[i] >= 'A' && s[i] <= 'F' ? s[i] - 'A' + 10
						     : -1;
		if (d < 0)
			return false;
		v = v << 4 | (unsigned)d;
	}
	c->left = (size_t)v;
	return true;
}

static void on_chunk_size(struct http_conn *c, struct evbuffer *in)
{
	bool bad = false;
	size_t n;
	const char *l = line(in, &n, 16, &bad);

	if (!l) {
		if (bad)
			http_refuse(c, 400);
		return;
	}
	if (!chunk_size(c, l, n)) {
		http_refuse(c, 400);
		return;
	}
	evbuffer_drain(in, n + 2);
	if (c->left > c->body_max - c->body_n)
		http_refuse(c, 413);
	else if (!body_room(c, c->body_n + c->left))
		http_refuse(c, 503);
	else
		c->st = c->left ? HTTP_CHUNK_DATA : HTTP_TRAILER;
}

// After a chunk, and after the last one, where trailers are refused: only the blank line may come.
static void on_blank_line(struct http_conn *c, struct evbuffer *in)
{
	bool bad = false;
	size_t n;
	const char *l = line(in, &n, 2, &bad);

	if (!l ? bad : n != 0) {
		http_refuse(c, 400);
		return;
	}
	if (!l)
		return;
	evbuffer_drain(in, 2);
	if (c->st == HTTP_TRAILER)
		call(c);
	else
		c->st = HTTP_CHUNK_SIZE;
}

static void step(struct http_conn *c, struct evbuffer *in)
{
	switch (c->st) {
	case HTTP_HEAD:
		on_head(c, in);
		break;
	case HTTP_BODY:
		if (take(c, in))
			call(c);
		break;
	case HTTP_CHUNK_SIZE:
		on_chunk_size(c, in);
		break;
	case HTTP_CHUNK_DATA:
		if (take(c, in))
			c->st = HTTP_CHUNK_END;
		break;
	case HTTP_CHUNK_END:
	case HTTP_TRAILER:
		on_blank_line(c, in);
		break;
	case HTTP_LINGER:
		evbuffer_drain(in, evbuffer_get_length(in));
		break;
	case HTTP_HANDLER:
	case HTTP_STREAM:
		break;
	}
}

void http_advance(struct http_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	c->in_advance = true;
	while (c->st != HTTP_HANDLER && c->st != HTTP_STREAM) {
		enum http_state was = c->st;
		size_t before = evbuffer_get_length(in);
		step(c, in);
		if (c->st == was && (was == HTTP_LINGER || evbuffer_get_length(in) == before))
			break;
	}
	c->in_advance = false;
	if (c->eof && c->st >= HTTP_BODY && c->st <= HTTP_TRAILER)
		http_refuse(c, 400); // comes back here, then c may be gone
	else if (c->eof && (c->st == HTTP_HEAD || c->st == HTTP_LINGER) && !waiting_out(c))
		http_destroy(c);
}
