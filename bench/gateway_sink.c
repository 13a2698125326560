// bench-gateway-sink - the backend of bench/gateway.sh: replies of any length for as little CPU as can be.
//
//   bench-gateway-sink ADDRESS RAW_PORT TLS_PORT CERT KEY
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>
#include "core/codec/buf.h"
#include "gateway_wire.h"

enum { BLOB = 1 << 20, CHUNK = 16 << 10, SMALL = 4096 };

struct peer {
	int fd;
	SSL *ssl;
	uint8_t in[4096];
	size_t have;
	bool greeted, closing;
	uint64_t left;
};

static const char zeros[CHUNK];

struct sink {
	int epoll, blob;
	SSL_CTX *ctx;
};

static void drop(struct peer *p)
{
	SSL_free(p->ssl);
	close(p->fd);
	free(p);
}

static int again(struct sink *s, struct peer *p, uint32_t events)
{
	struct epoll_event x = { .events = events, .data.ptr = p };

	return epoll_ctl(s->epoll, EPOLL_CTL_MOD, p->fd, &x);
}

// 0 or -1 with errno, EAGAIN for "later" in either direction.
static ssize_t tls_result(struct peer *p, int n)
{
	if (n > 0)
		return n;
	int why = SSL_get_error(p->ssl, n);
	errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
	ERR_clear_error();
	return why == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static ssize_t put(struct sink *s, struct peer *p)
{
	off_t from = 0;
	size_t n = p->left < CHUNK ? (size_t)p->left : CHUNK;

	if (p->ssl)
		return tls_result(p, SSL_write(p->ssl, zeros, (int)n));
	if (p->left <= SMALL)
		return send(p->fd, zeros, p->left, MSG_NOSIGNAL);
	return sendfile(p->fd, s->blob, &from, p->left < BLOB ? p->left : BLOB);
}

static ssize_t get(struct peer *p)
{
	size_t room = sizeof p->in - p->have;

	return p->ssl ? tls_result(p, SSL_read(p->ssl, p->in + p->have, (int)room))
		      : recv(p->fd, p->in + p->have, room, 0);
}

static void consume(struct peer *p, size_t n)
{
	p->have -= n;
	memmove(p->in, p->in + n, p->have);
}

// A command, if one is here.
static bool command(struct peer *p)
{
	if (!p->greeted && p->have >= RECORD_HEAD) {
		size_t n = RECORD_HEAD + ((size_t)p->in[3] << 8 | p->in[4]);
		if (p->have >= n) {
			consume(p, n);
			p->greeted = true;
		}
	}
	if (!p->greeted || p->have < COMMAND)
		return false;
	struct rd r = rd_from(p->in, COMMAND);
	p->closing = rd_u8(&r) == 'C';
	rd_take(&r, 7);
	p->left = rd_be64(&r);
	consume(p, COMMAND);
	return true;
}

static int serve(struct sink *s, struct peer *p)
{
	for (;;) {
		while (p->left) {
			ssize_t w = put(s, p);
			if (w <= 0)
				return errno == EAGAIN ? again(s, p, EPOLLOUT) : -1;
			p->left -= (uint64_t)w;
		}
		if (p->closing)
			return -1;
		if (command(p))
			continue;
		ssize_t n = get(p);
		if (n <= 0)
			return n < 0 && errno == EAGAIN ? again(s, p, EPOLLIN) : -1;
		p->have += (size_t)n;
	}
}

static int listen_on(const char *ip, const char *port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)strtoul(port, NULL, 10)) };

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (inet_pton(AF_INET, ip, &a.sin_addr) != 1 || bind(fd, (void *)&a, sizeof a) || listen(fd, 4096)) {
		perror("listen");
		exit(1);
	}
	return fd;
}

static void take_peers(struct sink *s, int listener, bool tls)
{
	for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
		struct peer *p = calloc(1, sizeof *p);
		if (!p)
			exit(1);
		p->fd = fd;
		p->greeted = tls;
		if (tls) {
			p->ssl = SSL_new(s->ctx);
			SSL_set_fd(p->ssl, fd);
			SSL_set_accept_state(p->ssl);
		}
		struct epoll_event x = { .events = EPOLLIN, .data.ptr = p };
		epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &x);
	}
}

int main(int argc, char **argv)
{
	struct sink s = { .epoll = epoll_create1(0), .blob = memfd_create("blob", 0), .ctx = NULL };
	int listeners[2];
	struct epoll_event events[256];

	if (argc != 6 || s.epoll < 0)
		return 2;
	// Pages of its own: a hole would be one page of zeros, read from the nearest cache and too cheap to
	// copy.
	for (int i = 0; i < BLOB / CHUNK; i++)
		if (write(s.blob, zeros, CHUNK) != CHUNK)
			return 2;
	signal(SIGPIPE, SIG_IGN);
	s.ctx = SSL_CTX_new(TLS_server_method());
	if (!s.ctx || SSL_CTX_use_certificate_chain_file(s.ctx, argv[4]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(s.ctx, argv[5], SSL_FILETYPE_PEM) != 1)
		return 2;
	SSL_CTX_set_mode(s.ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(s.ctx, SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
	for (int i = 0; i < 2; i++) {
		listeners[i] = listen_on(argv[1], argv[2 + i]);
		struct epoll_event x = { .events = EPOLLIN, .data.ptr = &listeners[i] };
		epoll_ctl(s.epoll, EPOLL_CTL_ADD, listeners[i], &x);
	}
	for (;;) {
		int n = epoll_wait(s.epoll, events, 256, -1);
		for (int i = 0; i < n; i++) {
			void *what = events[i].data.ptr;
			if (what == &listeners[0] || what == &listeners[1])
				take_peers(&s, *(int *)what, what == &listeners[1]);
			else if (serve(&s, what) < 0)
				drop(what);
		}
	}
}
