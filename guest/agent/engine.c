#include "engine.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/sb.h"
#include "base/strings.h"

int engine_connect(const char *socket_path, struct err *e)
{
	struct sockaddr_un u = { .sun_family = AF_UNIX };
	size_t n = strlen(socket_path);

	if (!n)
		return err_code(e, ERR_ABSENT, "agent.engine", "there is no container engine");
	if (n >= sizeof u.sun_path)
		return err_code(e, ERR_SYSTEM, "agent.engine",
				"the container engine's socket has a path of %zu bytes", n);
	memcpy(u.sun_path, socket_path, n);
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(e, "open a socket");
	if (connect(fd, (void *)&u, sizeof u)) // never in progress on such a socket
		return err_code(e, errno == ENOENT ? ERR_ABSENT : ERR_AGAIN, "agent.engine",
				"the container engine cannot be reached: %s", strerror(errno));
	return take_fd(&fd);
}

int engine_logs(const char *socket_path, const char *name, const struct log_query *how, struct err *e)
{
	auto_close int fd = engine_connect(socket_path, e);
	auto_sb b = { 0 };

	if (fd < 0)
		return -1;
	sb_fmt(&b, "GET /containers/%s/logs?stdout=true&stderr=true&tail=%s", name, how->tail);
	sb_fmt(&b, "&follow=%s&timestamps=%s", how->follow ? "true" : "false",
	       how->timestamps ? "true" : "false");
	if (how->since)
		sb_fmt(&b, "&since=%" PRIu64, how->since);
	if (how->until)
		sb_fmt(&b, "&until=%" PRIu64, how->until);
	sb_str(&b, " HTTP/1.0\r\nHost: engine\r\n\r\n");
	// A few hundred bytes go into a fresh socket at once.
	if (b.bad || send(fd, b.p, b.n, MSG_NOSIGNAL) != (ssize_t)b.n)
		return err_code(e, ERR_AGAIN, "agent.engine", "the container engine cannot be asked");
	return take_fd(&fd);
}

struct bufferevent *engine_get(struct event_base *base, int fd, const char *target,
			       bufferevent_data_cb on_read, bufferevent_event_cb on_event, void *arg)
{
	struct bufferevent *b =
		bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);

	if (!b) {
		close(fd);
		return NULL;
	}
	bufferevent_setcb(b, on_read, NULL, on_event, arg);
	if (target)
		evbuffer_add_printf(bufferevent_get_output(b), "GET %s HTTP/1.0\r\nHost: engine\r\n\r\n",
				    target);
	if (!bufferevent_enable(b, EV_READ | EV_WRITE))
		return b;
	bufferevent_free(b);
	return NULL;
}

// The value of the one field `name` among the lines after the first; NULL when it is not there.
static const char *field(const char *head, const char *name, char out[static 32])
{
	const char *at = strcasestr(head, name);

	if (!at)
		return NULL;
	at += strlen(name);
	at += strspn(at, " \t");
	size_t n = strcspn(at, "\r\n");
	out[0] = 0;
	if (n < 32) {
		memcpy(out, at, n);
		out[n] = 0;
	}
	return out;
}

int engine_head(struct evbuffer *in, bool over, struct engine_head *out)
{
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	char h[ENGINE_HEAD_MAX + 1], value[32];
	uint64_t status = 0;

	if (end.pos < 0 || end.pos > ENGINE_HEAD_MAX - 4)
		return over || end.pos >= 0 || evbuffer_get_length(in) > ENGINE_HEAD_MAX ? -1 : 0;
	size_t n = (size_t)end.pos + 4;
	evbuffer_remove(in, h, n);
	h[n] = 0;
	if (strlen(h) != n || n < 14 || (!str_starts(h, "HTTP/1.0 ") && !str_starts(h, "HTTP/1.1 ")) ||
	    (h[12] != ' ' && h[12] != '\r'))
		return -1;
	memcpy(value, h + 9, 3);
	value[3] = 0;
	if (!str_uint(value, 100, 599, &status) || field(h, "\ntransfer-encoding:", value))
		return -1;
	*out = (struct engine_head){ (int)status, UINT64_MAX };
	return field(h, "\ncontent-length:", value) && !str_uint(value, 0, INT64_MAX, &out->length) ? -1 : 1;
}
