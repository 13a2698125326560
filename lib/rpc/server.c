#include "rpc/server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "base/time.h"
#include "rpc/client_key.h"
#include "rpc/server_impl.h"

struct rpc_server *rpc_server_new(struct event_base *base)
{
	struct rpc_server *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	signal(SIGPIPE, SIG_IGN);
	if (getrandom(&s->id_seed, sizeof s->id_seed, 0) < 0)
		s->id_seed = (uint32_t)time_now_ms(); // ids only tell requests apart
	s->http = (struct http_server){
		.base = base,
		.body_max = RPC_BODY_MAX,
		.too_large = 400, // upstream's status for it
		.arg = s,
		.route = rpc_route,
		.handler = rpc_handle,
		.refuse = rpc_refuse,
		.gone = rpc_gone,
	};
	rpc_server_limits(s, 1024, 10, 30, 120);
	return s;
}

void rpc_server_limits(struct rpc_server *s, size_t conns_max, int idle_s, int request_s, int handler_s)
{
	s->http.conns_max = conns_max;
	s->http.idle_s = idle_s;
	s->http.request_s = request_s;
	s->http.handler_s = handler_s;
}

static void close_listeners(struct rpc_server *s)
{
	for (size_t i = 0; i < s->n_listeners; i++) {
		evconnlistener_free(s->listeners[i].l);
		event_free(s->listeners[i].again);
		SSL_CTX_free(s->listeners[i].tls);
	}
	s->n_listeners = 0;
}

void rpc_server_free(struct rpc_server *s)
{
	if (!s)
		return;
	close_listeners(s);
	http_close_all(&s->http);
	if (s->own_pool)
		pool_free(s->pool); // completes the calls it held
	rate_free(s->rate);
	rate_free(s->conn_rate);
	if (s->stop_tick)
		event_free(s->stop_tick);
	free(s);
}

int rpc_server_mount(struct rpc_server *s, const char *path, const char *prefix,
		     const struct rpc_method *methods, size_t n, void *arg)
{
	assert(s->n_mounts < RPC_MOUNTS_MAX);
	s->mounts[s->n_mounts++] = (struct rpc_mount){ path, prefix, methods, n, arg };
	return 0;
}

int rpc_server_raw(struct rpc_server *s, const char *path, void (*fn)(struct http_conn *, void *arg),
		   void *arg)
{
	assert(s->n_raws < RPC_MOUNTS_MAX);
	s->raws[s->n_raws++] = (struct rpc_raw){ path, fn, arg };
	return 0;
}

void rpc_server_gate(struct rpc_server *s, int (*gate)(struct rpc_call *, void *arg, struct err *e),
		     void *arg)
{
	s->gate = gate;
	s->gate_arg = arg;
}

void rpc_server_door(struct rpc_server *s, int (*door)(struct http_conn *, void *arg, struct err *e),
		     const char *headers, void *arg)
{
	s->door = door;
	s->door_headers = headers;
	s->door_arg = arg;
}

void rpc_server_seal(struct rpc_server *s,
		     int (*seal)(struct http_conn *, struct span body, char *lines, void *arg), void *arg)
{
	s->seal = seal;
	s->seal_arg = arg;
}

void rpc_server_show_errors(struct rpc_server *s)
{
	s->show_errors = true;
}

void rpc_server_pool(struct rpc_server *s, struct pool *p)
{
	s->pool = p;
}

int rpc_server_rate(struct rpc_server *s, const struct rate_limits *l)
{
	rate_free(s->rate);
	s->rate = rate_new(l);
	return s->rate ? 0 : -1;
}

int rpc_server_body_max(struct rpc_server *s, const char *method, uint64_t max)
{
	size_t i = 0;

	while (i < s->n_limits && strcmp(s->limits[i].method, method) != 0)
		i++;
	if (i == RPC_LIMITS_MAX)
		return -1;
	s->limits[i].method = method;
	s->limits[i].max = max < RPC_BODY_MAX ? (size_t)max : RPC_BODY_MAX;
	s->n_limits += i == s->n_limits;
	return 0;
}

int rpc_server_header(struct rpc_server *s, const char *text)
{
	size_t n = strlen(s->headers);
	int k = snprintf(s->headers + n, sizeof s->headers - n, "%s\r\n", text);

	if (k < 0 || (size_t)k >= sizeof s->headers - n || strpbrk(text, "\r\n")) {
		s->headers[n] = 0;
		return -1;
	}
	s->http.headers = s->headers;
	return 0;
}

int rpc_server_conn_rate(struct rpc_server *s, const struct rate_limits *l)
{
	rate_free(s->conn_rate);
	s->conn_rate = rate_new(l);
	return s->conn_rate ? 0 : -1;
}

void rpc_server_watch(struct rpc_server *s,
		      void (*fn)(void *arg, const char *method, const struct err *e, uint64_t us), void *arg)
{
	s->watch = fn;
	s->watch_arg = arg;
}

struct rpc_counts rpc_server_counts(const struct rpc_server *s)
{
	return (struct rpc_counts){ s->requests_refused, s->conns_refused, s->http.conns, s->calls };
}

static bool may_connect(struct rpc_server *s, int fd)
{
	uint8_t client[CLIENT_KEY];
	struct http_peer peer;

	if (!s->conn_rate)
		return true;
	http_peer_of(fd, &peer);
	client_key_address(&peer, client);
	return rate_allow(s->conn_rate, client, time_mono_ms());
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int n, void *arg)
{
	struct rpc_listener *x = arg;
	int on = 1;

	(void)l;
	(void)sa;
	(void)n;
	if (!may_connect(x->s, fd)) {
		x->s->conns_refused++;
		close(fd);
		return;
	}
	if (x->tcp)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (http_adopt(&x->s->http, fd, x->tls))
		log_warn("rpc", "connection refused: too many open=%zu", x->s->http.conns);
}

static void on_accept_error(struct evconnlistener *l, void *arg)
{
	struct rpc_listener *x = arg;

	log_warn("rpc", "accept failed, again in a second reason=\"%s\"", strerror(errno));
	evconnlistener_disable(l);
	event_add(x->again, &(struct timeval){ 1, 0 });
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	evconnlistener_enable(((struct rpc_listener *)arg)->l);
}

static uint16_t bound_port(int fd, bool *tcp)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage room;
	} a = { 0 };
	socklen_t n = sizeof a;

	*tcp = !getsockname(fd, &a.any, &n) && (a.any.sa_family == AF_INET || a.any.sa_family == AF_INET6);
	return !*tcp ? 0 : ntohs(a.any.sa_family == AF_INET ? a.in.sin_port : a.in6.sin6_port);
}

// Takes `fd`.
static int add_listener(struct rpc_server *s, int fd, const char *address, SSL_CTX *tls, struct err *e)
{
	if (s->n_listeners == RPC_LISTENERS_MAX) {
		close(fd);
		return err_set(e, ERR_BUG, "listen on %s: too many listeners", address);
	}
	struct rpc_listener *x = &s->listeners[s->n_listeners];
	*x = (struct rpc_listener){ .s = s };
	uint16_t port = bound_port(fd, &x->tcp);
	x->again = evtimer_new(s->http.base, on_again, x);
	x->l = x->again ? evconnlistener_new(s->http.base, on_accept, x,
					     LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd)
			: NULL;
	if (!x->l) {
		if (x->again)
			event_free(x->again);
		close(fd);
		return err_set(e, ERR_SYSTEM, "listen on %s: out of memory", address);
	}
	evconnlistener_set_error_cb(x->l, on_accept_error);
	if (tls) {
		SSL_CTX_up_ref(tls);
		x->tls = tls;
	}
	if (x->tcp && !s->port)
		s->port = port;
	s->n_listeners++;
	log_info("rpc", "listening address=%s port=%u tls=%s", address, port, tls ? "yes" : "no");
	return 0;
}

int rpc_server_listen(struct rpc_server *s, const char *address, SSL_CTX *tls, mode_t mode, struct err *e)
{
	int fd = rpc_socket(address, mode, e);

	return fd < 0 ? -1 : add_listener(s, fd, address, tls, e);
}

int rpc_server_listen_fd(struct rpc_server *s, int fd, const char *address, SSL_CTX *tls, struct err *e)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return own < 0 ? err_errno(e, "listen on %s", address) : add_listener(s, own, address, tls, e);
}

uint16_t rpc_server_port(const struct rpc_server *s)
{
	return s->port;
}

static void on_stop_tick(evutil_socket_t fd, short what, void *arg)
{
	struct rpc_server *s = arg;

	(void)fd;
	(void)what;
	http_close_idle(&s->http);
	if ((s->http.conns || s->calls) && time_mono_ms() < s->stop_by) {
		event_add(s->stop_tick, &(struct timeval){ 0, 50000 });
		return;
	}
	http_close_all(&s->http);
	if (s->stopped)
		s->stopped(s->stopped_arg);
}

void rpc_server_stop(struct rpc_server *s, int seconds, void (*done)(void *), void *arg)
{
	close_listeners(s);
	s->http.stopping = true;
	s->stopped = done;
	s->stopped_arg = arg;
	s->stop_by = time_mono_ms() + (uint64_t)seconds * 1000;
	if (!s->stop_tick)
		s->stop_tick = evtimer_new(s->http.base, on_stop_tick, s);
	if (s->stop_tick)
		event_active(s->stop_tick, EV_TIMEOUT, 0);
	else if (done)
		done(arg);
}
