// http_conn - the connection of rpc/http, shared by its reading half (http_read.c) and its writing half
// (http.c).
#pragma once
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include "rpc/http.h"

enum http_state {
	HTTP_HEAD,
	HTTP_BODY,
	HTTP_CHUNK_SIZE,
	HTTP_CHUNK_DATA,
	HTTP_CHUNK_END,
	HTTP_TRAILER,
	HTTP_HANDLER, // the request is with the handler
	HTTP_STREAM,  // the reply is being written piece by piece
	HTTP_LINGER,  // our side is closed; what the peer still sends is dropped
};

struct http_conn {
	struct http_server *s;
	struct http_conn *next, **prev; // of the server
	struct bufferevent *bev;
	struct event *timer, *end; // end: of both directions, see http_notice_end
	int64_t deadline, armed;   // seconds; the timer is armed for `armed`, which may be before `deadline`
	enum http_state st;
	bool eof, close, head_only, v10, begun, in_advance;
	bool watched;           // the stream wants to know of the peer's end
	struct http_head *head; // and its bytes, in one block, only while a request lives
	uint8_t *body;
	size_t body_n, body_cap, body_max, left; // left: of the body or the chunk
	const char *headers;                     // of this reply, or NULL
	struct http_peer peer;
	void *request, *data;
	void (*release)(void *);
	void (*more)(struct http_conn *, void *);
	void (*gone)(void *);
	void *arg;
};

struct iovec;

void http_put(struct http_conn *c, const struct iovec *v, int n);
void http_refuse(struct http_conn *c, int status);
void http_deadline(struct http_conn *c, int seconds);
void http_destroy(struct http_conn *c);
void http_advance(struct http_conn *c); // may destroy c
