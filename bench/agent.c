// agent - what GetKey costs the guest agent on its unix socket, beside the least a server can do there.
//
//   bench-agent SOCKET PID [ROUNDS]
// The reference is a libevent echo server that this program starts: the same request arrives on a socket of
// the same kind and goes back as it came, unparsed. Both are asked in turns; CPU of the server per call,
// medians.
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/strings.h"
#include "proc.h"

enum { ROUNDS = 2000, TURNS = 5, WARM_UP = 300, REPLY_MAX = 16384 };

static const char get_key[] = "POST /GetKey HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
			      "Content-Length: 35\r\n\r\n{\"path\":\"/bench\",\"purpose\":\"bench\"}";
static const char version[] = "GET /Version HTTP/1.1\r\nHost: x\r\n\r\n";

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof a.sun_path) {
		fprintf(stderr, "%s: too long for a socket\n", path);
		exit(2);
	}
	memcpy(a.sun_path, path, strlen(path) + 1);
	return a;
}

static void on_read(struct bufferevent *b, void *arg)
{
	(void)arg;
	evbuffer_add_buffer(bufferevent_get_output(b), bufferevent_get_input(b));
}

static void on_event(struct bufferevent *b, short what, void *arg)
{
	(void)what, (void)arg;
	bufferevent_free(b);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *a, int n, void *arg)
{
	(void)l, (void)a, (void)n;
	struct bufferevent *b = bufferevent_socket_new(arg, fd, BEV_OPT_CLOSE_ON_FREE);

	if (!b)
		exit(1);
	bufferevent_setcb(b, on_read, NULL, on_event, NULL);
	bufferevent_enable(b, EV_READ | EV_WRITE);
}

// Listening when this returns; the child serves until this program ends.
static pid_t echo_start(const char *path)
{
	struct sockaddr_un a = address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 64))
		die(path);
	pid_t child = fork();
	if (child < 0)
		die("fork");
	if (child > 0) {
		close(fd);
		return child;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	struct event_base *base = event_base_new();
	if (!base || !evconnlistener_new(base, on_accept, base, LEV_OPT_CLOSE_ON_FREE, 0, fd))
		_exit(1);
	event_base_dispatch(base);
	_exit(0);
}

struct server {
	const char *path;
	char pid[16];
	bool echo;
};

static int dial(const struct server *s)
{
	struct sockaddr_un a = address(s->path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a))
		die(s->path);
	return fd;
}

// Bytes of the whole reply once its head is here, 0 before.
static size_t reply_size(const struct server *s, const char *reply, size_t request)
{
	if (s->echo)
		return request;
	const char *end = strstr(reply, "\r\n\r\n"), *length = strcasestr(reply, "content-length:");

	if (!end)
		return 0;
	if (strncmp(reply, "HTTP/1.1 200", 12) != 0 || !length || length > end) {
		fprintf(stderr, "%.200s\n", reply);
		exit(1);
	}
	return (size_t)(end + 4 - reply) + strtoul(length + 15, NULL, 10);
}

static void ask(const struct server *s, int fd, const char *request)
{
	static char reply[REPLY_MAX + 1];
	size_t n = strlen(request), have = 0, want = 0;

	if (write(fd, request, n) != (ssize_t)n)
		die("write");
	while (!want || have < want) {
		ssize_t got = read(fd, reply + have, REPLY_MAX - have);
		if (got <= 0)
			die("read");
		have += (size_t)got;
		reply[have] = 0;
		want = reply_size(s, reply, n);
	}
}

// CPU microseconds of the server for one call; each over a connection of its own when `fresh`.
static double cost(const struct server *s, const char *request, uint64_t rounds, bool fresh)
{
	int fd = dial(s);

	for (int i = 0; i < WARM_UP; i++)
		ask(s, fd, request);
	double before = proc_cpu_ns(s->pid);
	for (uint64_t i = 0; i < rounds; i++) {
		if (fresh) {
			close(fd);
			fd = dial(s);
		}
		ask(s, fd, request);
	}
	double spent = proc_cpu_ns(s->pid) - before;
	close(fd);
	return spent / (double)rounds / 1e3;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(const char *name, const struct server both[2], const char *request, uint64_t rounds,
		    bool fresh)
{
	double us[2][TURNS];

	for (int turn = 0; turn < TURNS; turn++)
		for (int k = 0; k < 2; k++)
			us[k][turn] = cost(&both[k], request, rounds, fresh);
	for (int k = 0; k < 2; k++)
		qsort(us[k], TURNS, sizeof us[k][0], by_value);
	double value = us[0][TURNS / 2], reference = us[1][TURNS / 2];
	printf("agent.%s\t%.1f\tus\t%.1f\t%.2f\n", name, value, reference, value / reference);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	uint64_t rounds = ROUNDS;
	char path[200];

	if (argc < 3 || argc > 4 || strlen(argv[2]) >= sizeof((struct server *)0)->pid ||
	    (argc == 4 && !str_u64(argv[3], &rounds)) || !rounds)
		return fprintf(stderr, "usage: bench-agent SOCKET PID [ROUNDS]\n"), 2;
	snprintf(path, sizeof path, "%s.echo", argv[1]);
	struct server both[2] = { { .path = argv[1] }, { .path = path, .echo = true } };
	pid_t echo = echo_start(path);

	snprintf(both[0].pid, sizeof both[0].pid, "%s", argv[2]);
	snprintf(both[1].pid, sizeof both[1].pid, "%d", (int)echo);
	measure("getkey", both, get_key, rounds, false);
	measure("getkey_connect", both, get_key, rounds, true);
	measure("version", both, version, rounds, false);
	double mib = (double)proc_pss_kib(argv[2]) / 1024;
	printf("agent.memory\t%.1f\tMiB\t12\t%.2f\n", mib, mib / 12);
	kill(echo, SIGKILL);
	waitpid(echo, NULL, 0);
	unlink(path);
	return 0;
}
