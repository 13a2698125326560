#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "terminate.h"

enum { SLAB = 64 << 10 };

static const uint32_t events_always = EPOLLIN | EPOLLRDHUP | EPOLLET;

static int slab_add(struct reactor *r)
{
	void **more = realloc(r->slabs, (r->n_slabs + 1) * sizeof *more);

	if (!more)
		return -1;
	r->slabs = more;
	struct conn *b = mmap(NULL, SLAB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b == MAP_FAILED)
		return -1;
	r->slabs[r->n_slabs++] = b;
	for (size_t i = SLAB / sizeof *b; i-- > 0;) {
		b[i].state = CONN_DEAD;
		b[i].next = r->free;
		r->free = &b[i];
	}
	return 0;
}

struct conn *conn_new(struct reactor *r, int fd)
{
	if (!r->free && slab_add(r))
		return NULL;
	struct conn *c = r->free;
	r->free = c->next;
	*c = (struct conn){ .fd = { fd, -1 },
			    .flow = { { .pipe = PIPE_NONE }, { .pipe = PIPE_NONE } },
			    .instance = NO_INSTANCE,
			    .started = r->now,
			    .active = r->now,
			    .state = CONN_HELLO };
	queue_add(r, &r->hello, c);
	count(&r->counters.open, 1);
	return c;
}

void conn_end(struct reactor *r, struct conn *c)
{
	if (c->state == CONN_DEAD)
		return;
	queue_remove(conn_queue(r, c), c);
	terminate_free(c->tls);
	for (int i = 0; i < 2; i++) {
		struct flow *f = &c->flow[i];
		if (f->pipe != PIPE_NONE)
			pipes_put(&r->pipes, f->pipe, f->held == 0);
		flow_drop(f);
		if (c->fd[i] >= 0)
			close(c->fd[i]);
	}
	if (c->instance != NO_INSTANCE)
		atomic_fetch_sub_explicit(&r->live[c->instance], 1, memory_order_relaxed);
	count(&r->counters.open, (uint64_t)-1);
	c->state = CONN_DEAD;
	if (!c->is_ready) { // else the ready list buries it
		c->ready = r->graveyard;
		r->graveyard = c;
	}
}

void conn_bury(struct reactor *r)
{
	while (r->graveyard) {
		struct conn *c = r->graveyard;
		r->graveyard = c->ready;
		c->next = r->free;
		r->free = c;
	}
}

void conn_reset(struct conn *c)
{
	struct linger now = { 1, 0 };

	for (int i = 0; i < 2; i++)
		if (c->fd[i] >= 0)
			setsockopt(c->fd[i], SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static void control(struct reactor *r, struct conn *c, int side, int op, uint32_t events)
{
	struct epoll_event x = { .events = events, .data.u64 = (uintptr_t)c | (unsigned)side };

	epoll_ctl(r->epoll, op, c->fd[side], &x);
}

void conn_watch(struct reactor *r, struct conn *c, int side, uint32_t extra)
{
	if (c->out[side]) // asked for before the registration
		extra |= EPOLLOUT;
	c->out[side] = extra & EPOLLOUT;
	control(r, c, side, EPOLL_CTL_ADD, events_always | extra);
}

// Added once, when a send first blocks, and kept: with edges it costs nothing while nothing changes.
void conn_want_out(struct reactor *r, struct conn *c, int side)
{
	if (c->out[side])
		return;
	c->out[side] = true;
	control(r, c, side, EPOLL_CTL_MOD, events_always | EPOLLOUT);
}

void conn_again(struct reactor *r, struct conn *c)
{
	if (c->is_ready)
		return;
	c->is_ready = true;
	c->ready = r->ready;
	r->ready = c;
}

void queue_add(struct reactor *r, struct queue *q, struct conn *c)
{
	c->due = r->now + q->seconds;
	c->next = NULL;
	c->prev = q->last;
	if (q->last)
		q->last->next = c;
	else
		q->first = c;
	q->last = c;
}

void queue_remove(struct queue *q, struct conn *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		q->first = c->next;
	if (c->next)
		c->next->prev = c->prev;
	else
		q->last = c->prev;
}

struct queue *conn_queue(struct reactor *r, const struct conn *c)
{
	switch ((enum conn_state)c->state) {
	case CONN_HELLO:
	case CONN_HANDSHAKE:
	case CONN_TLS_FAILED:
		return &r->hello;
	case CONN_DIAL:
	case CONN_TLS_DIAL:
		return &r->dial;
	default:
		return &r->idle;
	}
}

int flow_keep(struct flow *f, const void *p, size_t n)
{
	struct spill *s = malloc(sizeof *s + n);

	if (!s)
		return -1;
	s->at = 0;
	s->n = (uint32_t)n;
	memcpy(s->b, p, n);
	free(f->spill);
	f->spill = s;
	return 0;
}

int flow_send(struct flow *f, int fd)
{
	struct spill *s = f->spill;

	while (s && s->at < s->n) {
		ssize_t w = send(fd, s->b + s->at, s->n - s->at, MSG_NOSIGNAL);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return errno == EAGAIN ? 1 : -1;
		s->at += (uint32_t)w;
	}
	flow_drop(f);
	return 0;
}

void flow_drop(struct flow *f)
{
	free(f->spill);
	f->spill = NULL;
}
