#include "reactor.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "hello.h"
#include "relay.h"
#include "terminate.h"

enum { EVENTS_MAX = 256, ACCEPTS = 64, DISCARD = 64 << 10 };

// RFC 8446 section 6: level fatal. 112 unrecognized_name, 50 decode_error, 80 internal_error.
enum { ALERT_UNRECOGNIZED_NAME = 112, ALERT_DECODE_ERROR = 50, ALERT_INTERNAL_ERROR = 80 };

static void seconds(struct reactor *r)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	r->now = (uint32_t)t.tv_sec;
}

// What else the client sent is taken off the socket before it is closed: closing on unread bytes would send a
// reset that may overtake our last words.
static void last_words(struct reactor *r, struct conn *c, const void *p, size_t n)
{
	if (send(c->fd[CLIENT], p, n, MSG_NOSIGNAL) == (ssize_t)n) {
		shutdown(c->fd[CLIENT], SHUT_WR);
		recv(c->fd[CLIENT], NULL, DISCARD, MSG_TRUNC);
	}
	conn_end(r, c);
}

// Say why in TLS's own words, then end.
static void refuse(struct reactor *r, struct conn *c, uint8_t alert)
{
	const uint8_t record[] = { 21, 3, 3, 0, 2, 2, alert };

	last_words(r, c, record, sizeof record);
}

// Not TLS: a browser that was sent to the port without https can be told.
static void refuse_plain(struct reactor *r, struct conn *c)
{
	static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
				     "Content-Length: 28\r\nConnection: close\r\n\r\n"
				     "this port speaks HTTPS only\n";

	last_words(r, c, answer, sizeof answer - 1);
}

uint32_t reactors_live(struct reactor *const *all, unsigned n, uint32_t instance)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += atomic_load_explicit(&all[i]->live[instance], memory_order_relaxed);
	return sum;
}

// Of the first candidates the one with the fewest connections; sets its bit in c->tried.
static const struct route *choose(struct reactor *r, struct conn *c)
{
	size_t n, best_at = 0;
	const struct route *const *list = route_find(r->routes, c->id, &n), *best = NULL;
	uint32_t fewest = UINT32_MAX, all = 0;
	bool denied = false;

	if (n > r->config.top_n)
		n = r->config.top_n;
	for (size_t i = 0; i < n; i++) {
		uint32_t live = reactors_live(r->all, r->n_all, list[i]->index);
		all += live;
		if (c->tried & 1 << i || list[i]->state >= ROUTE_QUARANTINED)
			continue;
		if (!route_allows(list[i], c->port, r->config.unknown_policy_allowed)) {
			denied = true;
			continue;
		}
		// One that only has grace left is taken when no trusted one is there.
		if (best && list[i]->state > best->state)
			continue;
		if (live < fewest) {
			fewest = live;
			best = list[i];
			best_at = i;
		}
	}
	if (best && r->config.connections_per_app_max && all >= r->config.connections_per_app_max) {
		count(&r->counters.refused_limit, 1);
		return NULL;
	}
	if (best)
		c->tried |= (uint16_t)(1 << best_at);
	else if (denied)
		count(&r->counters.refused_policy, 1);
	else if (!c->tried)
		count(&r->counters.refused_route, 1);
	return best;
}

static void leave_instance(struct reactor *r, struct conn *c)
{
	if (c->instance != NO_INSTANCE)
		atomic_fetch_sub_explicit(&r->live[c->instance], 1, memory_order_relaxed);
	c->instance = NO_INSTANCE;
	if (c->fd[BACKEND] >= 0)
		close(c->fd[BACKEND]);
	c->fd[BACKEND] = -1;
	c->out[BACKEND] = false;
}

int reactor_dial(struct reactor *r, struct conn *c)
{
	const struct route *to;
	int one = 1;

	while ((to = choose(r, c))) {
		struct sockaddr_in at = { .sin_family = AF_INET,
					  .sin_port = htons(c->port),
					  .sin_addr = to->ip };
		c->instance = to->index;
		atomic_fetch_add_explicit(&r->live[c->instance], 1, memory_order_relaxed);
		c->fd[BACKEND] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (c->fd[BACKEND] >= 0) {
			setsockopt(c->fd[BACKEND], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
			if (connect(c->fd[BACKEND], (void *)&at, sizeof at) == 0 || errno == EINPROGRESS)
				return 0;
		}
		count(&r->counters.connect_failed, 1);
		leave_instance(r, c);
	}
	return -1;
}

// Connected or under way: pass on the ClientHello, at once if the kernel takes it.
static int pass_hello(struct reactor *r, struct conn *c, const uint8_t *hello, size_t n)
{
	ssize_t w = send(c->fd[BACKEND], hello, n, MSG_NOSIGNAL);

	queue_remove(conn_queue(r, c), c);
	c->state = w == (ssize_t)n ? CONN_RELAY : CONN_DIAL;
	queue_add(r, conn_queue(r, c), c);
	if (w == (ssize_t)n) {
		flow_drop(&c->flow[CLIENT]);
		count(&r->counters.routed, 1);
	} else {
		size_t sent = w > 0 ? (size_t)w : 0;
		if (flow_keep(&c->flow[CLIENT], hello + sent, n - sent))
			return -1;
	}
	conn_watch(r, c, BACKEND, w == (ssize_t)n ? 0 : EPOLLOUT);
	c->bytes[CLIENT] = n;
	return 0;
}

// All of the ClientHello is in the buffer: where to?
static void route_hello(struct reactor *r, struct conn *c, const char *sni, size_t n)
{
	struct err e = { 0 };
	struct name want;
	const struct route_env *env = route_env(r->routes);

	if (name_parse(&want, sni, env->domain, &e)) {
		count(&r->counters.refused_sni, 1);
		refuse(r, c, ALERT_UNRECOGNIZED_NAME);
		return;
	}
	memcpy(c->id, want.id, ID_SIZE);
	c->port = want.port;
	SSL_CTX *ctx = want.mode == NAME_PASS           ? NULL
		       : want.mode == NAME_TERMINATE_H2 ? env->tls_h2
							: env->tls;
	if (want.mode != NAME_PASS && !ctx) {
		refuse(r, c, ALERT_UNRECOGNIZED_NAME);
		return;
	}
	if (ctx ? !choose(r, c) : reactor_dial(r, c)) {
		refuse(r, c, ALERT_UNRECOGNIZED_NAME);
		return;
	}
	if (ctx)
		c->tried = 0; // chosen only to know that there is one; connected to after the handshake
	if (ctx ? terminate_start(r, c, ctx, r->buffer, n) : pass_hello(r, c, r->buffer, n))
		conn_end(r, c);
}

// The client's first bytes. They are read, not peeked: the relay passes them on from memory.
static void on_hello(struct reactor *r, struct conn *c)
{
	char sni[HELLO_NAME_MAX + 1];
	struct err e = { 0 };
	struct flow *f = &c->flow[CLIENT];
	size_t have = f->spill ? f->spill->n : 0;
	ssize_t n = recv(c->fd[CLIENT], r->buffer + have, HELLO_MAX - have, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_end(r, c);
		return;
	}
	if (have)
		memcpy(r->buffer, f->spill->b, have);
	have += (size_t)n;
	int state = hello_name(r->buffer, have, sni, &e);
	if (state == HELLO_MORE && have < HELLO_MAX) {
		if (flow_keep(f, r->buffer, have))
			conn_end(r, c);
		else
			conn_again(r, c); // more may be here already, and its edge is spent
		return;
	}
	if (state != HELLO_DONE) {
		count(&r->counters.refused_sni, 1);
		if (r->buffer[0] >= 'A' && r->buffer[0] <= 'Z')
			refuse_plain(r, c);
		else
			refuse(r, c, ALERT_DECODE_ERROR);
		return;
	}
	f->flags |= FLOW_READY; // what follows the hello may have come with it
	route_hello(r, c, sni, have);
}

// The instance did not answer: another one, as long as nothing was passed on.
static void dial_again(struct reactor *r, struct conn *c)
{
	struct spill *s = c->flow[CLIENT].spill;

	count(&r->counters.connect_failed, 1);
	leave_instance(r, c);
	if (c->tls) {
		if (terminate_dial_failed(r, c))
			conn_end(r, c);
		return;
	}
	if (s && s->at == 0 && reactor_dial(r, c) == 0) {
		queue_remove(&r->dial, c);
		queue_add(r, &r->dial, c);
		conn_watch(r, c, BACKEND, EPOLLOUT);
		return;
	}
	refuse(r, c, ALERT_INTERNAL_ERROR);
}

static void on_dial(struct reactor *r, struct conn *c, int side, uint32_t events)
{
	struct flow *f = &c->flow[side];

	if (side == CLIENT) {
		f->flags |= (uint8_t)(FLOW_READY | (events & (EPOLLRDHUP | EPOLLHUP) ? FLOW_FIN : 0));
		if (events & EPOLLERR)
			conn_end(r, c);
		return;
	}
	if (events & (EPOLLERR | EPOLLHUP)) {
		dial_again(r, c);
		return;
	}
	if (!(events & EPOLLOUT))
		return;
	queue_remove(&r->dial, c);
	c->state = CONN_RELAY;
	queue_add(r, &r->idle, c);
	count(&r->counters.routed, 1);
	if (relay_event(r, c, side, events))
		conn_end(r, c);
}

static void on_event(struct reactor *r, struct conn *c, int side, uint32_t events)
{
	switch ((enum conn_state)c->state) {
	case CONN_HELLO:
		if (events & EPOLLERR)
			conn_end(r, c);
		else
			on_hello(r, c);
		break;
	case CONN_DIAL:
		on_dial(r, c, side, events);
		break;
	case CONN_RELAY:
		if (relay_event(r, c, side, events))
			conn_end(r, c);
		break;
	case CONN_TLS_DIAL:
		if (side == BACKEND && events & (EPOLLERR | EPOLLHUP))
			dial_again(r, c);
		else if (terminate_event(r, c, side, events))
			conn_end(r, c);
		break;
	case CONN_HANDSHAKE:
	case CONN_TLS:
	case CONN_TLS_FAILED:
		if (terminate_event(r, c, side, events))
			conn_end(r, c);
		break;
	case CONN_DEAD:
		break;
	}
}

// At the cap the listener is left alone; what waits stays in its backlog.
static void listen_more(struct reactor *r)
{
	struct epoll_event x = { .events = EPOLLIN, .data.ptr = NULL };
	bool room = atomic_load_explicit(&r->counters.open, memory_order_relaxed) < r->config.connections_max;

	if (r->now < r->no_accept_until)
		room = false;
	if (room == r->listening)
		return;
	r->listening = room;
	epoll_ctl(r->epoll, room ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, r->listener, &x);
}

static void on_accept(struct reactor *r)
{
	for (int i = 0; i < ACCEPTS && r->listening; i++) {
		int fd = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
				r->no_accept_until = r->now + 2;
			return;
		}
		struct conn *c = conn_new(r, fd);
		if (!c) {
			close(fd);
			return;
		}
		count(&r->counters.accepted, 1);
		on_hello(r, c);
		// Registered after the first read: a connection refused by its first bytes costs no epoll
		// call.
		if (c->state != CONN_DEAD)
			conn_watch(r, c, CLIENT, 0);
		listen_more(r);
	}
}

static void wait_over(struct reactor *r, struct conn *c)
{
	bool half = (c->flow[0].flags | c->flow[1].flags) & FLOW_EOF;
	uint32_t limit = half ? r->config.half_closed_s : r->config.idle_s;

	if (c->state == CONN_DIAL || c->state == CONN_TLS_DIAL) {
		dial_again(r, c);
		return;
	}
	if (conn_queue(r, c) == &r->hello || r->now - c->active >= limit ||
	    r->now - c->started >= r->config.total_s) {
		count(&r->counters.timeouts, 1);
		conn_end(r, c);
		return;
	}
	queue_remove(&r->idle, c);
	queue_add(r, &r->idle, c);
}

static void timers(struct reactor *r)
{
	struct queue *all[] = { &r->hello, &r->dial, &r->idle };

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		for (struct conn *c; (c = all[i]->first) && c->due <= r->now;)
			wait_over(r, c);
}

// A new table: connections of instances that it says are revoked end at once.
static void cut_revoked(struct reactor *r)
{
	struct queue *all[] = { &r->hello, &r->dial, &r->idle };

	if (!r->routes || route_number(r->routes) == r->routes_seen)
		return;
	r->routes_seen = route_number(r->routes);
	for (size_t i = 0; route_any_revoked(r->routes) && i < sizeof all / sizeof *all; i++)
		for (struct conn *c = all[i]->first, *next; c; c = next) {
			next = c->next;
			if (c->instance == NO_INSTANCE || !route_is_revoked(r->routes, c->instance))
				continue;
			conn_reset(c);
			conn_end(r, c);
			count(&r->counters.revoked, 1);
		}
}

static void run_ready(struct reactor *r)
{
	struct conn *c = r->ready, *next;

	r->ready = NULL;
	for (; c; c = next) {
		next = c->ready;
		c->is_ready = false;
		if (c->state == CONN_DEAD) {
			c->ready = r->graveyard;
			r->graveyard = c;
		} else if (c->state == CONN_RELAY) {
			if (relay_run(r, c))
				conn_end(r, c);
		} else {
			on_event(r, c, CLIENT, EPOLLIN);
		}
	}
}

static void turn(struct reactor *r, struct epoll_event *events)
{
	bool waiting = r->hello.first || r->dial.first || r->idle.first || !r->listening;
	int n = epoll_wait(r->epoll, events, EVENTS_MAX, r->ready ? 0 : waiting ? 1000 : -1);
	uint64_t woken;

	seconds(r);
	r->routes = route_pin(r->board, r->number);
	cut_revoked(r);
	run_ready(r);
	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr == NULL)
			on_accept(r);
		else if (events[i].data.ptr == r)
			(void)!read(r->wake, &woken, sizeof woken);
		else
			on_event(r, (struct conn *)(uintptr_t)(events[i].data.u64 & ~1ULL),
				 (int)(events[i].data.u64 & 1), events[i].events);
	}
	timers(r);
	conn_bury(r);
	listen_more(r);
	r->routes = NULL;
	route_unpin(r->board, r->number);
}

void reactor_run(struct reactor *r)
{
	struct epoll_event events[EVENTS_MAX];

	while (!atomic_load_explicit(&r->stop, memory_order_relaxed))
		turn(r, events);
}

void reactor_stop(struct reactor *r)
{
	uint64_t one = 1;

	atomic_store(&r->stop, true);
	(void)!write(r->wake, &one, sizeof one);
}

int reactor_init(struct reactor *r, unsigned number, int listener, const struct reactor_config *config,
		 struct route_board *board, struct reactor *const *all, unsigned n_all, struct err *e)
{
	*r = (struct reactor){ .number = number,
			       .listener = listener,
			       .config = *config,
			       .board = board,
			       .all = all,
			       .n_all = n_all,
			       .epoll = epoll_create1(EPOLL_CLOEXEC),
			       .wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
	uint32_t look = config->idle_s < config->half_closed_s ? config->idle_s : config->half_closed_s;
	if (config->total_s < look)
		look = config->total_s;
	r->hello.seconds = config->hello_s;
	r->dial.seconds = config->connect_s;
	r->idle.seconds = look >= 4 ? look / 4 : 1;
	struct epoll_event x = { .events = EPOLLIN, .data.ptr = r };
	r->live = mmap(NULL, INSTANCES_MAX * sizeof *r->live, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	r->buffer = aligned_alloc(4096, BUFFER_SIZE);
	if (r->epoll < 0 || r->wake < 0 || r->live == MAP_FAILED || !r->buffer ||
	    pipes_init(&r->pipes, config->pipes) || epoll_ctl(r->epoll, EPOLL_CTL_ADD, r->wake, &x))
		return err_errno(e, "set up reactor %u", number);
	seconds(r);
	listen_more(r);
	return 0;
}

void reactor_end(struct reactor *r)
{
	for (size_t i = 0; i < r->n_slabs; i++) {
		struct conn *b = r->slabs[i];
		for (size_t k = 0; k < (64 << 10) / sizeof *b; k++)
			conn_end(r, &b[k]);
	}
	for (size_t i = 0; i < r->n_slabs; i++)
		munmap(r->slabs[i], 64 << 10);
	pipes_end(&r->pipes);
	close(r->epoll);
	close(r->wake);
	close(r->listener);
	free(r->slabs);
	free(r->buffer);
	munmap(r->live, INSTANCES_MAX * sizeof *r->live);
}
