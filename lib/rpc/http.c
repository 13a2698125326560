#include "rpc/http.h"

#include <arpa/inet.h>
#include <event2/bufferevent_ssl.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/vm_sockets.h>
#include "base/secret.h"
#include "rpc/http_conn.h"

enum { LINGER_S = 2, WRITE_S = 60, READ_AHEAD = 65536, ONE_RECORD = 16384 };

static int64_t now(struct http_conn *c)
{
	struct timeval t;

	event_base_gettimeofday_cached(c->s->base, &t);
	return t.tv_sec;
}

// The timer is moved only when it would come too late: a deadline that moves on costs nothing.
void http_deadline(struct http_conn *c, int seconds)
{
	int64_t t = now(c);

	c->deadline = t + seconds;
	if (c->armed && c->armed <= c->deadline)
		return;
	c->armed = c->deadline;
	event_add(c->timer, &(struct timeval){ seconds, 0 });
}

void http_destroy(struct http_conn *c)
{
	if (c->gone)
		c->gone(c->arg);
	if (c->st == HTTP_HANDLER && c->s->gone)
		c->s->gone(c, c->request, c->s->arg);
	if (c->release)
		c->release(c->data);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->s->conns--;
	event_free(c->timer);
	if (c->end)
		event_free(c->end);
	bufferevent_free(c->bev);
	free(c->body);
	free(c->head);
	free(c);
}

static size_t waiting(struct http_conn *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

// Straight to the socket if nothing waits: saves two epoll_ctl and a wake-up for each reply. Under TLS small
// pieces are joined, so that a reply is one record.
void http_put(struct http_conn *c, const struct iovec *v, int n)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	bool tls = http_ssl(c);
	size_t total = 0, sent = 0;

	for (int i = 0; i < n; i++)
		total += v[i].iov_len;
	if (!waiting(c) && !tls) {
		struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = (size_t)n };
		ssize_t w = sendmsg(bufferevent_getfd(c->bev), &m, MSG_NOSIGNAL);
		sent = w > 0 ? (size_t)w : 0; // an error shows again on the next write
	}
	uint8_t joined[ONE_RECORD];
	if (tls && total <= sizeof joined) {
		size_t at = 0;
		for (int i = 0; i < n; at += v[i++].iov_len)
			if (v[i].iov_len)
				memcpy(joined + at, v[i].iov_base, v[i].iov_len);
		evbuffer_add(out, joined, total);
		secret_wipe(joined, total); // replies hold keys
		return;
	}
	for (int i = 0; i < n; i++) {
		size_t skip = sent < v[i].iov_len ? sent : v[i].iov_len;
		sent -= skip;
		if (skip < v[i].iov_len)
			evbuffer_add(out, (const uint8_t *)v[i].iov_base + skip, v[i].iov_len - skip);
	}
}

static const char *phrase(int status)
{
	static const struct {
		int status;
		const char *phrase;
	} of[] = {
		{ 200, "OK" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 413, "Content Too Large" },
		{ 417, "Expectation Failed" },
		{ 421, "Misdirected Request" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < sizeof of / sizeof *of; i++)
		if (of[i].status == status)
			return of[i].phrase;
	return "Status";
}

// Our FIN, after close_notify under TLS (libevent does not send it).
static void close_out(struct http_conn *c)
{
	SSL *ssl = http_ssl(c);

	if (ssl)
		SSL_shutdown(ssl);
	shutdown(bufferevent_getfd(c->bev), SHUT_WR);
}

// The reply is wholly in the output.
static void finished(struct http_conn *c)
{
	bool last = c->close || c->eof;

	free(c->head);
	c->head = NULL;
	free(c->body);
	c->body = NULL;
	c->body_n = c->body_cap = 0;
	c->request = NULL;
	c->headers = NULL;
	if (c->gone)
		c->gone(c->arg);
	c->gone = NULL;
	c->more = NULL;
	c->watched = false;
	if (c->end)
		event_del(c->end);
	c->st = last ? HTTP_LINGER : HTTP_HEAD;
	http_deadline(c, waiting(c) ? WRITE_S : last ? LINGER_S : c->s->idle_s);
	if (last && !waiting(c))
		close_out(c);
	if (!c->in_advance) {
		bufferevent_enable(c->bev, EV_READ);
		http_advance(c);
	}
}

static int status_line(struct http_conn *c, char *out, size_t cap, int status, const char *type)
{
	return snprintf(out, cap, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n%s%s%s", status, phrase(status),
			type, c->s->headers ? c->s->headers : "", c->headers ? c->headers : "",
			c->close ? "Connection: close\r\n"
			: c->v10 ? "Connection: keep-alive\r\n"
				 : "");
}

void http_reply(struct http_conn *c, int status, const char *type, const void *data, size_t n)
{
	char h[2048];

	if (c->s->stopping)
		c->close = true;
	int k = status_line(c, h, sizeof h, status, type);
	k += snprintf(h + k, sizeof h - (size_t)k, "Content-Length: %zu\r\n\r\n", n);
	struct iovec v[] = { { h, (size_t)k }, { (void *)(uintptr_t)data, c->head_only ? 0 : n } };
	http_put(c, v, 2);
	finished(c);
}

void http_last(struct http_conn *c)
{
	c->close = true;
}

void http_header(struct http_conn *c, const char *lines)
{
	c->headers = lines;
}

void http_refuse(struct http_conn *c, int status)
{
	char j[160];
	bool large = status == 413;
	const char *text = large ? "payload too large" : phrase(status);
	const char *code = large ? "rpc.too_large" : status == 429 ? "rpc.rate_limited" : "rpc.http";

	c->close = true;
	if (large && c->s->too_large)
		status = c->s->too_large;
	if (c->head && c->s->refuse) {
		c->s->refuse(c, status, text, code, c->s->arg);
		return;
	}
	int n = snprintf(j, sizeof j, "{\n  \"error\": \"%s\",\n  \"code\": \"%s\"\n}", text, code);
	http_reply(c, status, "application/json", j, (size_t)n);
}

// Reading goes on, so that an end or an error is seen; what is read waits for the end of the stream.
void http_watch(struct http_conn *c, int seconds)
{
	const unsigned gone_ms = (unsigned)seconds * 1000;
	const int on = 1, idle = seconds / 2, tries = 3, every = seconds > 6 ? seconds / 6 : 1;
	int fd = bufferevent_getfd(c->bev);

	c->watched = true;
	if (c->peer.kind != HTTP_PEER_TCP)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone_ms, sizeof gone_ms); // of what was sent, too
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

void http_stream(struct http_conn *c, int status, const char *type, void (*more)(struct http_conn *, void *),
		 void (*gone)(void *), void *arg)
{
	char h[2048];

	if (c->v10)
		c->close = true; // no chunks: the end of the connection is the end of the body
	int k = status_line(c, h, sizeof h, status, type);
	k += snprintf(h + k, sizeof h - (size_t)k, "%s\r\n", c->v10 ? "" : "Transfer-Encoding: chunked\r\n");
	c->st = HTTP_STREAM;
	c->more = more;
	c->gone = gone;
	c->arg = arg;
	http_deadline(c, WRITE_S);
	http_put(c, &(struct iovec){ h, (size_t)k }, 1);
	if (c->head_only) {
		finished(c);
		return;
	}
	if (c->watched && !c->eof)
		bufferevent_enable(c->bev, EV_READ);
	http_wake(c);
}

bool http_peer_closed(const struct http_conn *c)
{
	return c->eof;
}

void http_wake(struct http_conn *c)
{
	bufferevent_trigger(c->bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
}

void http_write(struct http_conn *c, const void *data, size_t n)
{
	char h[24];
	int k = snprintf(h, sizeof h, "%zx\r\n", n);

	if (!n)
		return;
	http_deadline(c, WRITE_S);
	struct iovec v[] = { { h, c->v10 ? 0 : (size_t)k },
			     { (void *)(uintptr_t)data, n },
			     { "\r\n", c->v10 ? 0 : 2 } };
	http_put(c, v, 3);
	if (!waiting(c))
		http_wake(c);
}

void http_end(struct http_conn *c)
{
	if (!c->v10)
		http_put(c, &(struct iovec){ "0\r\n\r\n", 5 }, 1);
	finished(c);
}

static void on_read(struct bufferevent *b, void *a)
{
	struct http_conn *c = a;

	// libevent would call us without end while the input is full
	if (c->st == HTTP_STREAM && evbuffer_get_length(bufferevent_get_input(b)) >= READ_AHEAD)
		bufferevent_disable(b, EV_READ);
	http_advance(c);
}

static void on_drained(struct bufferevent *b, void *a)
{
	struct http_conn *c = a;

	(void)b;
	if (c->st == HTTP_STREAM) {
		if (c->more)
			c->more(c, c->arg);
		return;
	}
	if (c->st == HTTP_LINGER) {
		http_deadline(c, LINGER_S);
		close_out(c);
	} else if (c->st == HTTP_HEAD) {
		http_deadline(c, c->s->idle_s);
		bufferevent_enable(c->bev, EV_READ);
	}
	if (c->st == HTTP_HEAD || c->st == HTTP_LINGER)
		http_advance(c);
}

static void on_event(struct bufferevent *b, short what, void *a)
{
	struct http_conn *c = a;

	(void)b;
	if (what & BEV_EVENT_CONNECTED)
		return;
	if (what & BEV_EVENT_EOF && what & BEV_EVENT_READING) {
		c->eof = true;
		if (c->st != HTTP_HANDLER && c->st != HTTP_STREAM)
			http_advance(c);
		else if (c->watched)
			http_wake(c);
		return;
	}
	http_destroy(c);
}

static void on_timer(evutil_socket_t fd, short what, void *a)
{
	struct http_conn *c = a;
	int64_t t = now(c);

	(void)fd;
	(void)what;
	if (t >= c->deadline && c->st == HTTP_STREAM && !waiting(c))
		c->deadline = t + WRITE_S; // a stream that has nothing to say yet
	if (t >= c->deadline) {
		http_destroy(c);
		return;
	}
	c->armed = c->deadline;
	event_add(c->timer, &(struct timeval){ c->deadline - t, 0 });
}

void http_peer_of(int fd, struct http_peer *p)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_vm vm;
		struct sockaddr_storage room;
	} a = { 0 };
	socklen_t n = sizeof a;
	char ip[INET6_ADDRSTRLEN] = "?";

	*p = (struct http_peer){ .kind = HTTP_PEER_OTHER };
	snprintf(p->text, sizeof p->text, "unknown");
	if (getpeername(fd, &a.any, &n))
		return;
	if (a.any.sa_family == AF_INET || a.any.sa_family == AF_INET6) {
		bool six = a.any.sa_family == AF_INET6;
		inet_ntop(a.any.sa_family, six ? (void *)&a.in6.sin6_addr : (void *)&a.in.sin_addr, ip,
			  sizeof ip);
		p->kind = HTTP_PEER_TCP;
		bool mapped = six && IN6_IS_ADDR_V4MAPPED(&a.in6.sin6_addr);
		p->six = six && !mapped;
		memcpy(p->address,
		       mapped ? (void *)&a.in6.sin6_addr.s6_addr[12]
		       : six  ? (void *)&a.in6.sin6_addr
			      : (void *)&a.in.sin_addr,
		       p->six ? 16 : 4);
		p->port = ntohs(six ? a.in6.sin6_port : a.in.sin_port);
		snprintf(p->text, sizeof p->text, six ? "[%s]:%u" : "%s:%u", ip, p->port);
	} else if (a.any.sa_family == AF_VSOCK) {
		p->kind = HTTP_PEER_VSOCK;
		p->cid = a.vm.svm_cid;
		p->port = a.vm.svm_port;
		snprintf(p->text, sizeof p->text, "vsock:%u:%u", p->cid, p->port);
	} else if (a.any.sa_family == AF_UNIX) {
		struct ucred u;
		socklen_t len = sizeof u;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &len))
			return;
		p->kind = HTTP_PEER_UNIX;
		p->pid = (uint32_t)u.pid;
		p->uid = u.uid;
		p->gid = u.gid;
		snprintf(p->text, sizeof p->text, "unix:uid=%u,pid=%u", p->uid, p->pid);
	}
}

static struct bufferevent *buffers(struct http_server *s, int fd, SSL_CTX *tls)
{
	if (!tls)
		return bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	SSL *ssl = SSL_new(tls);
	struct bufferevent *b =
		ssl ? bufferevent_openssl_socket_new(s->base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
						     BEV_OPT_CLOSE_ON_FREE)
		    : NULL;
	if (!b)
		SSL_free(ssl);
	return b;
}

int http_adopt(struct http_server *s, int fd, SSL_CTX *tls)
{
	struct http_conn *c = s->conns < s->conns_max && !s->stopping ? calloc(1, sizeof *c) : NULL;

	if (!c) {
		close(fd);
		return -1;
	}
	c->s = s;
	http_peer_of(fd, &c->peer);
	c->bev = buffers(s, fd, tls);
	c->timer = c->bev ? evtimer_new(s->base, on_timer, c) : NULL;
	if (!c->timer) {
		if (c->bev)
			bufferevent_free(c->bev);
		else
			close(fd);
		free(c);
		return -1;
	}
	s->conns++;
	c->next = s->all;
	c->prev = &s->all;
	if (c->next)
		c->next->prev = &c->next;
	s->all = c;
	http_deadline(c, s->idle_s);
	bufferevent_setcb(c->bev, on_read, on_drained, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, READ_AHEAD);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	return 0;
}

void http_close_all(struct http_server *s)
{
	while (s->all)
		http_destroy(s->all);
}

void http_close_idle(struct http_server *s)
{
	for (struct http_conn *c = s->all, *next; c; c = next) {
		next = c->next;
		if (c->st == HTTP_HEAD && !c->begun && !waiting(c))
			http_destroy(c);
	}
}

const struct http_head *http_request(struct http_conn *c)
{
	return c->head;
}

struct span http_body(struct http_conn *c)
{
	return (struct span){ c->body, c->body_n };
}

SSL *http_ssl(struct http_conn *c)
{
	return bufferevent_openssl_get_ssl(c->bev);
}

const struct http_peer *http_peer(struct http_conn *c)
{
	return &c->peer;
}

void http_set_request(struct http_conn *c, void *data)
{
	c->request = data;
}

void http_set_data(struct http_conn *c, void *data, void (*release)(void *))
{
	if (c->release)
		c->release(c->data);
	c->data = data;
	c->release = release;
}

void *http_data(struct http_conn *c)
{
	return c->data;
}
