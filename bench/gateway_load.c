// bench-gateway-load - connections, requests or bulk through a proxy that routes by SNI, from one thread.
//
//   bench-gateway-load IP:PORT NAME raw|tls conn|rr|bulk|idle CONNECTIONS SECONDS
// raw sends a real ClientHello and no TLS after it, so that the proxy and not the endpoints is what is
// measured. conn: connect, one short reply, close, over and over. rr: short replies on open connections.
// bulk: 64 MiB replies. idle: open the connections, print, wait for the end of stdin. Prints: operations,
// errors, bytes, seconds, median microseconds.
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
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "core/codec/buf.h"
#include "gateway_wire.h"

enum { SHORT = 128, BULK = 64 << 20, SAMPLES = 1 << 20, BUFFER = 256 << 10, SPIN = 16 };
enum mode { CONN, RR, BULKS, IDLE };

struct slot {
	int fd;
	SSL *ssl;
	bool connected, shaken, first, asked, held;
	size_t sent;
	uint64_t left;
	double began;
};

struct load {
	struct sockaddr_in to;
	const char *name;
	SSL_CTX *ctx;
	bool tls, stopping;
	enum mode mode;
	int epoll;
	uint8_t first[4096], next[COMMAND], buffer[BUFFER];
	size_t first_n;
	uint64_t reply, ops, errors, bytes, held;
	uint32_t *took;
	size_t n_took;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void arm(struct load *l, struct slot *s, uint32_t events, int op)
{
	struct epoll_event x = { .events = events, .data.ptr = s };

	epoll_ctl(l->epoll, op, s->fd, &x);
}

static void start(struct load *l, struct slot *s)
{
	int one = 1;

	*s = (struct slot){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
			    .first = true,
			    .began = now() };
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(s->fd, (void *)&l->to, sizeof l->to) && errno != EINPROGRESS)
		l->errors++;
	if (l->tls) {
		s->ssl = SSL_new(l->ctx);
		SSL_set_fd(s->ssl, s->fd);
		SSL_ctrl(s->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
			 (char *)(uintptr_t)l->name);
		SSL_set_connect_state(s->ssl);
	}
	arm(l, s, EPOLLOUT, EPOLL_CTL_ADD);
}

static void restart(struct load *l, struct slot *s)
{
	if (s->ssl)
		SSL_set_shutdown(s->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(s->ssl);
	s->ssl = NULL;
	close(s->fd);
	if (!l->stopping)
		start(l, s);
}

static void failed(struct load *l, struct slot *s)
{
	l->errors++;
	ERR_clear_error();
	if (l->mode == IDLE) {
		l->held++;
		close(s->fd);
	} else {
		restart(l, s);
	}
}

// Bytes, 0 at the end, -1 broken, -2 later.
static ssize_t result(struct slot *s, ssize_t n)
{
	if (n > 0)
		return n;
	if (!s->ssl)
		return n < 0 && errno == EAGAIN ? -2 : n;
	int why = SSL_get_error(s->ssl, (int)n);
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? -2
	       : why == SSL_ERROR_ZERO_RETURN                            ? 0
									 : -1;
}

// 1 sent, 0 later, -1 broken
static int ask(struct load *l, struct slot *s)
{
	const uint8_t *p = s->first ? l->first : l->next;
	size_t n = s->first ? l->first_n : COMMAND;

	if (s->sent == 0 && l->mode != CONN)
		s->began = now();
	while (s->sent < n) {
		ssize_t w = s->ssl ? SSL_write(s->ssl, p + s->sent, (int)(n - s->sent))
				   : send(s->fd, p + s->sent, n - s->sent, MSG_NOSIGNAL);
		w = result(s, w);
		if (w <= 0)
			return w == -2 ? 0 : -1;
		s->sent += (size_t)w;
	}
	s->first = false;
	s->asked = true;
	s->left = l->reply;
	return 1;
}

static void answered(struct load *l, struct slot *s)
{
	l->ops++;
	if (l->n_took < SAMPLES)
		l->took[l->n_took++] = (uint32_t)((now() - s->began) * 1e6);
	s->asked = false;
	s->sent = 0;
	if (l->mode == IDLE) {
		s->held = true;
		l->held++;
	}
}

static void step(struct load *l, struct slot *s)
{
	int error = 0;
	socklen_t n_error = sizeof error;

	if (!s->connected) {
		getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &n_error);
		if (error) {
			failed(l, s);
			return;
		}
		s->connected = true;
	}
	if (s->ssl && !s->shaken) {
		int r = SSL_do_handshake(s->ssl);
		if (r != 1) {
			int why = SSL_get_error(s->ssl, r);
			if (why == SSL_ERROR_WANT_READ)
				arm(l, s, EPOLLIN, EPOLL_CTL_MOD);
			else if (why != SSL_ERROR_WANT_WRITE)
				failed(l, s);
			return;
		}
		s->shaken = true;
	}
	for (int i = 0; i < SPIN || (s->ssl && SSL_has_pending(s->ssl)); i++) {
		if (s->held) // whatever comes now is its end
			return;
		if (!s->asked) {
			int r = ask(l, s);
			if (r < 0)
				failed(l, s);
			if (r > 0)
				arm(l, s, EPOLLIN, EPOLL_CTL_MOD);
			if (r <= 0)
				return;
		}
		ssize_t n = result(s, s->ssl ? SSL_read(s->ssl, l->buffer, BUFFER)
					     : recv(s->fd, NULL, 1 << 20, MSG_TRUNC));
		if (n == -2)
			return;
		if (n <= 0) {
			failed(l, s);
			return;
		}
		l->bytes += (uint64_t)n;
		s->left -= (uint64_t)n < s->left ? (uint64_t)n : s->left;
		if (s->left)
			continue;
		answered(l, s);
		if (l->mode == CONN) {
			restart(l, s);
			return;
		}
	}
}

static int make_first(struct load *l)
{
	struct wr w = wr_to(l->next, COMMAND);

	l->reply = l->mode == BULKS ? BULK : SHORT;
	wr_u8(&w, l->mode == CONN ? 'C' : 'K');
	wr_put(&w, "\0\0\0\0\0\0\0", 7);
	wr_be64(&w, l->reply);
	if (!l->tls) { // a real ClientHello in front
		SSL *ssl = SSL_new(l->ctx);
		BIO *out = BIO_new(BIO_s_mem());
		BIO_up_ref(out);
		SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
		SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
			 (char *)(uintptr_t)l->name);
		SSL_connect(ssl);
		ERR_clear_error();
		int n = BIO_read(out, l->first, sizeof l->first - COMMAND);
		if (n <= 0)
			return -1;
		l->first_n = (size_t)n;
		SSL_free(ssl);
		BIO_free(out);
	}
	memcpy(l->first + l->first_n, l->next, COMMAND);
	l->first_n += COMMAND;
	return 0;
}

static int ascending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void report(struct load *l, double seconds)
{
	qsort(l->took, l->n_took, sizeof *l->took, ascending);
	printf("%lu %lu %lu %.4f %u\n", (unsigned long)l->ops, (unsigned long)l->errors,
	       (unsigned long)l->bytes, seconds, l->n_took ? l->took[l->n_took / 2] : 0);
	fflush(stdout);
}

static int arguments(struct load *l, char **argv)
{
	static const char *const modes[] = { "conn", "rr", "bulk", "idle" };
	char *colon = strchr(argv[1], ':');

	if (!colon)
		return -1;
	*colon = 0;
	l->to = (struct sockaddr_in){ .sin_family = AF_INET,
				      .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)) };
	l->name = argv[2];
	l->tls = !strcmp(argv[3], "tls");
	size_t m = 0;
	while (m < 4 && strcmp(modes[m], argv[4]) != 0)
		m++;
	l->mode = (enum mode)m;
	return m < 4 && inet_pton(AF_INET, argv[1], &l->to.sin_addr) == 1 ? 0 : -1;
}

int main(int argc, char **argv)
{
	static struct load l;
	struct epoll_event events[256];
	char c;

	if (argc != 7 || arguments(&l, argv))
		return 2;
	size_t n = strtoul(argv[5], NULL, 10), started = 0;
	double seconds = strtod(argv[6], NULL), began;
	signal(SIGPIPE, SIG_IGN);
	l.epoll = epoll_create1(EPOLL_CLOEXEC);
	l.ctx = SSL_CTX_new(TLS_client_method());
	l.took = malloc(SAMPLES * sizeof *l.took);
	struct slot *slots = calloc(n, sizeof *slots);
	if (l.epoll < 0 || !l.ctx || !l.took || !slots)
		return 1;
	SSL_CTX_set_min_proto_version(l.ctx, TLS1_3_VERSION);
	SSL_CTX_set1_groups_list(l.ctx, "X25519");
	SSL_CTX_set_read_ahead(l.ctx, 1);
	if (make_first(&l))
		return 1;
	began = now();
	while (l.mode == IDLE ? l.held < n && now() - began < 60 : now() - began < seconds) {
		while (started < n && (l.mode != IDLE || started - l.held < 64))
			start(&l, &slots[started++]);
		int k = epoll_wait(l.epoll, events, 256, 50);
		for (int i = 0; i < k; i++)
			step(&l, events[i].data.ptr);
	}
	report(&l, now() - began);
	while (l.mode == IDLE && read(0, &c, 1) > 0)
		;
	return 0;
}
