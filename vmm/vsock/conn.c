#include "conn.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REFUSALS_MAX = 64, IOV_MAX_HERE = 64, WAIT_S = 10, FIRST_HOST_PORT = 1u << 30 };

// What a connection owes the guest, sent in this order.
enum { OWE_REQUEST = 1, OWE_RESPONSE = 2, OWE_CREDIT = 4, OWE_SHUTDOWN = 8, OWE_RST = 16 };

struct conn {
	struct vsock *owner;
	struct conn *next;  // all connections
	struct conn *queue; // next in the output queue
	uint32_t host_port, guest_port;
	int fd;
	unsigned owe;
	bool queued, open, readable;
	bool host_eof, guest_eof, guest_deaf; // no more bytes from host / from guest / wanted by guest
	uint32_t sent, peer_fwd, peer_alloc;  // credit towards the guest
	uint32_t fwd, fwd_told;               // credit towards the host side
	uint8_t *held;                        // bytes from the guest the host side has not taken yet
	size_t held_at, held_n;
	struct event *rd, *wr, *timer;
};

struct vsock {
	struct event_base *base;
	struct vsock_ops ops;
	uint64_t cid;
	struct conn *all, *first, *last; // every connection; output queue
	size_t count;
	uint32_t next_port;
	struct vpkt refusals[REFUSALS_MAX];
	size_t refusal_at, refusal_n;
};

static void enqueue(struct conn *c)
{
	struct vsock *v = c->owner;

	if (!c->queued) {
		c->queued = true;
		c->queue = NULL;
		if (v->last)
			v->last->queue = c;
		else
			v->first = c;
		v->last = c;
	}
}

static struct conn *dequeue(struct vsock *v)
{
	struct conn *c = v->first;

	if (c) {
		v->first = c->queue;
		if (!v->first)
			v->last = NULL;
		c->queued = false;
	}
	return c;
}

static void owe(struct conn *c, unsigned what)
{
	c->owe |= what;
	enqueue(c);
	c->owner->ops.output(c->owner->ops.arg);
}

static void conn_free(struct conn *c)
{
	struct vsock *v = c->owner;

	for (struct conn **p = &v->all; *p; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	if (c->queued) {
		struct conn *was = v->first;

		v->first = v->last = NULL;
		while (was) {
			struct conn *rest = was->queue;

			was->queued = false;
			if (was != c)
				enqueue(was);
			was = rest;
		}
	}
	event_free(c->rd);
	event_free(c->wr);
	event_free(c->timer);
	close(c->fd);
	free(c->held);
	free(c);
	v->count--;
}

// End a connection with a reset, which frees it once sent. Nothing moves on it any more.
static void conn_reset(struct conn *c)
{
	event_del(c->rd);
	event_del(c->wr);
	event_del(c->timer);
	c->readable = false;
	c->open = false;
	c->owe = 0;
	owe(c, OWE_RST);
}

static uint32_t credit(const struct conn *c)
{
	uint32_t flying = c->sent - c->peer_fwd;

	return flying < c->peer_alloc ? c->peer_alloc - flying : 0;
}

static void took(struct conn *c, size_t n)
{
	c->fwd += (uint32_t)n;
	if (c->open && c->fwd - c->fwd_told >= VSOCK_WINDOW / 2)
		owe(c, OWE_CREDIT);
}

// All bytes of the guest have reached the host side: pass its end of file on, and close if both are done.
static void drained(struct conn *c)
{
	if (!c->guest_eof || c->held_n)
		return;
	if (c->guest_deaf || c->host_eof)
		conn_reset(c);
	else
		shutdown(c->fd, SHUT_WR);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	ssize_t n = send(fd, c->held + c->held_at, c->held_n, MSG_NOSIGNAL);

	(void)what;
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		conn_reset(c);
		return;
	}
	if (n > 0) {
		c->held_at += (size_t)n;
		c->held_n -= (size_t)n;
		took(c, (size_t)n);
	}
	if (c->held_n) {
		event_add(c->wr, NULL);
		return;
	}
	free(c->held);
	c->held = NULL;
	c->held_at = 0;
	drained(c);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd, (void)what;
	c->readable = true;
	enqueue(c);
	c->owner->ops.output(c->owner->ops.arg);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	conn_reset(arg);
}

static struct conn *conn_new(struct vsock *v, int fd, uint32_t host_port, uint32_t guest_port)
{
	struct conn *c = v->count < VSOCK_CONNS_MAX ? calloc(1, sizeof *c) : NULL;

	if (!c)
		return NULL;
	evutil_make_socket_nonblocking(fd);
	*c = (struct conn){
		.owner = v, .next = v->all, .host_port = host_port, .guest_port = guest_port, .fd = fd
	};
	c->rd = event_new(v->base, fd, EV_READ, on_readable, c);
	c->wr = event_new(v->base, fd, EV_WRITE, on_writable, c);
	c->timer = evtimer_new(v->base, on_timeout, c);
	if (!c->rd || !c->wr || !c->timer) {
		if (c->rd)
			event_free(c->rd);
		if (c->wr)
			event_free(c->wr);
		if (c->timer)
			event_free(c->timer);
		free(c);
		return NULL;
	}
	v->all = c;
	v->count++;
	return c;
}

static void wait_at_most(struct conn *c, int seconds)
{
	struct timeval tv = { .tv_sec = seconds };

	event_add(c->timer, &tv);
}

static struct conn *lookup(const struct vsock *v, const struct vpkt *h)
{
	for (struct conn *c = v->all; c; c = c->next)
		if (c->host_port == h->dst_port && c->guest_port == h->src_port)
			return c;
	return NULL;
}

// A reset for a connection that is not in the table. When too many wait the oldest rule holds: new ones
// are dropped, the guest's own time-outs do the rest.
static void refuse(struct vsock *v, const struct vpkt *h)
{
	if (h->op == VPKT_RST || v->refusal_n == REFUSALS_MAX)
		return;
	v->refusals[(v->refusal_at + v->refusal_n++) % REFUSALS_MAX] =
		(struct vpkt){ .src_cid = VSOCK_HOST_CID,
			       .dst_cid = v->cid,
			       .src_port = h->dst_port,
			       .dst_port = h->src_port,
			       .type = VPKT_STREAM,
			       .op = VPKT_RST };
	v->ops.output(v->ops.arg);
}

static void on_request(struct vsock *v, const struct vpkt *h)
{
	int fd = v->count < VSOCK_CONNS_MAX ? v->ops.dial(v->ops.arg, h->dst_port) : -1;
	struct conn *c = fd >= 0 ? conn_new(v, fd, h->dst_port, h->src_port) : NULL;

	if (!c) {
		if (fd >= 0)
			close(fd);
		refuse(v, h);
		return;
	}
	c->open = true;
	c->peer_alloc = h->buf_alloc;
	c->peer_fwd = h->fwd_cnt;
	event_add(c->rd, NULL);
	owe(c, OWE_RESPONSE);
}

static void on_response(struct conn *c)
{
	char line[32];
	int n = snprintf(line, sizeof line, "OK %u\n", c->guest_port);

	if (c->open || !(c->host_port >= FIRST_HOST_PORT)) {
		conn_reset(c);
		return;
	}
	c->open = true;
	event_del(c->timer);
	if (send(c->fd, line, (size_t)n, MSG_NOSIGNAL) != n) {
		conn_reset(c);
		return;
	}
	event_add(c->rd, NULL);
}

static void on_data(struct conn *c, const uint8_t *p, size_t n)
{
	if (!c->open || c->guest_eof || c->held_n + n > VSOCK_WINDOW) {
		conn_reset(c);
		return;
	}
	if (c->held_n == 0) {
		ssize_t k = send(c->fd, p, n, MSG_NOSIGNAL);

		if (k < 0 && errno != EAGAIN && errno != EINTR) {
			conn_reset(c);
			return;
		}
		if (k > 0) {
			p += k;
			n -= (size_t)k;
			took(c, (size_t)k);
		}
	}
	if (n == 0)
		return;
	if (!c->held && !(c->held = malloc(VSOCK_WINDOW))) {
		conn_reset(c);
		return;
	}
	if (c->held_at) {
		memmove(c->held, c->held + c->held_at, c->held_n);
		c->held_at = 0;
	}
	memcpy(c->held + c->held_n, p, n);
	c->held_n += n;
	event_add(c->wr, NULL);
}

static void on_shutdown(struct conn *c, uint32_t flags)
{
	if (flags & VPKT_SHUT_RCV) {
		c->guest_deaf = true;
		c->readable = false;
		event_del(c->rd);
	}
	if (flags & VPKT_SHUT_SEND)
		c->guest_eof = true;
	if (c->guest_eof && c->guest_deaf)
		wait_at_most(c, WAIT_S); // for the host side to take what is held
	drained(c);
}

void vsock_input(struct vsock *v, const struct vpkt *h, const void *payload, size_t n)
{
	if (h->type != VPKT_STREAM || h->dst_cid != VSOCK_HOST_CID || h->src_cid != v->cid || h->len != n ||
	    n > VSOCK_PACKET_MAX) {
		refuse(v, h);
		return;
	}
	struct conn *c = lookup(v, h);

	if (!c) {
		if (h->op == VPKT_REQUEST)
			on_request(v, h);
		else
			refuse(v, h);
		return;
	}
	if (h->op == VPKT_RST) {
		conn_free(c);
		return;
	}
	if (c->owe & OWE_RST)
		return; // already over, the guest does not know yet
	c->peer_alloc = h->buf_alloc;
	c->peer_fwd = h->fwd_cnt;
	switch (h->op) {
	case VPKT_RESPONSE:
		on_response(c);
		break;
	case VPKT_RW:
		on_data(c, payload, n);
		break;
	case VPKT_SHUTDOWN:
		on_shutdown(c, h->flags);
		break;
	case VPKT_CREDIT_UPDATE:
		break;
	case VPKT_CREDIT_REQUEST:
		owe(c, OWE_CREDIT);
		return;
	default: // a second request, or an operation that does not exist
		conn_reset(c);
		return;
	}
	// A freed connection cannot come here: only a reset from the guest or one sent to it frees.
	if (c->readable && credit(c)) {
		enqueue(c);
		v->ops.output(v->ops.arg);
	}
}

static size_t iov_copy(const struct iovec *iov, size_t n, const uint8_t *from, size_t len)
{
	size_t done = 0;

	for (size_t i = 0; i < n && done < len; i++) {
		size_t k = iov[i].iov_len < len - done ? iov[i].iov_len : len - done;

		memcpy(iov[i].iov_base, from + done, k);
		done += k;
	}
	return done;
}

static size_t emit(const struct iovec *iov, size_t n, const struct vpkt *h)
{
	uint8_t head[VPKT_HEAD];

	vpkt_write(head, h);
	return iov_copy(iov, n, head, sizeof head);
}

static struct vpkt head_for(struct conn *c, uint16_t op)
{
	c->fwd_told = c->fwd;
	return (struct vpkt){ .src_cid = VSOCK_HOST_CID,
			      .dst_cid = c->owner->cid,
			      .src_port = c->host_port,
			      .dst_port = c->guest_port,
			      .type = VPKT_STREAM,
			      .op = op,
			      .buf_alloc = VSOCK_WINDOW,
			      .fwd_cnt = c->fwd };
}

// The most pressing thing the connection owes; an RST frees it.
static size_t pay(struct conn *c, const struct iovec *iov, size_t n)
{
	static const struct {
		unsigned owed;
		uint16_t op;
	} order[] = { { OWE_RST, VPKT_RST },
		      { OWE_REQUEST, VPKT_REQUEST },
		      { OWE_RESPONSE, VPKT_RESPONSE },
		      { OWE_CREDIT, VPKT_CREDIT_UPDATE },
		      { OWE_SHUTDOWN, VPKT_SHUTDOWN } };

	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		if (!(c->owe & order[i].owed))
			continue;
		struct vpkt h = head_for(c, order[i].op);

		if (order[i].op == VPKT_SHUTDOWN)
			h.flags = VPKT_SHUT_SEND;
		c->owe &= ~order[i].owed;
		size_t k = emit(iov, n, &h);
		if (order[i].op == VPKT_RST)
			conn_free(c);
		else if (c->owe || c->readable)
			enqueue(c);
		return k;
	}
	return 0;
}

// The part of `iov` behind the packet header, at most `max` bytes of it.
static size_t iov_behind(const struct iovec *iov, size_t n, size_t max, struct iovec out[static IOV_MAX_HERE])
{
	size_t skip = VPKT_HEAD, k = 0;

	for (size_t i = 0; i < n && k < IOV_MAX_HERE && max; i++) {
		size_t cut = skip < iov[i].iov_len ? skip : iov[i].iov_len;
		size_t len = iov[i].iov_len - cut;

		skip -= cut;
		if (len > max)
			len = max;
		if (len)
			out[k++] = (struct iovec){ (uint8_t *)iov[i].iov_base + cut, len };
		max -= len;
	}
	return k;
}

// Read from the host side straight into the guest's buffer: the packet's size, or 0.
static size_t pump(struct conn *c, const struct iovec *iov, size_t n)
{
	struct iovec body[IOV_MAX_HERE];
	size_t max = credit(c);

	if (max == 0 || c->guest_deaf)
		return 0; // stays readable; the guest's next packet brings credit
	size_t k = iov_behind(iov, n, max < VSOCK_PACKET_MAX ? max : VSOCK_PACKET_MAX, body);
	if (k == 0)
		return 0;
	ssize_t got = readv(c->fd, body, (int)k);
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
		c->readable = false;
		event_add(c->rd, NULL);
		return 0;
	}
	if (got <= 0) {
		c->readable = false;
		c->host_eof = true;
		if (got < 0 || (c->guest_eof && !c->held_n))
			conn_reset(c);
		else
			owe(c, OWE_SHUTDOWN);
		return 0;
	}
	struct vpkt h = head_for(c, VPKT_RW);

	h.len = (uint32_t)got;
	c->sent += h.len;
	enqueue(c);
	return emit(iov, n, &h) + h.len;
}

size_t vsock_output(struct vsock *v, const struct iovec *iov, size_t n)
{
	size_t room = 0;

	for (size_t i = 0; i < n; i++)
		room += iov[i].iov_len;
	if (room < VPKT_HEAD)
		return 0;
	if (v->refusal_n) {
		const struct vpkt *h = &v->refusals[v->refusal_at];

		v->refusal_at = (v->refusal_at + 1) % REFUSALS_MAX;
		v->refusal_n--;
		return emit(iov, n, h);
	}
	for (struct conn *c; (c = dequeue(v));) {
		size_t k = c->owe ? pay(c, iov, n) : c->readable ? pump(c, iov, n) : 0;

		if (k)
			return k;
	}
	return 0;
}

int vsock_dial_guest(struct vsock *v, int fd, uint32_t port)
{
	struct vpkt want = { .src_port = port };

	do { // a number no connection to this guest port uses
		v->next_port = v->next_port < UINT32_MAX ? v->next_port + 1 : FIRST_HOST_PORT;
		want.dst_port = v->next_port;
	} while (lookup(v, &want));
	struct conn *c = conn_new(v, fd, v->next_port, port);
	if (!c) {
		close(fd);
		return -1;
	}
	wait_at_most(c, WAIT_S);
	owe(c, OWE_REQUEST);
	return 0;
}

size_t vsock_count(const struct vsock *v)
{
	return v->count;
}

struct vsock *vsock_new(struct event_base *base, uint64_t guest_cid, const struct vsock_ops *ops)
{
	struct vsock *v = calloc(1, sizeof *v);

	if (v)
		*v = (struct vsock){
			.base = base, .ops = *ops, .cid = guest_cid, .next_port = FIRST_HOST_PORT
		};
	return v;
}

void vsock_reset(struct vsock *v)
{
	while (v->all)
		conn_free(v->all);
	v->refusal_n = 0;
}

void vsock_free(struct vsock *v)
{
	if (!v)
		return;
	vsock_reset(v);
	free(v);
}
