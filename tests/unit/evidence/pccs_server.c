#include "pccs_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <pthread.h>

#include "base/sb.h"
#include "base/time.h"
#include "serve.h"

struct visit {
	struct pccs_server *s;
	int fd;
};

static bool put(int fd, const void *p, size_t n)
{
	return send(fd, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static size_t read_head(int fd, char *head, size_t cap)
{
	size_t n = 0;

	while (n < cap && !memmem(head, n, "\r\n\r\n", 4)) {
		ssize_t got = recv(fd, head + n, cap - n, 0);

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	return n;
}

// The genuine answer, to be sent as it is or altered.
static void answer(struct pccs_server *s, const char *head, size_t n, struct sb *out)
{
	static const char identity[] =
		"GET /tdx/certification/v4/qe/identity?update=standard HTTP/1.1\r\nHost: x\r\n\r\n";
	static const char crl[] = "GET /sgx/certification/v4/rootcacrl HTTP/1.1\r\nHost: x\r\n\r\n";
	int64_t now = (int64_t)time(NULL) + s->offset;

	if (s->behaviour == OTHER_ITEM)
		serve_answer(s->pki, identity, sizeof identity - 1, now, out);
	else if (s->root_crl_at && memmem(head, n, s->root_crl_at, strlen(s->root_crl_at)))
		serve_answer(s->pki, crl, sizeof crl - 1, now, out);
	else
		serve_answer(s->pki, head, n, now, out);
}

// `from` in the head of the answer becomes `to`.
static void alter(struct sb *out, const char *from, const char *to)
{
	char *at = memmem(out->p, out->n, from, strlen(from));
	struct sb made = { 0 };

	if (!at)
		return;
	sb_put(&made, out->p, (size_t)(at - out->p));
	sb_str(&made, to);
	sb_put(&made, at + strlen(from), out->n - (size_t)(at - out->p) - strlen(from));
	sb_free(out);
	*out = made;
}

static void endless(int fd, const char *start, const char *part)
{
	bool more = put(fd, start, strlen(start));

	while (more)
		more = put(fd, part, strlen(part));
}

static void drip(int fd)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

	for (size_t i = 0; i < sizeof text - 1 && put(fd, text + i, 1); i++)
		time_sleep_ms(50);
}

static void wait_for_close(int fd)
{
	char c;

	while (recv(fd, &c, 1, 0) > 0)
		;
}

static void status(int fd, const char *line)
{
	char text[200];

	put(fd, text,
	    (size_t)snprintf(text, sizeof text,
			     "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", line));
}

static void altered(struct pccs_server *s, int fd, const char *head, size_t n)
{
	struct sb out = { 0 };

	answer(s, head, n, &out);
	switch ((int)s->behaviour) {
	case NO_CHAIN:
		alter(&out, "-Issuer-Chain: ", "-Other: ");
		break;
	case TWO_CHAINS:
		alter(&out, "Connection: close\r\n", "tcb-info-issuer-chain: a\r\n");
		break;
	case BAD_PERCENT:
		alter(&out, "%0A\r\n", "%0\r\n");
		break;
	case BAD_HEX:
		alter(&out, "%0A\r\n", "%zz\r\n");
		break;
	case BAD_NUL:
		alter(&out, "%0A\r\n", "%00\r\n");
		break;
	case GARBAGE:
		alter(&out, "\r\n\r\n{", "\r\n\r\n]");
		break;
	case CUT:
		out.n -= 10;
		break;
	default:
		break;
	}
	put(fd, out.p, out.n);
	sb_free(&out);
}

static void respond(struct pccs_server *s, int fd, const char *head, size_t n)
{
	switch ((int)s->behaviour) {
	case SILENT:
		wait_for_close(fd);
		break;
	case DRIPPING:
		drip(fd);
		break;
	case HUGE_BODY:
		endless(fd, "HTTP/1.1 200 OK\r\nTCB-Info-Issuer-Chain: a\r\n\r\n",
			"{\"tcbInfo\": \"aaaaaaaaaaaaaaaaa\"");
		break;
	case HUGE_HEAD:
		endless(fd, "HTTP/1.1 200 OK\r\n",
			"X-Much: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
		break;
	case REDIRECTING:
		status(fd, "302 Found\r\nLocation: /tdx/certification/v4/tcb?fmspc=" PKI_FMSPC);
		break;
	case NOT_FOUND:
		status(fd, "404 Not Found");
		break;
	case BROKEN:
		status(fd, "500 Broken");
		break;
	default:
		if (s->behaviour == NO_ROOT_CRL && memmem(head, n, "v4/rootcacrl", 12))
			status(fd, "404 Not Found");
		else
			altered(s, fd, head, n);
	}
}

static void *visit(void *arg)
{
	struct visit v = *(struct visit *)arg;
	char head[8192];

	free(arg);
	size_t n = read_head(v.fd, head, sizeof head);

	if (v.s->delay_ms)
		time_sleep_ms((uint64_t)v.s->delay_ms);
	respond(v.s, v.fd, head, n);
	close(v.fd);
	v.s->connections--;
	return NULL;
}

static void *serve(void *arg)
{
	struct pccs_server *s = arg;

	for (;;) {
		struct visit *v = malloc(sizeof *v);
		pthread_t t;

		if (!v)
			abort();
		*v = (struct visit){ s, accept4(s->fd, NULL, NULL, SOCK_CLOEXEC) };
		s->requests++;
		s->connections++;
		if (v->fd < 0 || pthread_create(&t, NULL, visit, v) || pthread_detach(t))
			abort();
	}
	return NULL;
}

void pccs_server_start(struct pccs_server *s, const struct pki *pki)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	pthread_t t;

	s->pki = pki;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(s->fd, 64), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &n), 0);
	s->port = ntohs(a.sin_port);
	snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u/", s->port);
	assert_int_equal(pthread_create(&t, NULL, serve, s), 0);
	pthread_detach(t);
}
