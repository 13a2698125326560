#include "vhost.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/vhost_types.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "ring.h"

// Request numbers and bits of the vhost-user protocol.
enum {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	SET_VRING_ERR = 14,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
	GET_CONFIG = 24,
};
enum { FLAG_VERSION = 1, FLAG_REPLY = 4, FLAG_NEED_REPLY = 8, NO_FD = 0x100 };
enum { QUEUE_RX, QUEUE_TX, QUEUES }; // RX goes to the guest; QEMU drives the event queue itself
static const uint64_t FEATURES = 1ull << 32 | 1ull << 30;        // VERSION_1, PROTOCOL_FEATURES
static const uint64_t PROTOCOL_FEATURES = 1ull << 9 | 1ull << 3; // CONFIG, REPLY_ACK

struct vhost {
	struct event_base *base;
	struct vsock *vsock;
	uint64_t cid;
	int fd;
	int (*dial)(void *arg, uint32_t port);
	void *dial_arg;
	struct event *message, *flush, *kick[QUEUES];
	struct guest_mem mem;
	struct ring ring[QUEUES];
	uint8_t packet[VPKT_HEAD + VSOCK_PACKET_MAX];
};

struct vring_state {
	uint32_t index, num;
};
struct vring_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail, log;
};
struct mem_table {
	uint32_t n, pad;
	struct {
		uint64_t gpa, size, uva, offset;
	} r[MEM_REGIONS_MAX];
};
struct config {
	uint32_t offset, size, flags;
	uint8_t bytes[256];
};

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN)
		log_warn("vsock", "queue notification: %s", strerror(errno));
	vhost_run(arg);
}

static void drop_kick(struct vhost *h, uint32_t q)
{
	if (h->kick[q])
		event_free(h->kick[q]);
	h->kick[q] = NULL;
	if (h->ring[q].kick >= 0)
		close(h->ring[q].kick);
	h->ring[q].kick = -1;
}

static void ring_reset(struct vhost *h, uint32_t q)
{
	drop_kick(h, q);
	if (h->ring[q].call >= 0)
		close(h->ring[q].call);
	ring_init(&h->ring[q]);
}

// A guest that breaks the rules of the rings loses its device; the VM itself goes on.
static void ring_broken(struct vhost *h, const struct err *e)
{
	log_warn("vsock", "guest broke a queue, device stopped: %s", e->text);
	for (uint32_t q = 0; q < QUEUES; q++)
		h->ring[q].enabled = false;
	vsock_reset(h->vsock);
}

static void call_guest(struct ring *r)
{
	uint64_t one = 1;

	if (r->call >= 0 && ring_wants_call(r) && write(r->call, &one, sizeof one) < 0 && errno != EAGAIN)
		log_warn("vsock", "interrupt: %s", strerror(errno));
}

static size_t gather(const struct chain *c, uint8_t *out, size_t cap)
{
	size_t done = 0;

	for (size_t i = 0; i < c->n && done < cap; i++) {
		size_t k = c->v[i].iov_len < cap - done ? c->v[i].iov_len : cap - done;

		memcpy(out + done, c->v[i].iov_base, k);
		done += k;
	}
	return done;
}

static void run_tx(struct vhost *h)
{
	struct ring *r = &h->ring[QUEUE_TX];
	struct chain c;
	struct err e = { 0 };
	struct vpkt head;
	bool any = false;
	int got = 0;

	// At most one queue full for each kick, so that a busy guest cannot keep the loop to itself.
	for (uint32_t i = 0; i < r->num && ring_ready(r); i++) {
		got = ring_take(r, &h->mem, false, &c, &e);
		if (got <= 0)
			break;
		size_t n = c.bytes > sizeof h->packet ? 0 : gather(&c, h->packet, sizeof h->packet);
		if (vpkt_read(&head, h->packet, n) && head.len <= n - VPKT_HEAD)
			vsock_input(h->vsock, &head, h->packet + VPKT_HEAD, head.len);
		ring_used(r, c.head, 0);
		any = true;
	}
	if (got < 0)
		ring_broken(h, &e);
	else if (any)
		call_guest(r);
	if (got > 0 && h->kick[QUEUE_TX])
		event_active(h->kick[QUEUE_TX], EV_READ, 0); // more may wait
}

static void run_rx(struct vhost *h)
{
	struct ring *r = &h->ring[QUEUE_RX];
	struct chain c;
	struct err e = { 0 };
	bool any = false;
	int got = 0;

	for (uint32_t i = 0; i < r->num && ring_ready(r); i++) {
		got = ring_take(r, &h->mem, true, &c, &e);
		if (got <= 0)
			break;
		size_t n = vsock_output(h->vsock, c.v, c.n);
		if (n == 0) {
			ring_put_back(r);
			break;
		}
		ring_used(r, c.head, (uint32_t)n);
		any = true;
	}
	if (got < 0)
		ring_broken(h, &e);
	else if (any) {
		call_guest(r);
		event_active(h->flush, EV_TIMEOUT, 0); // until nothing is left or the guest is out of buffers
	}
}

void vhost_run(struct vhost *h)
{
	run_tx(h);
	run_rx(h);
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	run_rx(arg);
}

static void output(void *arg)
{
	struct vhost *h = arg;

	event_active(h->flush, EV_TIMEOUT, 0);
}

static int dial_through(void *arg, uint32_t port)
{
	struct vhost *h = arg;

	return h->dial(h->dial_arg, port);
}

static int set_memory(struct vhost *h, const void *payload, size_t n, const int *fds, size_t nfds,
		      struct err *e)
{
	struct mem_table t;

	if (n < offsetof(struct mem_table, r) || n > sizeof t)
		return err_set(e, ERR_INPUT, "memory table of %zu bytes", n);
	memset(&t, 0, sizeof t);
	memcpy(&t, payload, n);
	if (t.n > MEM_REGIONS_MAX || t.n != nfds || n < offsetof(struct mem_table, r) + t.n * sizeof t.r[0])
		return err_set(e, ERR_INPUT, "memory table of %u regions with %zu files", t.n, nfds);
	// Queues point into the old mapping: QEMU sets their addresses again after a new table.
	for (uint32_t q = 0; q < QUEUES; q++)
		ring_unmap(&h->ring[q]);
	mem_clear(&h->mem);
	for (uint32_t i = 0; i < t.n; i++)
		if (mem_add(&h->mem, fds[i], t.r[i].gpa, t.r[i].uva, t.r[i].size, t.r[i].offset, e))
			return -1;
	return 0;
}

// The queue a message is about, or NULL when there is no such queue or the payload is too short.
static struct ring *queue_of(struct vhost *h, const void *payload, size_t n, size_t want, struct err *e)
{
	uint32_t index;

	if (n < want) {
		err_set(e, ERR_INPUT, "queue message of %zu bytes", n);
		return NULL;
	}
	memcpy(&index, payload, sizeof index);
	if (index >= QUEUES) {
		err_set(e, ERR_INPUT, "queue %u of %d", index, QUEUES);
		return NULL;
	}
	return &h->ring[index];
}

static int set_fd(struct vhost *h, uint32_t request, const void *payload, size_t n, int *fd, struct err *e)
{
	uint64_t v = 0;
	struct ring *r;

	if (n < sizeof v)
		return err_set(e, ERR_INPUT, "queue message of %zu bytes", n);
	memcpy(&v, payload, sizeof v);
	uint32_t q = (uint32_t)(v & 0xff);
	if (q >= QUEUES)
		return err_set(e, ERR_INPUT, "queue %u of %d", q, QUEUES);
	r = &h->ring[q];
	if (request == SET_VRING_KICK) {
		drop_kick(h, q);
		if (*fd < 0)
			return 0;
		evutil_make_socket_nonblocking(*fd);
		r->kick = *fd;
		*fd = -1;
		r->enabled = true;
		h->kick[q] = event_new(h->base, r->kick, EV_READ | EV_PERSIST, on_kick, h);
		return h->kick[q] && !event_add(h->kick[q], NULL) ? 0
								  : err_set(e, ERR_SYSTEM, "watch a queue");
	}
	if (request == SET_VRING_CALL) {
		if (r->call >= 0)
			close(r->call);
		r->call = *fd;
		if (*fd >= 0)
			evutil_make_socket_nonblocking(*fd);
		*fd = -1;
	}
	return 0;
}

static int set_ring(struct vhost *h, uint32_t request, const void *payload, size_t n, struct err *e)
{
	struct vring_state s;
	struct vring_addr a;
	struct ring *r = queue_of(h, payload, n, request == SET_VRING_ADDR ? sizeof a : sizeof s, e);

	if (!r)
		return -1;
	memcpy(&s, payload, sizeof s);
	if (request == SET_VRING_ADDR) {
		memcpy(&a, payload, sizeof a);
		return ring_map(r, &h->mem, a.desc, a.avail, a.used, e);
	}
	if (request == SET_VRING_NUM) {
		if (s.num == 0 || s.num > RING_SIZE_MAX || (s.num & (s.num - 1)))
			return err_set(e, ERR_INPUT, "queue size %u", s.num);
		ring_unmap(r);
		r->num = s.num;
	} else if (request == SET_VRING_BASE) {
		r->next = (uint16_t)s.num;
	} else {
		r->enabled = s.num != 0;
	}
	return 0;
}

static int reply_bytes(const struct vhost_head *head, uint8_t *reply, const void *p, size_t n)
{
	struct vhost_head out = { head->request, FLAG_VERSION | FLAG_REPLY, (uint32_t)n };

	memcpy(reply, &out, sizeof out);
	memcpy(reply + sizeof out, p, n);
	return (int)(sizeof out + n);
}

static int reply_u64(const struct vhost_head *head, uint8_t *reply, uint64_t v)
{
	return reply_bytes(head, reply, &v, sizeof v);
}

static int get_config(struct vhost *h, const struct vhost_head *head, const void *payload, uint8_t *reply,
		      struct err *e)
{
	struct config c = { 0 };
	size_t fixed = offsetof(struct config, bytes);

	if (head->size < fixed || head->size > sizeof c)
		return err_set(e, ERR_INPUT, "configuration request of %u bytes", head->size);
	memcpy(&c, payload, head->size);
	if (c.size > sizeof c.bytes || c.offset > sizeof c.bytes - c.size)
		return err_set(e, ERR_INPUT, "configuration request outside its space");
	memset(c.bytes, 0, sizeof c.bytes);
	for (uint32_t i = 0; i < c.size && c.offset + i < sizeof h->cid; i++)
		c.bytes[i] = (uint8_t)(h->cid >> (8 * (c.offset + i)));
	return reply_bytes(head, reply, &c, head->size);
}

// Requests that read nothing back. 0 or -1.
static int apply(struct vhost *h, const struct vhost_head *head, const void *payload, int *fds, size_t nfds,
		 struct err *e)
{
	switch (head->request) {
	case SET_FEATURES:
	case SET_PROTOCOL_FEATURES:
	case SET_OWNER:
	case SET_VRING_ERR:
		return 0;
	case SET_MEM_TABLE:
		return set_memory(h, payload, head->size, fds, nfds, e);
	case SET_VRING_NUM:
	case SET_VRING_ADDR:
	case SET_VRING_BASE:
	case SET_VRING_ENABLE:
		return set_ring(h, head->request, payload, head->size, e);
	case SET_VRING_KICK:
	case SET_VRING_CALL: {
		int none = -1;

		return set_fd(h, head->request, payload, head->size, nfds ? &fds[0] : &none, e);
	}
	default:
		return err_set(e, ERR_INPUT, "unknown vhost-user request %u", head->request);
	}
}

static int answer(struct vhost *h, const struct vhost_head *head, const void *payload, int *fds, size_t nfds,
		  uint8_t *reply, struct err *e)
{
	struct vring_state s;
	struct ring *r;

	switch (head->request) {
	case GET_FEATURES:
		return reply_u64(head, reply, FEATURES);
	case GET_PROTOCOL_FEATURES:
		return reply_u64(head, reply, PROTOCOL_FEATURES);
	case GET_QUEUE_NUM:
		return reply_u64(head, reply, QUEUES);
	case GET_CONFIG:
		return get_config(h, head, payload, reply, e);
	case GET_VRING_BASE: // also stops the queue
		r = queue_of(h, payload, head->size, sizeof s, e);
		if (!r)
			return -1;
		s = (struct vring_state){ (uint32_t)(r - h->ring), r->next };
		r->enabled = false;
		drop_kick(h, s.index);
		ring_unmap(r);
		if (s.index == QUEUE_TX)
			vsock_reset(h->vsock); // the guest resets its device: its connections are gone
		return reply_bytes(head, reply, &s, sizeof s);
	}
	if (apply(h, head, payload, fds, nfds, e))
		return -1;
	return head->flags & FLAG_NEED_REPLY ? reply_u64(head, reply, 0) : 0;
}

int vhost_message(struct vhost *h, const struct vhost_head *head, const void *payload, const int *fds,
		  size_t nfds, uint8_t reply[static sizeof(struct vhost_head) + VHOST_PAYLOAD_MAX],
		  struct err *e)
{
	int mine[VHOST_FDS_MAX];

	assert(head->size <= VHOST_PAYLOAD_MAX && nfds <= VHOST_FDS_MAX);
	if (nfds)
		memcpy(mine, fds, nfds * sizeof *fds);
	int n = answer(h, head, payload, mine, nfds, reply, e);
	for (size_t i = 0; i < nfds; i++)
		if (mine[i] >= 0)
			close(mine[i]);
	return n;
}

static void hang_up(struct vhost *h)
{
	if (h->message)
		event_free(h->message);
	h->message = NULL;
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
	for (uint32_t q = 0; q < QUEUES; q++)
		ring_reset(h, q);
	mem_clear(&h->mem);
	vsock_reset(h->vsock);
}

// A message's head with its descriptors: 1, 0 at the end of the stream, -1.
static int read_head(int fd, struct vhost_head *head, int *fds, size_t *nfds, struct err *e)
{
	union {
		char bytes[CMSG_SPACE(VHOST_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec io = { head, sizeof *head };
	struct msghdr m = { .msg_iov = &io,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof control.bytes };
	ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_WAITALL);

	*nfds = 0;
	if (n < 0)
		return err_errno(e, "read from QEMU");
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && *nfds == 0) {
			*nfds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			memcpy(fds, CMSG_DATA(c), *nfds * sizeof(int));
		}
	if (n == 0)
		return 0;
	if (n != sizeof *head || head->size > VHOST_PAYLOAD_MAX || (head->flags & 3) != FLAG_VERSION) {
		for (size_t i = 0; i < *nfds; i++)
			close(fds[i]);
		return err_set(e, ERR_INPUT, "malformed vhost-user message");
	}
	return 1;
}

static int serve_one(struct vhost *h, struct err *e)
{
	struct vhost_head head;
	uint8_t payload[VHOST_PAYLOAD_MAX], reply[sizeof head + VHOST_PAYLOAD_MAX];
	int fds[VHOST_FDS_MAX];
	size_t nfds;
	int got = read_head(h->fd, &head, fds, &nfds, e);

	if (got <= 0)
		return got;
	if (head.size && recv(h->fd, payload, head.size, MSG_WAITALL) != (ssize_t)head.size) {
		for (size_t i = 0; i < nfds; i++)
			close(fds[i]);
		return err_set(e, ERR_INPUT, "vhost-user message cut short");
	}
	int n = vhost_message(h, &head, payload, fds, nfds, reply, e);
	if (n < 0)
		return err_wrap(e, "vhost-user request %u", head.request);
	if (n > 0 && send(h->fd, reply, (size_t)n, MSG_NOSIGNAL) != n)
		return err_errno(e, "answer QEMU");
	vhost_run(h);
	return 1;
}

static void on_message(evutil_socket_t fd, short what, void *arg)
{
	struct vhost *h = arg;
	struct err e = { 0 };

	(void)fd, (void)what;
	int got = serve_one(h, &e);
	if (got > 0)
		return;
	if (got < 0)
		log_warn("vsock", "QEMU cut off: %s", e.text);
	hang_up(h);
}

int vhost_serve(struct vhost *h, int fd, struct err *e)
{
	struct timeval limit = { .tv_sec = 5 }; // QEMU writes a message in one piece

	hang_up(h);
	h->fd = fd;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	h->message = event_new(h->base, fd, EV_READ | EV_PERSIST, on_message, h);
	if (!h->message || event_add(h->message, NULL))
		return err_set(e, ERR_SYSTEM, "watch the vhost-user socket");
	return 0;
}

struct vsock *vhost_vsock(struct vhost *h)
{
	return h->vsock;
}

struct vhost *vhost_new(struct event_base *base, uint64_t guest_cid, int (*dial)(void *arg, uint32_t port),
			void *arg, struct err *e)
{
	struct vhost *h = calloc(1, sizeof *h);

	if (!h) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	struct vsock_ops ops = { .dial = dial_through, .output = output, .arg = h };
	*h = (struct vhost){ .base = base, .cid = guest_cid, .fd = -1, .dial = dial, .dial_arg = arg };
	for (uint32_t q = 0; q < QUEUES; q++)
		ring_init(&h->ring[q]);
	h->flush = event_new(base, -1, 0, on_flush, h);
	h->vsock = vsock_new(base, guest_cid, &ops);
	if (!h->flush || !h->vsock) {
		vhost_free(h);
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	return h;
}

void vhost_free(struct vhost *h)
{
	if (!h)
		return;
	if (h->vsock)
		hang_up(h);
	vsock_free(h->vsock);
	if (h->flush)
		event_free(h->flush);
	free(h);
}
