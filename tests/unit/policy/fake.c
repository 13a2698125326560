#include "fake.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct conn {
	struct fake *f;
	int fd;
};

// More bytes, or false when the peer is gone or the test over.
static bool more(struct conn *c, char *to, size_t cap, size_t *n)
{
	while (!c->f->stop) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		if (poll(&p, 1, 20) <= 0)
			continue;
		ssize_t k = read(c->fd, to + *n, cap - *n);
		if (k <= 0)
			return false;
		*n += (size_t)k;
		return true;
	}
	return false;
}

static bool read_request(struct conn *c, struct fake_request *q)
{
	char *all = calloc(1, sizeof q->head + sizeof q->body);
	size_t n = 0, length = 0;
	char *end = NULL;
	bool ok = true;

	while (ok && !(end = strstr(all, "\r\n\r\n")))
		ok = more(c, all, sizeof q->head + sizeof q->body - 1, &n);
	if (ok) {
		const char *field = strcasestr(all, "\r\nContent-Length:");
		length = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
		size_t head = (size_t)(end - all) + 4;
		while (ok && n < head + length)
			ok = more(c, all, sizeof q->head + sizeof q->body - 1, &n);
		snprintf(q->head, sizeof q->head, "%.*s", (int)head, all);
		q->body_n = length < sizeof q->body ? length : sizeof q->body - 1;
		memcpy(q->body, all + head, q->body_n);
		q->body[q->body_n] = 0;
	}
	free(all);
	return ok;
}

static void pause_ms(const struct fake *f, int ms)
{
	for (; ms > 0 && !f->stop; ms -= 5)
		usleep(5000);
}

static bool put(struct conn *c, const char *p, size_t n)
{
	while (n && !c->f->stop) {
		struct pollfd w = { .fd = c->fd, .events = POLLOUT };
		if (poll(&w, 1, 20) <= 0)
			continue;
		ssize_t k = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return !n;
}

static bool reply(struct conn *c, const struct fake_reply *r)
{
	char junk[4096];
	char head[128];
	size_t n = r->n ? r->n : r->bytes ? strlen(r->bytes) : 0;

	memset(junk, 'x', sizeof junk);
	pause_ms(c->f, r->wait_ms);
	if (!r->bytes) {
		snprintf(head, sizeof head,
			 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
			 strlen(r->body));
		return put(c, head, strlen(head)) && put(c, r->body, strlen(r->body)) && !r->close;
	}
	for (size_t i = 0; r->drip_ms && i < n; i++) {
		if (!put(c, r->bytes + i, 1))
			return false;
		pause_ms(c->f, r->drip_ms);
	}
	if (!r->drip_ms && !put(c, r->bytes, n))
		return false;
	for (size_t left = r->junk; left;) {
		size_t k = left < sizeof junk ? left : sizeof junk;
		if (!put(c, junk, k))
			return false;
		left -= k;
	}
	return !r->close;
}

static void *serve(void *arg)
{
	struct conn *c = arg;
	struct fake_request *q = calloc(1, sizeof *q);

	while (read_request(c, q)) {
		struct fake_reply r = { 0 };
		atomic_fetch_add(&c->f->requests, 1);
		c->f->fn(c->f->arg, q, &r);
		if (!reply(c, &r))
			break;
	}
	close(c->fd);
	atomic_fetch_sub(&c->f->open, 1);
	free(q);
	free(c);
	return NULL;
}

static void *listen_on(void *arg)
{
	struct fake *f = arg;

	while (!f->stop) {
		struct pollfd p = { .fd = f->fd, .events = POLLIN };
		pthread_t t;
		if (poll(&p, 1, 20) <= 0)
			continue;
		int fd = accept(f->fd, NULL, NULL);
		if (fd < 0)
			continue;
		struct conn *c = calloc(1, sizeof *c);
		*c = (struct conn){ f, fd };
		atomic_fetch_add(&f->conns, 1);
		atomic_fetch_add(&f->open, 1);
		pthread_create(&t, NULL, serve, c);
		pthread_detach(t);
	}
	return NULL;
}

void fake_start(struct fake *f, fake_fn *fn, void *arg)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	int on = 1;

	a.sin_port = htons((uint16_t)f->port); // 0: any; a port of before: the same again
	f->stop = false;
	f->fn = fn;
	f->arg = arg;
	f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(f->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(f->fd, (struct sockaddr *)&a, sizeof a) || listen(f->fd, 128) ||
	    getsockname(f->fd, (struct sockaddr *)&a, &n))
		abort();
	f->port = ntohs(a.sin_port);
	snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u", f->port);
	if (pthread_create(&f->thread, NULL, listen_on, f))
		abort();
}

void fake_stop(struct fake *f)
{
	f->stop = true;
	pthread_join(f->thread, NULL);
	close(f->fd);
	while (f->open)
		usleep(1000);
}
