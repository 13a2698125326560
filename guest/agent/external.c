#include "external.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>
#include "ask.h"
#include "base/log.h"
#include "jail.h"
#include "lanes.h"

enum { CONNS = 256, IDLE_S = 10, REQUEST_S = 30, HANDLER_S = 120, STOP_S = 4, AGAIN_S = 1 };

int external_mount(struct rpc_server *s, struct external *x)
{
	const struct outside *o = &x->outside;

	rpc_server_limits(s, CONNS, IDLE_S, REQUEST_S, HANDLER_S);
	return mount_external(s, o) || metrics_mount(s, &x->metrics, o) ||
			       logs_mount(s, o->base, &x->logs, o) ||
			       dashboard_mount(s, o->base, &x->dashboard, o)
		       ? -1
		       : 0;
}

void external_stop(struct external *x)
{
	dashboard_stop(&x->dashboard);
}

void external_free(struct external *x)
{
	metrics_free(&x->metrics);
	dashboard_free(&x->dashboard);
}

struct serving {
	struct event_base *base;
	struct rpc_server *server;
};

static void on_stopped(void *arg)
{
	struct serving *s = arg;

	event_base_loopbreak(s->base);
}

// The main process says nothing on the channel: it is readable at its end.
static void on_end(evutil_socket_t fd, short what, void *arg)
{
	struct serving *s = arg;

	(void)fd, (void)what;
	rpc_server_stop(s->server, STOP_S, on_stopped, s);
}

// What the listener is made of.
struct door {
	const struct config *config;
	int channel, fd;
	const struct app_files *app;
	const char *tee;
};

static int serve(const struct door *d, struct err *e)
{
	struct serving s = { .base = event_base_new() };
	struct external x = { .outside = outside_asked(s.base, &d->channel, d->app, d->tee) };
	char address[16];

	s.server = s.base ? rpc_server_new(s.base) : NULL;
	struct event *end = s.server ? event_new(s.base, d->channel, EV_READ, on_end, &s) : NULL;
	if (!end || event_add(end, NULL) || lanes_rate(s.server, d->config) || external_mount(s.server, &x))
		return err_set(e, ERR_SYSTEM, "start the external listener: out of memory");
	snprintf(address, sizeof address, "fd:%d", d->fd);
	if (rpc_server_listen(s.server, address, NULL, 0, e) || jail_external(e))
		return -1;
	event_base_dispatch(s.base);
	event_free(end);
	external_stop(&x);
	rpc_server_free(s.server);
	external_free(&x);
	event_base_free(s.base);
	return 0;
}

// Whether the one that served came to its end in order.
static bool serve_once(const struct door *d)
{
	pid_t keeper = getpid(), pid = fork();
	struct err e = { 0 };
	int status = 0;

	if (!pid) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != keeper)
			_exit(1);
		int rc = serve(d, &e);
		if (rc)
			log_error("agent", "external listener: %s code=%s", e.text,
				  e.code[0] ? e.code : "none");
		_exit(rc ? 1 : 0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid > 0 && WIFEXITED(status) && !WEXITSTATUS(status))
		return true;
	log_error("agent", "the external listener ended; starting it again status=%d", status);
	return false;
}

static uint16_t port_of(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage room;
	} a = { 0 };
	socklen_t n = sizeof a;

	if (getsockname(fd, &a.any, &n))
		return 0;
	return a.any.sa_family == AF_INET    ? ntohs(a.in.sin_port)
	       : a.any.sa_family == AF_INET6 ? ntohs(a.in6.sin6_port)
					     : 0;
}

static int prepare(const struct config *c, pid_t parent, struct err *e)
{
	const char *address = config_str(c, "external.address");
	uid_t user = (uid_t)config_int(c, "external.user");
	int fd = rpc_socket(address, 0777, e); // before the user changes: port and folder may be root's

	if (fd < 0)
		return -1;
	log_info("agent", "external listener address=%s port=%u", address, port_of(fd));
	return process_confine("external", user, parent, e) || jail_keeper(e) ? -1 : fd;
}

__attribute__((noreturn)) static void keep(struct door *d, pid_t parent)
{
	struct err e = { 0 };

	d->fd = prepare(d->config, parent, &e);
	if (send(d->channel, &e, sizeof e, MSG_NOSIGNAL) != (ssize_t)sizeof e || d->fd < 0)
		_exit(1);
	while (!serve_once(d))
		sleep(AGAIN_S);
	_exit(0);
}

int external_start(struct process *p, const struct config *c, const struct app_files *app, const char *tee,
		   struct err *e)
{
	struct door d = { .config = c, .app = app, .tee = tee };
	pid_t parent = getpid();
	struct err got;
	ssize_t n;

	if (process_fork(p, e))
		return -1;
	d.channel = p->fd;
	if (!p->pid)
		keep(&d, parent);
	do
		n = recv(p->fd, &got, sizeof got, 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof got)
		err_set(&got, ERR_SYSTEM, "the external listener did not start");
	if (got.class == ERR_NONE)
		return 0;
	process_wait(p);
	*e = got;
	return -1;
}
