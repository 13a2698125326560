// Raw bytes to a connection, in one or two parts, then half-closed. Asserts that every connection ends once
// its peer has, and that no value of a head holds NUL, CR or LF.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "rpc/http.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

static int parts;

static void more(struct http_conn *c, void *arg)
{
	(void)arg;
	if (parts-- > 0)
		http_write(c, "abc", 3);
	else
		http_end(c);
}

static void on(struct http_conn *c, void *arg)
{
	const struct http_head *h = http_request(c);

	(void)arg;
	for (size_t i = 0; i < h->fields; i++)
		for (size_t j = 0; j < h->field[i].value.n; j++)
			if (!h->field[i].value.p[j] || h->field[i].value.p[j] == '\n' ||
			    h->field[i].value.p[j] == '\r')
				abort();
	if (http_body(c).n > 4096)
		abort();
	parts = 3;
	if (h->path.n > 2 && h->path.p[1] == 's' && h->path.p[2] == 'w')
		http_watch(c, 20);
	if (h->path.n > 1 && h->path.p[1] == 's')
		http_stream(c, 200, "x/y", more, NULL, NULL);
	else
		http_reply(c, 200, "x/y", "hello", 5);
}

static struct http_server server = {
	.body_max = 4096, .idle_s = 10, .request_s = 30, .handler_s = 30, .handler = on, .conns_max = 4096
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN);
	server.base = event_base_new();
	return 0;
}

static void give(int fd, const uint8_t *d, size_t n)
{
	if (n && send(fd, d, n, MSG_NOSIGNAL) < 0)
		return; // it may have closed already
}

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	int f[2], end = 0;
	size_t half = n && d[0] & 1 ? n / 2 : n;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, f) || http_adopt(&server, f[0], NULL))
		abort();
	give(f[1], d, half);
	for (int i = 0; i < 2; i++)
		event_base_loop(server.base, EVLOOP_NONBLOCK);
	give(f[1], d + half, n - half);
	shutdown(f[1], SHUT_WR);
	for (int i = 0; i < 200 && !end; i++) {
		char b[8192];
		ssize_t r;
		event_base_loop(server.base, EVLOOP_NONBLOCK);
		while ((r = recv(f[1], b, sizeof b, 0)) > 0)
			;
		end = r == 0 || (r < 0 && errno != EAGAIN);
	}
	close(f[1]);
	for (int i = 0; i < 5 && server.conns; i++)
		event_base_loop(server.base, EVLOOP_NONBLOCK);
	if (!end || server.conns)
		abort();
	return 0;
}
