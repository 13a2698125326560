#include "bridge.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <linux/vm_sockets.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "dial.h"

enum { PAIRS_MAX = 512, HELD_MAX = 256 * 1024 };

static const struct {
	uint32_t port;
	const char *path;
} services[] = { { 10000, "host.sock" }, { 4050, "tee.sock" } };
enum { SERVICES = sizeof services / sizeof *services };

struct pair {
	struct bridge *owner;
	struct pair *next;
	struct bufferevent *side[2];
};

struct bridge {
	struct daemon *daemon;
	struct event *door[SERVICES];
	struct pair *pairs;
	size_t count;
};

static void pair_free(struct pair *p)
{
	for (struct pair **at = &p->owner->pairs; *at; at = &(*at)->next)
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

static void on_read(struct bufferevent *b, void *arg)
{
	struct pair *p = arg;
	struct bufferevent *to = p->side[b == p->side[0]];

	bufferevent_write_buffer(to, bufferevent_get_input(b));
	if (evbuffer_get_length(bufferevent_get_output(to)) > HELD_MAX)
		bufferevent_disable(b, EV_READ);
}

static void on_drained(struct bufferevent *b, void *arg)
{
	struct pair *p = arg;

	bufferevent_enable(p->side[b == p->side[0]], EV_READ);
}

static void on_end(struct bufferevent *b, short what, void *arg)
{
	struct pair *p = arg;
	struct bufferevent *to = p->side[b == p->side[0]];

	if (what & BEV_EVENT_CONNECTED)
		return;
	// Requests and answers are whole before either side closes; what is left is written out.
	bufferevent_write_buffer(to, bufferevent_get_input(b));
	bufferevent_flush(to, EV_WRITE, BEV_FLUSH);
	evbuffer_write(bufferevent_get_output(to), bufferevent_getfd(to));
	pair_free(p);
}

static void pair_new(struct bridge *b, int in, int out)
{
	struct pair *p = calloc(1, sizeof *p);
	int fds[2] = { in, out };

	if (!p) {
		close(in);
		close(out);
		return;
	}
	*p = (struct pair){ .owner = b, .next = b->pairs };
	b->pairs = p;
	b->count++;
	for (int i = 0; i < 2; i++) {
		p->side[i] = bufferevent_socket_new(b->daemon->base, fds[i], BEV_OPT_CLOSE_ON_FREE);
		if (!p->side[i]) {
			close(fds[i]);
			if (i == 0)
				close(fds[1]);
			pair_free(p);
			return;
		}
	}
	for (int i = 0; i < 2; i++) {
		bufferevent_setcb(p->side[i], on_read, on_drained, on_end, p);
		bufferevent_enable(p->side[i], EV_READ | EV_WRITE);
	}
}

static void on_guest(evutil_socket_t fd, short what, void *arg)
{
	struct bridge *b = arg;
	struct sockaddr_vm peer = { 0 };
	socklen_t n = sizeof peer;
	auto_close int in = accept4(fd, (struct sockaddr *)&peer, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
	const struct vm *v = b->daemon->vms;
	size_t i = 0;

	(void)what;
	while (i < SERVICES && event_get_fd(b->door[i]) != fd)
		i++;
	while (v && v->m.cid != peer.svm_cid)
		v = v->next;
	if (in < 0 || i == SERVICES || !v || b->count >= PAIRS_MAX)
		return;
	int out = dial_runner(v, services[i].path);
	if (out >= 0)
		pair_new(b, take_fd(&in), out);
}

static struct event *listen_vsock(struct bridge *b, uint32_t port, struct err *e)
{
	struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port };
	auto_close int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 64)) {
		err_errno(e, "listen on vsock port %u", port);
		return NULL;
	}
	struct event *v = event_new(b->daemon->base, fd, EV_READ | EV_PERSIST, on_guest, b);
	if (!v || event_add(v, NULL)) {
		if (v)
			event_free(v);
		err_set(e, ERR_SYSTEM, "watch vsock port %u", port);
		return NULL;
	}
	take_fd(&fd);
	return v;
}

int bridge_start(struct bridge **out, struct daemon *d, struct err *e)
{
	*out = NULL;
	if (!d->facts.vsock_kernel)
		return 0;
	struct bridge *b = calloc(1, sizeof *b);
	if (!b)
		return err_set(e, ERR_SYSTEM, "out of memory");
	b->daemon = d;
	for (size_t i = 0; i < SERVICES; i++) {
		// On TDX port 4050 belongs to the host's quote generation service.
		if (services[i].port == 4050 && d->facts.platform == PLATFORM_TDX)
			continue;
		b->door[i] = listen_vsock(b, services[i].port, e);
		if (!b->door[i]) {
			bridge_free(b);
			return -1;
		}
	}
	*out = b;
	return 0;
}

void bridge_free(struct bridge *b)
{
	if (!b)
		return;
	while (b->pairs)
		pair_free(b->pairs);
	for (size_t i = 0; i < SERVICES; i++)
		if (b->door[i]) {
			close(event_get_fd(b->door[i]));
			event_free(b->door[i]);
		}
	free(b);
}
