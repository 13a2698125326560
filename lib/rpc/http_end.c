#include <poll.h>
#include "rpc/http_conn.h"

// The peer sends no more. Half a close is no reason to go: it may well wait for its answer.
static void on_closed(evutil_socket_t fd, short what, void *arg)
{
	struct http_conn *c = arg;
	struct pollfd p = { .fd = fd };

	(void)what;
	if (c->st == HTTP_HANDLER && poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)))
		http_destroy(c);
}

void http_notice_end(struct http_conn *c)
{
	if (!c->end)
		c->end = event_new(c->s->base, bufferevent_getfd(c->bev), EV_CLOSED, on_closed, c);
	if (c->end)
		event_add(c->end, NULL);
}
