// server_impl - what server.c (listeners, mounts, stop) and call.c (one request) share.
#pragma once
#include "rpc/pool.h"
#include "rpc/server.h"

enum { RPC_MOUNTS_MAX = 16, RPC_LISTENERS_MAX = 8, RPC_LIMITS_MAX = 32, RPC_THREADS = 4 };

struct rpc_mount {
	const char *path, *prefix;
	const struct rpc_method *methods;
	size_t n;
	void *arg;
};

struct rpc_raw {
	const char *path;
	void (*fn)(struct http_conn *, void *);
	void *arg;
};

struct rpc_listener {
	struct rpc_server *s;
	struct evconnlistener *l;
	struct event *again; // accepting is tried again after the descriptors ran out
	SSL_CTX *tls;
	bool tcp;
};

struct rpc_server {
	struct http_server http;
	struct rpc_mount mounts[RPC_MOUNTS_MAX];
	struct rpc_raw raws[RPC_MOUNTS_MAX];
	struct rpc_listener listeners[RPC_LISTENERS_MAX];
	struct {
		const char *method;
		size_t max;
	} limits[RPC_LIMITS_MAX];
	size_t n_mounts, n_raws, n_listeners, n_limits;
	uint16_t port;
	char headers[512];
	int (*gate)(struct rpc_call *, void *, struct err *);
	void *gate_arg;
	int (*door)(struct http_conn *, void *, struct err *);
	const char *door_headers;
	void *door_arg;
	int (*seal)(struct http_conn *, struct span, char *, void *);
	void *seal_arg;
	bool show_errors;
	struct pool *pool;
	bool own_pool;
	struct rate *rate, *conn_rate;
	uint64_t requests_refused, conns_refused;
	void (*watch)(void *, const char *, const struct err *, uint64_t);
	void *watch_arg;
	uint32_t id_seed, id_next;
	size_t calls; // alive, with or without their connection
	struct event *stop_tick;
	uint64_t stop_by;
	void (*stopped)(void *);
	void *stopped_arg;
};

// http_server's hooks.
size_t rpc_route(struct http_conn *conn, const struct http_head *h, void *server);
void rpc_handle(struct http_conn *conn, void *server);
void rpc_refuse(struct http_conn *conn, int status, const char *text, const char *code, void *server);
void rpc_gone(struct http_conn *conn, void *call, void *server);
