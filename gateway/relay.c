#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	MOVES = 8,              // of one direction in one turn: then others get theirs
	SMALL_READ = 16 << 10,  // of a small flow
	LARGE_READ = 64 << 10,  // of a bulk flow that cannot be spliced
	BULK_AFTER = 2,         // full reads in a row that make a flow bulk
	SPLICE_WORTH = 4 << 10, // a splice of less makes it small again; running dry alone does not
	SPLICE_FLAGS = SPLICE_F_NONBLOCK | SPLICE_F_MOVE,
};

enum moved { BROKEN = -1, IDLE = 0, MORE = 1, NEXT = 2 };

static enum moved broken(struct conn *c)
{
	conn_reset(c);
	return BROKEN;
}

static void pipe_back(struct reactor *r, struct flow *f)
{
	if (f->pipe == PIPE_NONE)
		return;
	pipes_put(&r->pipes, f->pipe, true);
	f->pipe = PIPE_NONE;
}

// Everything from side i has been passed on, and now its end.
static enum moved end_of(struct reactor *r, struct conn *c, int i)
{
	pipe_back(r, &c->flow[i]);
	c->flow[i].flags |= FLOW_EOF;
	if (c->flow[!i].flags & FLOW_EOF)
		return BROKEN; // both: over, and no reset
	shutdown(c->fd[!i], SHUT_WR);
	return IDLE;
}

static void moved(struct reactor *r, struct conn *c, int i, size_t n)
{
	c->bytes[i] += n;
	c->active = r->now;
}

static enum moved flush_held(struct reactor *r, struct conn *c, int i)
{
	struct flow *f = &c->flow[i];

	if (f->spill) {
		int left = flow_send(f, c->fd[!i]);
		if (left < 0)
			return broken(c);
		c->active = r->now;
		if (left)
			conn_want_out(r, c, !i);
		return left ? IDLE : NEXT;
	}
	ssize_t w = splice(r->pipes.all[f->pipe].r, NULL, c->fd[!i], NULL, f->held, SPLICE_FLAGS);
	if (w < 0 && errno != EAGAIN && errno != EINTR)
		return broken(c);
	if (w > 0)
		f->held -= (uint32_t)w;
	c->active = r->now;
	if (f->held) {
		conn_want_out(r, c, !i);
		return IDLE;
	}
	return NEXT;
}

// Into the pipe; NEXT sends it on.
static enum moved splice_in(struct reactor *r, struct conn *c, int i)
{
	struct flow *f = &c->flow[i];
	struct pipe *p = &r->pipes.all[f->pipe];
	ssize_t n = splice(c->fd[i], NULL, p->w, NULL, p->size, SPLICE_FLAGS);

	if (n == 0)
		return end_of(r, c, i);
	if (n < 0) {
		int reason = errno;
		if (reason == EINTR)
			return NEXT;
		pipe_back(r, f);
		if (reason == EINVAL) {
			f->flags |= FLOW_NO_SPLICE;
			return NEXT;
		}
		if (reason != EAGAIN)
			return broken(c);
		f->flags &= (uint8_t)~FLOW_READY;
		return IDLE;
	}
	f->held = (uint32_t)n;
	if (n < SPLICE_WORTH)
		f->flags &= (uint8_t)~FLOW_BIG;
	moved(r, c, i, (size_t)n);
	count(&r->counters.spliced, (uint64_t)n);
	return NEXT;
}

static enum moved copy(struct reactor *r, struct conn *c, int i)
{
	struct flow *f = &c->flow[i];
	size_t room = f->flags & FLOW_BIG ? LARGE_READ : SMALL_READ, sent = 0;
	ssize_t n = recv(c->fd[i], r->buffer, room, 0);

	if (n == 0)
		return end_of(r, c, i);
	if (n < 0) {
		if (errno == EINTR)
			return NEXT;
		if (errno != EAGAIN)
			return broken(c);
		f->flags &= (uint8_t)~FLOW_READY;
		return IDLE;
	}
	moved(r, c, i, (size_t)n);
	f->full = (size_t)n < room ? 0 : f->full < BULK_AFTER ? (uint8_t)(f->full + 1) : f->full;
	f->flags = (uint8_t)(f->full >= BULK_AFTER ? f->flags | FLOW_BIG : f->flags & ~FLOW_BIG);
	ssize_t w = send(c->fd[!i], r->buffer, (size_t)n, MSG_NOSIGNAL);
	if (w < 0 && errno != EAGAIN && errno != EINTR)
		return broken(c);
	sent = w > 0 ? (size_t)w : 0;
	if ((size_t)n < room && !(f->flags & FLOW_FIN))
		f->flags &= (uint8_t)~FLOW_READY; // a short read: dry. A known end is read up to its zero
	if (sent < (size_t)n) {
		if (flow_keep(f, r->buffer + sent, (size_t)n - sent))
			return broken(c);
		conn_want_out(r, c, !i);
		return w < 0 && errno == EINTR ? NEXT : IDLE;
	}
	return NEXT;
}

static enum moved step(struct reactor *r, struct conn *c, int i)
{
	struct flow *f = &c->flow[i];

	if (f->spill || f->held)
		return flush_held(r, c, i);
	if (!(f->flags & FLOW_READY) || f->flags & FLOW_EOF) {
		pipe_back(r, f); // an idle flow owns no pipe
		return IDLE;
	}
	if ((f->flags & (FLOW_BIG | FLOW_NO_SPLICE)) == FLOW_BIG) {
		if (f->pipe == PIPE_NONE)
			f->pipe = pipes_get(&r->pipes);
		if (f->pipe != PIPE_NONE)
			return splice_in(r, c, i);
	} else {
		pipe_back(r, f);
	}
	return copy(r, c, i);
}

static enum moved move(struct reactor *r, struct conn *c, int i)
{
	for (int k = 0; k < MOVES; k++) {
		enum moved m = step(r, c, i);
		if (m != NEXT)
			return m;
	}
	return MORE;
}

int relay_run(struct reactor *r, struct conn *c)
{
	for (int i = 0; i < 2; i++) {
		struct flow *f = &c->flow[i];
		if (!(f->flags & FLOW_READY) && !f->held && !f->spill)
			continue;
		enum moved m = move(r, c, i);
		if (m == BROKEN)
			return -1;
		if (m == MORE)
			conn_again(r, c); // an edge will not come again
	}
	return 0;
}

int relay_event(struct reactor *r, struct conn *c, int side, uint32_t events)
{
	struct flow *f = &c->flow[side];

	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		f->flags |= FLOW_READY;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		f->flags |= FLOW_FIN;
	if (events & EPOLLERR && f->flags & FLOW_EOF) { // nothing left to read would tell of it
		conn_reset(c);
		return -1;
	}
	return relay_run(r, c);
}
