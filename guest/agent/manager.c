#include "manager.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "base/strings.h"

enum { SECOND_US = 1000000 };

int manager_args(int argc, char **argv)
{
	int n = 0;

	for (int i = 0; i < argc; i++)
		if (!i || (strcmp(argv[i], "-w") != 0 && strcmp(argv[i], "--watchdog") != 0))
			argv[n++] = argv[i];
	argv[n] = NULL;
	return n;
}

// A number of the environment, 0 when absent. What starts later shall not see it.
static uint64_t take_number(const char *name, uint64_t most)
{
	const char *text = getenv(name);
	uint64_t v = 0;

	if (text && !str_uint(text, 0, most, &v))
		v = 0;
	unsetenv(name);
	return v;
}

unsigned manager_sockets(void)
{
	uint64_t pid = take_number("LISTEN_PID", UINT32_MAX), n = take_number("LISTEN_FDS", MANAGER_FDS_MAX);

	unsetenv("LISTEN_FDNAMES");
	return pid == (uint64_t)getpid() ? (unsigned)n : 0;
}

static int connect_manager(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t n = strlen(path);
	auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || n < 2 || n >= sizeof a.sun_path || (*path != '/' && *path != '@'))
		return -1;
	memcpy(a.sun_path, path, n);
	if (*path == '@')
		a.sun_path[0] = 0; // an abstract name
	if (connect(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)))
		return -1;
	return take_fd(&fd);
}

static void tell(const struct manager *m, const char *text)
{
	if (send(m->fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		log_warn("agent", "the service manager was not told %s", text);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	tell(arg, "WATCHDOG=1");
}

// Twice in the time after which it would restart us; upstream's rule, a second at least.
static void feed(struct manager *m, struct event_base *base)
{
	uint64_t us = take_number("WATCHDOG_USEC", UINT32_MAX),
		 half = us / 2 > SECOND_US ? us / 2 : SECOND_US;
	uint64_t pid = take_number("WATCHDOG_PID", UINT32_MAX);
	struct timeval every = { (time_t)(half / SECOND_US), (suseconds_t)(half % SECOND_US) };

	if (!us || (pid && pid != (uint64_t)getpid()))
		return;
	m->tick = event_new(base, -1, EV_PERSIST, on_tick, m);
	if (!m->tick || event_add(m->tick, &every))
		log_error("agent", "the watchdog is not fed: out of memory");
}

void manager_ready(struct manager *m, struct event_base *base)
{
	const char *path = getenv("NOTIFY_SOCKET");

	*m = (struct manager){ .fd = path ? connect_manager(path) : -1 };
	if (path && m->fd < 0)
		log_warn("agent", "no way to the service manager at %s", STR_QZ(path));
	unsetenv("NOTIFY_SOCKET");
	if (m->fd < 0)
		return;
	tell(m, "READY=1");
	feed(m, base);
}

void manager_stop(struct manager *m)
{
	if (m->fd < 0)
		return;
	tell(m, "STOPPING=1");
	if (m->tick)
		event_free(m->tick);
	close(m->fd);
	*m = (struct manager){ .fd = -1 };
}
