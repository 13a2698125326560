// agent - what calls cost the guest agent on its unix socket, beside the least a server can do there.
//
//   bench-agent SOCKET PID [ROUNDS [CALLS]]
// The reference is a libevent echo server that this program starts: the same request arrives on a socket of
// the same kind and goes back as it came, unparsed. Both are asked in turns; CPU of the server per call,
// medians of ROUNDS (2000) calls. Of many connections each has one call under way. At the end CALLS (1000000)
// calls of several kinds show whether memory grows.
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/strings.h"
#include "proc.h"

enum {
	ROUNDS = 2000,
	SLOW_ROUNDS = 200, // of what takes a millisecond
	CALLS = 1000000,
	TURNS = 5,
	WARM_UP = 64,
	MANY = 64, // connections
	REQUEST_MAX = 512,
	REPLY_MAX = 1 << 20,
};

// Writes the `i`th request of its kind.
typedef void request_fn(char out[static REQUEST_MAX], uint64_t i);

static void post(char out[static REQUEST_MAX], const char *method, const char *body)
{
	snprintf(out, REQUEST_MAX,
		 "POST /%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
		 "%zu\r\n\r\n%s",
		 method, strlen(body), body);
}

static void get_key(char out[static REQUEST_MAX], uint64_t i)
{
	(void)i;
	post(out, "GetKey", "{\"path\":\"/bench\",\"purpose\":\"bench\"}");
}

// Never asked for before: as the count goes on over all turns.
static void new_key(char out[static REQUEST_MAX], uint64_t i)
{
	static uint64_t count;
	char body[64];

	(void)i;
	snprintf(body, sizeof body, "{\"path\":\"/bench/%llu\"}", (unsigned long long)++count);
	post(out, "GetKey", body);
}

static void info(char out[static REQUEST_MAX], uint64_t i)
{
	(void)i;
	post(out, "Info", "{}");
}

static void version(char out[static REQUEST_MAX], uint64_t i)
{
	(void)i;
	snprintf(out, REQUEST_MAX, "GET /Version HTTP/1.1\r\nHost: x\r\n\r\n");
}

static void tls_key(char out[static REQUEST_MAX], uint64_t i)
{
	(void)i;
	post(out, "GetTlsKey", "{\"subject\":\"bench\",\"usage_server_auth\":true}");
}

// What an app does: mostly the same keys, now and then a new one, Info and Version.
static void mixed(char out[static REQUEST_MAX], uint64_t i)
{
	request_fn *const kinds[16] = { new_key, info, version, info, version };
	request_fn *one = kinds[i % 16];

	(one ? one : get_key)(out, i);
}

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

static void ask(int fd, const char *request)
{
	size_t n = strlen(request);

	if (write(fd, request, n) != (ssize_t)n)
		die("write");
}

static void answer(const struct server *s, int fd, size_t request)
{
	static char reply[REPLY_MAX + 1];
	size_t have = 0, want = 0;

	while (!want || have < want) {
		ssize_t got = read(fd, reply + have, REPLY_MAX - have);
		if (got <= 0)
			die("read");
		have += (size_t)got;
		reply[have] = 0;
		want = reply_size(s, reply, request);
	}
}

// `rounds` calls, of which one on each of `n` connections is under way at a time; each over a connection of
// its own when `fresh`.
static void calls(const struct server *s, request_fn *make, uint64_t rounds, unsigned n, bool fresh)
{
	static char request[MANY][REQUEST_MAX];
	int fd[MANY];

	for (unsigned k = 0; k < n; k++)
		fd[k] = dial(s);
	for (uint64_t i = 0; i < rounds; i += n) {
		for (unsigned k = 0; k < n; k++) {
			if (fresh) {
				close(fd[k]);
				fd[k] = dial(s);
			}
			make(request[k], i + k);
			ask(fd[k], request[k]);
		}
		for (unsigned k = 0; k < n; k++)
			answer(s, fd[k], strlen(request[k]));
	}
	for (unsigned k = 0; k < n; k++)
		close(fd[k]);
}

struct load {
	request_fn *make;
	uint64_t rounds;
	unsigned connections;
	bool fresh;
	double budget_us; // 0: none
};

// CPU microseconds of the server for one call.
static double cost(const struct server *s, const struct load *l)
{
	uint64_t rounds = (l->rounds + l->connections - 1) / l->connections * l->connections;

	calls(s, l->make, WARM_UP, l->connections, l->fresh);
	double before = proc_tree_cpu_ns(s->pid);
	calls(s, l->make, rounds, l->connections, l->fresh);
	return (proc_tree_cpu_ns(s->pid) - before) / (double)rounds / 1e3;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void show(const char *name, double value, double reference, double budget_us)
{
	printf("agent.%s\t%.1f\tus\t%.1f\t%.2f", name, value, reference, value / reference);
	printf(budget_us > 0 ? "\t%.2f\n" : "\n", budget_us / reference);
	fflush(stdout);
}

static void measure(const char *name, const struct server both[2], const struct load *l)
{
	double us[2][TURNS];

	for (int turn = 0; turn < TURNS; turn++)
		for (int k = 0; k < 2; k++)
			us[k][turn] = cost(&both[k], l);
	for (int k = 0; k < 2; k++)
		qsort(us[k], TURNS, sizeof us[k][0], by_value);
	show(name, us[0][TURNS / 2], us[1][TURNS / 2], l->budget_us);
}

// The least that a certificate takes: a P-256 key and a signature, in CPU microseconds of this process.
static double key_and_signature(uint64_t rounds)
{
	static const unsigned char message[512];
	struct timespec from, to;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (uint64_t i = 0; i < rounds; i++) {
		unsigned char sig[128];
		size_t n = sizeof sig;
		EVP_PKEY *key = EVP_EC_gen("P-256");
		EVP_MD_CTX *c = EVP_MD_CTX_new();
		if (!key || !c || EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, key) != 1 ||
		    EVP_DigestSign(c, sig, &n, message, sizeof message) != 1)
			die("P-256");
		EVP_MD_CTX_free(c);
		EVP_PKEY_free(key);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	return ((double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3) /
	       (double)rounds;
}

static void measure_tls_key(const struct server *s)
{
	const struct load l = { .make = tls_key, .rounds = SLOW_ROUNDS, .connections = 1 };
	double us[2][TURNS];

	for (int turn = 0; turn < TURNS; turn++) {
		us[0][turn] = cost(s, &l);
		us[1][turn] = key_and_signature(SLOW_ROUNDS);
	}
	for (int k = 0; k < 2; k++)
		qsort(us[k], TURNS, sizeof us[k][0], by_value);
	show("gettlskey", us[0][TURNS / 2], us[1][TURNS / 2], 0);
}

static void memory(const char *name, const char *pid)
{
	double mib = (double)proc_tree_pss_kib(pid) / 1024;

	printf("agent.%s\t%.1f\tMiB\t12\t%.2f\t1.0\n", name, mib, mib / 12);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	uint64_t rounds = ROUNDS, many = CALLS;
	char path[200];

	if (argc < 3 || argc > 5 || strlen(argv[2]) >= sizeof((struct server *)0)->pid ||
	    (argc > 3 && !str_u64(argv[3], &rounds)) || !rounds || (argc > 4 && !str_u64(argv[4], &many)))
		return fprintf(stderr, "usage: bench-agent SOCKET PID [ROUNDS [CALLS]]\n"), 2;
	memory("memory", argv[2]);
	snprintf(path, sizeof path, "%s.echo", argv[1]);
	struct server both[2] = { { .path = argv[1] }, { .path = path, .echo = true } };
	pid_t echo = echo_start(path);
	const struct {
		const char *name;
		struct load load;
	} loads[] = {
		{ "getkey", { get_key, rounds, 1, false, 40 } },
		{ "getkey_64", { get_key, rounds, MANY, false, 40 } },
		{ "getkey_first", { new_key, rounds, 1, false, 40 } },
		{ "getkey_connect", { get_key, rounds, 1, true, 0 } },
		{ "info", { info, rounds, 1, false, 0 } },
		{ "info_64", { info, rounds, MANY, false, 0 } },
		{ "version", { version, rounds, 1, false, 0 } },
		{ "version_64", { version, rounds, MANY, false, 0 } },
	};

	snprintf(both[0].pid, sizeof both[0].pid, "%s", argv[2]);
	snprintf(both[1].pid, sizeof both[1].pid, "%d", (int)echo);
	for (size_t i = 0; i < sizeof loads / sizeof *loads; i++)
		measure(loads[i].name, both, &loads[i].load);
	measure_tls_key(&both[0]);
	memory("memory_busy", argv[2]);
	calls(&both[0], mixed, many, MANY, false);
	memory("memory_after_calls", argv[2]);
	kill(echo, SIGKILL);
	waitpid(echo, NULL, 0);
	unlink(path);
	return 0;
}
