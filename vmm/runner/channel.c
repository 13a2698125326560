#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/strings.h"
#include "private.h"

enum { LINE = 64, LINE_WAIT_S = 5, GUEST_API = 8000 };

// Where a guest's connection to the host ends; a port that is not here is refused.
static const struct {
	uint32_t port;
	const char *path;
} services[] = { { 10000, "host.sock" }, { 4050, "tee.sock" } };

static int connect_unix(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a))
		return -1;
	return take_fd(&fd);
}

static int dial(void *arg, uint32_t port)
{
	(void)arg;
	for (size_t i = 0; i < sizeof services / sizeof *services; i++)
		if (services[i].port == port)
			return connect_unix(services[i].path);
	log_info("vsock", "guest asked for port %u, where nothing is", port);
	return -1;
}

static struct event *listen_unix(struct runner *r, const char *path, event_callback_fn fn, struct err *e)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || chmod(path, 0600) || listen(fd, 16)) {
		err_errno(e, "listen on %s", path);
		return NULL;
	}
	struct event *v = event_new(r->base, fd, EV_READ | EV_PERSIST, fn, r);
	if (!v || event_add(v, NULL)) {
		if (v)
			event_free(v);
		err_set(e, ERR_SYSTEM, "watch %s", path);
		return NULL;
	}
	take_fd(&fd);
	return v;
}

static void on_qemu(evutil_socket_t fd, short what, void *arg)
{
	struct runner *r = arg;
	struct err e = { 0 };
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	(void)what;
	if (conn >= 0 && vhost_serve(r->vhost, conn, &e))
		log_error("vsock", "no vsock for the guest: %s", e.text);
}

// A host program that wants into the guest: it says "CONNECT <port>\n" first.
static void door_read(struct bufferevent *b, void *arg)
{
	struct runner *r = arg;
	struct evbuffer *in = bufferevent_get_input(b);
	char line[LINE] = "";
	uint64_t port;

	struct evbuffer_ptr end = evbuffer_search_eol(in, NULL, NULL, EVBUFFER_EOL_LF);
	if (end.pos < 0 && evbuffer_get_length(in) < LINE)
		return;
	if (end.pos >= 0 && end.pos < LINE)
		evbuffer_remove(in, line, (size_t)end.pos + 1);
	line[strcspn(line, "\n")] = 0;
	if (str_starts(line, "CONNECT ") && str_uint(line + 8, 1, UINT32_MAX - 1, &port) &&
	    evbuffer_get_length(in) == 0) {
		int fd = dup(bufferevent_getfd(b));

		if (fd >= 0 && vsock_dial_guest(vhost_vsock(r->vhost), fd, (uint32_t)port))
			log_warn("vsock", "too many connections");
	}
	bufferevent_free(b);
}

static void door_event(struct bufferevent *b, short what, void *arg)
{
	(void)what, (void)arg;
	bufferevent_free(b);
}

static void on_door(evutil_socket_t fd, short what, void *arg)
{
	struct runner *r = arg;
	struct timeval limit = { .tv_sec = LINE_WAIT_S };
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct bufferevent *b =
		conn >= 0 ? bufferevent_socket_new(r->base, conn, BEV_OPT_CLOSE_ON_FREE) : NULL;

	(void)what;
	if (!b) {
		if (conn >= 0)
			close(conn);
		return;
	}
	bufferevent_setcb(b, door_read, NULL, door_event, r);
	bufferevent_setwatermark(b, EV_READ, 0, LINE);
	bufferevent_set_timeouts(b, &limit, NULL);
	bufferevent_enable(b, EV_READ);
}

int channel_start(struct runner *r, struct err *e)
{
	if (r->launch.vsock_kernel)
		return 0; // the daemon answers for all VMs on the host's vsock
	r->vhost = vhost_new(r->base, r->launch.cid, dial, r, e);
	if (!r->vhost)
		return -1;
	r->qemu_door = listen_unix(r, "vsock.sock", on_qemu, e);
	r->guest_door = r->qemu_door ? listen_unix(r, "guest.sock", on_door, e) : NULL;
	return r->guest_door ? 0 : -1;
}

static void door_close(struct event **door)
{
	if (*door) {
		close(event_get_fd(*door));
		event_free(TAKE(*door));
	}
}

void channel_stop(struct runner *r)
{
	door_close(&r->qemu_door);
	door_close(&r->guest_door);
	if (r->ask)
		bufferevent_free(r->ask);
	r->ask = NULL;
	vhost_free(TAKE(r->vhost));
}

static void ask_done(struct bufferevent *b, short what, void *arg)
{
	struct runner *r = arg;

	if (what & BEV_EVENT_CONNECTED)
		return;
	r->ask = NULL;
	bufferevent_free(b);
}

static int dial_guest(struct runner *r, uint32_t port)
{
	int ends[2];

	if (r->launch.vsock_kernel) {
		struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = r->launch.cid, .svm_port = port };
		int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) && errno != EINPROGRESS) {
			close(fd);
			return -1;
		}
		return fd;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends))
		return -1;
	if (vsock_dial_guest(vhost_vsock(r->vhost), ends[1], port)) {
		close(ends[0]);
		return -1;
	}
	return ends[0];
}

void channel_ask_shutdown(struct runner *r)
{
	static const char request[] =
		"POST /api/Shutdown?json HTTP/1.1\r\nHost: guest\r\nConnection: close\r\n"
		"Content-Length: 2\r\n\r\n{}";
	struct timeval limit = { .tv_sec = 10 };
	int fd = r->ask ? -1 : dial_guest(r, GUEST_API);
	struct bufferevent *b = fd >= 0 ? bufferevent_socket_new(r->base, fd, BEV_OPT_CLOSE_ON_FREE) : NULL;

	if (!b) {
		if (fd >= 0)
			close(fd);
		return;
	}
	bufferevent_setcb(b, NULL, NULL, ask_done, r);
	bufferevent_set_timeouts(b, &limit, &limit);
	bufferevent_enable(b, EV_READ | EV_WRITE);
	bufferevent_write(b, request, sizeof request - 1);
	r->ask = b;
}
