// http - a strict HTTP/1.1 server on libevent (RFC 9112 subset).
//
// Trusts nothing it reads: anything a second parser could read differently is refused and the connection
// closed. Bounds head, fields, body, time and connections. A peer that closes its sending side still gets its
// reply, then our FIN at once. docs: the accepted subset is written at http_head_parse.
#pragma once
#include <event2/event.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/codec/buf.h"

enum { HTTP_HEAD_MAX = 16384, HTTP_FIELDS_MAX = 100 };
#define HTTP_TOO_MANY SIZE_MAX

struct http_field {
	struct span name, value;
};

struct http_head {
	struct span method, path, query; // the query without '?'
	struct http_field field[HTTP_FIELDS_MAX];
	size_t fields;
	bool v10, chunked, close, keep, expect;
	uint64_t length; // of the body, when not chunked
};

// 0, or the status (400, 413, 417, 431, 501, 505) to refuse with. `b` holds a whole head, blank line
// included: token SP origin-form SP HTTP/1.0|1.1 CRLF, then `token ":" OWS value OWS CRLF`. One Host (none is
// fine in 1.0), one Content-Length of 1-18 digits, or one Transfer-Encoding that is exactly `chunked`
// and 1.1, never both.
int http_head_parse(struct http_head *h, const void *b, size_t n);
const struct span *http_field(const struct http_head *h, const char *name); // any case, NULL if absent

struct http_conn;

enum http_peer_kind { HTTP_PEER_OTHER, HTTP_PEER_TCP, HTTP_PEER_UNIX, HTTP_PEER_VSOCK };

struct http_peer {
	enum http_peer_kind kind;
	char text[64];          // "127.0.0.1:4711", "unix:uid=0,pid=7", "vsock:3:1024", for logs
	uint32_t pid, uid, gid; // unix
	uint32_t cid, port;     // vsock (port also tcp)
	uint8_t address[16];    // tcp: IPv6, or IPv4 in the first four bytes
	bool six;
};

struct http_server {
	struct event_base *base;
	size_t body_max;       // what `route` gives is capped by this
	int idle_s, request_s; // between requests; from the first byte of a request to its last
	int handler_s;         // for a handler that answers later
	int too_large;         // status for a body over its cap, 0: 413
	const char *headers;   // added to every reply: whole lines with CRLF, or NULL
	void *arg;
	// Called when the head is here, before the body: the body's cap for this request, or HTTP_TOO_MANY to
	// refuse it with 429. NULL: body_max.
	size_t (*route)(struct http_conn *, const struct http_head *, void *arg);
	// Called when the request is whole. Must lead to one http_reply or http_stream, now or later.
	void (*handler)(struct http_conn *, void *arg);
	// Answers a request that never reaches the handler although its head is sound (its body is too large
	// or badly framed); must call http_reply, which closes. NULL, or no sound head: a JSON body.
	void (*refuse)(struct http_conn *, int status, const char *text, const char *code, void *arg);
	// The connection is gone while a request was with the handler; the conn must not be touched again.
	void (*gone)(struct http_conn *, void *request_data, void *arg);
	size_t conns, conns_max;
	bool stopping; // every reply closes its connection
	struct http_conn *all;
};

void http_peer_of(int fd, struct http_peer *out);            // who is at the other end of a connected socket
int http_adopt(struct http_server *s, int fd, SSL_CTX *tls); // takes fd, which must be nonblocking
void http_close_all(struct http_server *s);                  // at the end of the process
void http_close_idle(struct http_server *s);                 // those without a request

const struct http_head *http_request(struct http_conn *c);
struct span http_body(struct http_conn *c); // contiguous; valid until the reply
SSL *http_ssl(struct http_conn *c);         // NULL on plain connections
const struct http_peer *http_peer(struct http_conn *c);

// One pointer for the request (given back to `gone`), one for the connection (freed with it).
void http_set_request(struct http_conn *c, void *data);
void http_set_data(struct http_conn *c, void *data, void (*release)(void *));
void *http_data(struct http_conn *c);

// For a handler that answers later: a peer that has closed its socket, and not only its sending side, ends
// the connection (`gone`) instead of being answered. Works where the kernel tells the two apart: unix
// sockets, resets.
void http_notice_end(struct http_conn *c);
// The reply to this request is the last on its connection.
void http_last(struct http_conn *c);
// Whole header lines with CRLF for this request's reply; the text must outlive it.
void http_header(struct http_conn *c, const char *lines);
// A whole reply. The connection may be gone afterwards.
void http_reply(struct http_conn *c, int status, const char *type, const void *data, size_t n);
// A body of unknown length: `more` runs each time the socket has taken everything; it calls http_write any
// number of times, or http_end, or nothing and later http_wake. `gone` runs once, however the stream ends.
void http_stream(struct http_conn *c, int status, const char *type, void (*more)(struct http_conn *, void *),
		 void (*gone)(void *), void *arg);
// For a stream that may be silent for long: `more` runs also when the peer has closed its side (which may be
// all of it), and a TCP peer that answers nothing at all for `seconds` is gone. Before http_stream.
void http_watch(struct http_conn *c, int seconds);
bool http_peer_closed(const struct http_conn *c);
void http_write(struct http_conn *c, const void *data, size_t n);
void http_wake(struct http_conn *c);
void http_end(struct http_conn *c);
