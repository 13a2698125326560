#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "relay_private.h"

enum { DATAGRAM_MAX = 65536, BURST = 32 };

// One sender seen on the listening socket, with a socket of its own towards the target.
struct udp_flow {
	struct relay *owner;
	struct udp_flow *next;
	struct address peer;
	struct event *back;
	int fd;
	uint64_t used_ms;
};

static void flow_free(struct udp_flow *f)
{
	for (struct udp_flow **at = &f->owner->flows; *at; at = &(*at)->next)
		if (*at == f) {
			*at = f->next;
			break;
		}
	f->owner->count--;
	if (f->back)
		event_free(f->back);
	close(f->fd);
	free(f);
}

static void on_answer(evutil_socket_t fd, short what, void *arg)
{
	static char b[DATAGRAM_MAX];
	struct udp_flow *f = arg;

	(void)what;
	for (int i = 0; i < BURST; i++) {
		ssize_t n = recv(fd, b, sizeof b, 0);
		if (n < 0)
			return; // nothing more, or the target is not there: datagrams may be lost
		f->used_ms = time_mono_ms();
		if (sendto(f->owner->fd, b, (size_t)n, 0, (struct sockaddr *)&f->peer.at, f->peer.n) < 0)
			return;
	}
}

static struct udp_flow *flow_new(struct relay *r, const struct address *peer)
{
	if (r->count >= RELAY_UDP_MAX) { // the longest silent one makes room
		struct udp_flow *oldest = r->flows;

		for (struct udp_flow *f = r->flows; f; f = f->next)
			if (f->used_ms < oldest->used_ms)
				oldest = f;
		flow_free(oldest);
	}
	int fd = relay_dial(r);
	struct udp_flow *f = fd >= 0 ? calloc(1, sizeof *f) : NULL;

	if (!f) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	*f = (struct udp_flow){ .owner = r, .next = r->flows, .peer = *peer, .fd = fd };
	r->flows = f;
	r->count++;
	f->back = event_new(r->base, fd, EV_READ | EV_PERSIST, on_answer, f);
	if (!f->back || event_add(f->back, NULL)) {
		flow_free(f);
		return NULL;
	}
	return f;
}

static void on_datagram(evutil_socket_t fd, short what, void *arg)
{
	static char b[DATAGRAM_MAX];
	struct relay *r = arg;

	(void)what;
	for (int i = 0; i < BURST; i++) {
		struct address peer = { .n = sizeof peer.at };
		ssize_t n = recvfrom(fd, b, sizeof b, 0, (struct sockaddr *)&peer.at, &peer.n);
		if (n < 0)
			return;
		struct udp_flow *f = r->flows;
		while (f && (f->peer.n != peer.n || memcmp(&f->peer.at, &peer.at, peer.n) != 0))
			f = f->next;
		if (!f && !(f = flow_new(r, &peer)))
			continue;
		f->used_ms = time_mono_ms();
		if (send(f->fd, b, (size_t)n, 0) < 0)
			continue;
	}
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;
	uint64_t now = time_mono_ms();

	(void)fd, (void)what;
	for (struct udp_flow *f = r->flows, *next; f; f = next) {
		next = f->next;
		if (now - f->used_ms > RELAY_UDP_IDLE_S * 1000)
			flow_free(f);
	}
}

int relay_udp_start(struct relay *r)
{
	struct timeval every = { .tv_sec = 30 };

	r->accept = event_new(r->base, r->fd, EV_READ | EV_PERSIST, on_datagram, r);
	r->sweep = event_new(r->base, -1, EV_PERSIST, on_sweep, r);
	return !r->accept || !r->sweep || event_add(r->accept, NULL) || event_add(r->sweep, &every) ? -1 : 0;
}

void relay_udp_stop(struct relay *r)
{
	while (r->flows)
		flow_free(r->flows);
}
