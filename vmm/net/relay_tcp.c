#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "relay_private.h"

enum { HELD_MAX = 256 * 1024, PIECE_MAX = 64 * 1024 };

struct tcp_pair {
	struct relay *owner;
	struct tcp_pair *next;
	struct bufferevent *side[2];
	bool eof[2]; // side i has sent its last byte
};

static void pair_free(struct tcp_pair *p)
{
	for (struct tcp_pair **at = &p->owner->pairs; *at; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			break;
		}
	p->owner->count--;
	for (int i = 0; i < 2; i++)
		if (p->side[i])
			bufferevent_free(p->side[i]);
	free(p);
}

static int side_of(const struct tcp_pair *p, const struct bufferevent *b)
{
	return b == p->side[1];
}

// Everything side `from` sent has gone out of the other side: pass the end of file on.
static void pass_eof(struct tcp_pair *p, int from)
{
	struct bufferevent *to = p->side[!from];

	if (!p->eof[from] || evbuffer_get_length(bufferevent_get_output(to)))
		return;
	if (p->eof[0] && p->eof[1] && !evbuffer_get_length(bufferevent_get_output(p->side[from]))) {
		pair_free(p);
		return;
	}
	shutdown(bufferevent_getfd(to), SHUT_WR);
}

static void on_read(struct bufferevent *b, void *arg)
{
	struct tcp_pair *p = arg;
	struct bufferevent *to = p->side[!side_of(p, b)];

	bufferevent_write_buffer(to, bufferevent_get_input(b));
	if (evbuffer_get_length(bufferevent_get_output(to)) > HELD_MAX)
		bufferevent_disable(b, EV_READ);
}

static void on_drained(struct bufferevent *b, void *arg)
{
	struct tcp_pair *p = arg;
	int from = !side_of(p, b);

	if (p->eof[from])
		pass_eof(p, from);
	else
		bufferevent_enable(p->side[from], EV_READ);
}

static void on_event(struct bufferevent *b, short what, void *arg)
{
	struct tcp_pair *p = arg;
	int i = side_of(p, b);

	if (what & BEV_EVENT_CONNECTED)
		return;
	if (!(what & BEV_EVENT_EOF)) {
		pair_free(p);
		return;
	}
	p->eof[i] = true;
	bufferevent_write_buffer(p->side[!i], bufferevent_get_input(b));
	pass_eof(p, i);
}

static void pair_new(struct relay *r, int in)
{
	int one = 1, out = r->count < RELAY_TCP_MAX ? relay_dial(r) : -1;
	struct tcp_pair *p = out >= 0 ? calloc(1, sizeof *p) : NULL;

	if (!p) {
		if (out >= 0)
			close(out);
		close(in);
		return;
	}
	evutil_make_socket_nonblocking(in);
	*p = (struct tcp_pair){ .owner = r, .next = r->pairs };
	r->pairs = p;
	r->count++;
	int fds[2] = { in, out };
	for (int i = 0; i < 2; i++) {
		setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		setsockopt(fds[i], SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
		p->side[i] = bufferevent_socket_new(r->base, fds[i], BEV_OPT_CLOSE_ON_FREE);
		if (!p->side[i]) {
			close(fds[i]);
			if (i == 0)
				close(fds[1]);
			pair_free(p);
			return;
		}
	}
	for (int i = 0; i < 2; i++) {
		bufferevent_setcb(p->side[i], on_read, on_drained, on_event, p);
		bufferevent_setwatermark(p->side[i], EV_READ, 0, PIECE_MAX);
		bufferevent_enable(p->side[i], EV_READ | EV_WRITE);
	}
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	int in = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	if (in >= 0)
		pair_new(arg, in);
}

int relay_tcp_start(struct relay *r)
{
	r->accept = event_new(r->base, r->fd, EV_READ | EV_PERSIST, on_accept, r);
	return r->accept ? event_add(r->accept, NULL) : -1;
}

void relay_tcp_stop(struct relay *r)
{
	while (r->pairs)
		pair_free(r->pairs);
}
