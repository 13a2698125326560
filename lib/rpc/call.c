#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "core/codec/json.h"
#include "prpc.pb-c.h"
#include "rpc/client_key.h"
#include "rpc/server_impl.h"

struct rpc_call {
	struct rpc_server *s;
	struct http_conn *conn; // NULL once it is gone
	const struct rpc_mount *mount;
	const struct rpc_method *method;
	struct arena *arena;
	void *in, *out, *state, *tls_data;
	struct http_peer peer;
	X509 *cert, *issuer;
	char id[20];
	uint64_t began; // microseconds
	bool json, in_fn, done_early;
	struct pool_job *job; // while it waits for a thread, or runs
	int rc;               // of a worker, or of rpc_finish inside the method
	void (*on_end)(void *arg);
	void *end_arg;
	rpc_fn *next; // the stage of a worker method that runs next, or now
	// Of a stage that gave RPC_LATER: it has returned, and rpc_continue was called. Who comes second goes
	// on.
	atomic_uint halves;
	struct err err;
};

struct target {
	const struct rpc_raw *raw;
	const struct rpc_mount *mount;
	const struct rpc_method *method;
	char name[256]; // what was asked for, prefix stripped
};

static const struct rpc_method *method_of(const struct rpc_mount *m, struct span *name)
{
	size_t n = m->prefix ? strlen(m->prefix) : 0;

	while (n && name->n >= n && !memcmp(name->p, m->prefix, n)) {
		name->p += n;
		name->n -= n;
	}
	for (size_t i = 0; i < m->n; i++)
		if (span_is(*name, m->methods[i].name))
			return &m->methods[i];
	return NULL;
}

static bool raw_matches(const struct rpc_raw *r, struct span path)
{
	size_t n = strlen(r->path);

	if (n && r->path[n - 1] == '*')
		return path.n >= n - 1 && !memcmp(path.p, r->path, n - 1);
	return span_is(path, r->path);
}

// What a path means. `mount` without `method`: under a mount, but nothing of that name.
static struct target find(const struct rpc_server *s, struct span path)
{
	struct target t = { 0 };

	for (size_t i = 0; i < s->n_raws; i++) {
		if (raw_matches(&s->raws[i], path)) {
			t.raw = &s->raws[i];
			return t;
		}
	}
	for (size_t i = 0; i < s->n_mounts; i++) {
		const struct rpc_mount *m = &s->mounts[i];
		size_t n = strlen(m->path);
		if (path.n < n + 2 || memcmp(path.p, m->path, n) || path.p[n] != '/')
			continue;
		struct span name = { path.p + n + 1, path.n - n - 1 };
		if (memchr(name.p, '/', name.n))
			continue;
		t.method = method_of(m, &name);
		if (t.method || !t.mount) {
			t.mount = m;
			snprintf(t.name, sizeof t.name, "%.*s", (int)(name.n < 255 ? name.n : 255),
				 (const char *)name.p);
		}
		if (t.method)
			return t;
	}
	return t;
}

static size_t body_max(const struct rpc_server *s, const struct rpc_method *m)
{
	for (size_t i = 0; i < s->n_limits; i++)
		if (!strcmp(s->limits[i].method, m->name))
			return s->limits[i].max;
	return m->body_max ? m->body_max : RPC_BODY_MAX;
}

size_t rpc_route(struct http_conn *conn, const struct http_head *h, void *server)
{
	struct rpc_server *s = server;
	struct target t = find(s, h->path);
	uint8_t client[CLIENT_KEY];

	if (s->rate) {
		client_key_address(http_peer(conn), client);
		if (!rate_allow(s->rate, client, time_mono_ms())) {
			s->requests_refused++;
			return HTTP_TOO_MANY;
		}
	}
	return t.method ? body_max(s, t.method) : t.mount ? RPC_BODY_MAX : 65536;
}

// `?json`, `?json=1`, `?json=true`.
static bool query_json(struct span q)
{
	while (q.n) {
		const uint8_t *amp = memchr(q.p, '&', q.n);
		struct span one = { q.p, amp ? (size_t)(amp - q.p) : q.n };
		if (span_is(one, "json") || span_is(one, "json=") || span_is(one, "json=1") ||
		    span_is(one, "json=true"))
			return true;
		size_t step = amp ? one.n + 1 : one.n;
		q.p += step;
		q.n -= step;
	}
	return false;
}

static bool type_json(const struct http_head *h)
{
	static const char want[] = "application/json";
	const struct span *v = http_field(h, "Content-Type");
	size_t n = sizeof want - 1;

	return v && v->n >= n && !strncasecmp((const char *)v->p, want, n) &&
	       (v->n == n || v->p[n] == ';' || v->p[n] == ' ' || v->p[n] == '\t');
}

static void send_error(struct http_conn *conn, int status, bool json, const char *text, const char *code)
{
	if (!json) {
		uint8_t b[1024];
		Prpc__Error m;
		prpc__error__init(&m);
		m.message = (char *)(uintptr_t)text;
		m.code = (char *)(uintptr_t)code;
		size_t n = protobuf_c_message_get_packed_size(&m.base);
		if (n <= sizeof b) {
			http_reply(conn, status, "application/octet-stream", b,
				   protobuf_c_message_pack(&m.base, b));
			return;
		}
	}
	auto_sb b = { 0 };
	sb_str(&b, "{\n  \"error\": ");
	sb_json_str(&b, text);
	if (*code) {
		sb_str(&b, ",\n  \"code\": ");
		sb_json_str(&b, code);
	}
	sb_str(&b, "\n}");
	http_reply(conn, status, "application/json", b.bad ? "{}" : b.p, b.bad ? 2 : b.n);
}

// The log has everything; the peer gets what concerns its request, and the id for the rest.
static void reply_error(struct rpc_call *c)
{
	const struct err *e = &c->err;
	bool ours = e->class == ERR_AGAIN || e->class == ERR_SYSTEM || e->class == ERR_BUG;
	char text[sizeof e->text];

	if (e->class == ERR_SYSTEM || e->class == ERR_BUG)
		log_error("rpc", "%s method=%s peer=%s code=%s", e->text, c->method->name, c->peer.text,
			  e->code);
	else
		log_info("rpc", "refused: %s method=%s peer=%s code=%s", e->text, c->method->name,
			 c->peer.text, e->code);
	if (ours && !c->s->show_errors)
		snprintf(text, sizeof text, "%s, request %s",
			 e->class == ERR_AGAIN ? "temporarily unavailable" : "internal error", c->id);
	else
		snprintf(text, sizeof text, "%s", e->text);
	send_error(c->conn, 400, c->json, text, e->code);
}

static void reply_out(struct rpc_call *c)
{
	auto_sb b = { .max = 2 * RPC_BODY_MAX };
	const ProtobufCMessage *m = c->out;

	if (c->json) {
		pbjson_write(&b, m);
	} else {
		size_t n = protobuf_c_message_get_packed_size(m);
		uint8_t *packed = n <= b.max ? arena_alloc(c->arena, n + 1) : NULL;
		if (packed)
			sb_put(&b, packed, protobuf_c_message_pack(m, packed));
		else
			b.bad = true;
	}
	if (b.bad) {
		err_set(&c->err, ERR_SYSTEM, "write the reply: too large or out of memory");
		reply_error(c);
		return;
	}
	char *lines = c->s->seal ? arena_alloc(c->arena, RPC_SEAL_LINES) : NULL;
	if (c->s->seal &&
	    (!lines || c->s->seal(c->conn, span_of(b.n ? b.p : "", b.n), lines, c->s->seal_arg))) {
		err_set(&c->err, ERR_SYSTEM, "seal the reply");
		reply_error(c);
		return;
	}
	if (lines && *lines)
		http_header(c->conn, lines);
	log_debug("rpc", "done method=%s peer=%s ms=%llu", c->method->name, c->peer.text,
		  (unsigned long long)(time_mono_us() - c->began) / 1000);
	http_reply(c->conn, 200, c->json ? "application/json" : "application/octet-stream", b.n ? b.p : "",
		   b.n);
}

static void call_free(struct rpc_call *c)
{
	c->s->calls--;
	if (c->on_end)
		c->on_end(c->end_arg);
	X509_free(c->cert);
	X509_free(c->issuer);
	arena_free(c->arena);
	free(c);
}

// Sends what c->rc and c->err say, if there is still somebody to send it to.
static void complete(struct rpc_call *c)
{
	if (c->conn) {
		log_request(c->id);
		if (!c->rc && arena_bad(c->arena))
			c->rc = err_set(&c->err, ERR_SYSTEM,
					"the reply does not fit the memory of a request");
		if (c->rc)
			reply_error(c);
		else
			reply_out(c);
		log_request(NULL);
	}
	if (c->s->watch)
		c->s->watch(c->s->watch_arg, c->method->name, c->rc ? &c->err : NULL,
			    time_mono_us() - c->began);
	call_free(c);
}

void rpc_on_end(struct rpc_call *c, void (*fn)(void *arg), void *arg)
{
	c->on_end = fn;
	c->end_arg = arg;
}

void rpc_finish(struct rpc_call *c, int rc, const struct err *e)
{
	c->rc = rc;
	if (rc)
		c->err = *e;
	if (c->in_fn)
		c->done_early = true; // completed when the method has returned
	else
		complete(c);
}

void rpc_gone(struct http_conn *conn, void *call, void *server)
{
	struct rpc_call *c = call;

	(void)conn;
	(void)server;
	if (!c)
		return;
	c->conn = NULL;
	if (c->job)
		pool_leave(c->s->pool, c->job); // nobody waits for the answer
}

static void on_worker(void *arg)
{
	struct rpc_call *c = arg;

	log_request(c->id);
	c->rc = c->next(c, c->in, c->out, &c->err);
	log_request(NULL);
}

static int busy(struct rpc_call *c)
{
	return err_code(&c->err, ERR_AGAIN, "rpc.busy", "too many calls are waiting");
}

static void on_worker_done(void *arg, enum pool_end how);

static void one_half(struct rpc_call *c)
{
	if (atomic_fetch_add(&c->halves, 1) == 0)
		return;
	atomic_store(&c->halves, 0);
	pool_again(c->s->pool, c->method->lane, on_worker, on_worker_done, c);
}

static void on_worker_done(void *arg, enum pool_end how)
{
	struct rpc_call *c = arg;

	c->job = NULL;
	if (how == POOL_LATE)
		c->rc = err_code(&c->err, ERR_AGAIN, "rpc.wait_timeout",
				 "others kept the call waiting too long");
	else if (how != POOL_DONE)
		c->rc = busy(c);
	if (c->rc == RPC_LATER)
		one_half(c);
	else
		complete(c);
}

void rpc_continue(struct rpc_call *c, rpc_fn *next)
{
	c->next = next;
	one_half(c);
}

static int to_worker(struct rpc_call *c)
{
	struct rpc_server *s = c->s;
	uint8_t client[CLIENT_KEY];

	if (!s->pool) {
		s->pool = pool_new(s->http.base, RPC_THREADS);
		s->own_pool = true;
	}
	c->next = c->method->fn;
	client_key(&c->peer, client);
	c->job = s->pool ? pool_queue(s->pool, c->method->lane, client, on_worker, on_worker_done, c) : NULL;
	if (!c->job)
		return busy(c);
	http_notice_end(c->conn);
	return RPC_LATER;
}

void rpc_set_state(struct rpc_call *c, void *state)
{
	c->state = state;
}

void *rpc_state(const struct rpc_call *c)
{
	return c->state;
}

static int decode(struct rpc_call *c, const struct http_head *h, bool get)
{
	struct span body = http_body(c->conn);

	c->out = pb_new(c->method->out, c->arena);
	if (!c->out)
		return err_set(&c->err, ERR_SYSTEM, "out of memory");
	if (!c->method->in->n_fields)
		c->in = pb_new(c->method->in, c->arena); // Empty: any body
	else if (get)
		c->in = pbjson_query(c->method->in, h->query, c->arena, &c->err);
	else if (c->json)
		c->in = pbjson_read(c->method->in, body, c->arena, &c->err);
	else
		c->in = pb_read(c->method->in, body, c->arena, &c->err);
	// Clients that count characters send a Content-Length too short for what is not ASCII: the rest of
	// the body would be read as the next request.
	struct json v;
	if (!c->in && c->json && !get && json_parse(&v, body, NULL))
		http_last(c->conn);
	return c->in ? 0 : -1;
}

static void run(struct rpc_call *c)
{
	c->in_fn = true;
	int rc = c->method->worker ? to_worker(c) : c->method->fn(c, c->in, c->out, &c->err);
	c->in_fn = false;
	if (rc == RPC_LATER && !c->done_early)
		return;
	if (rc != RPC_LATER)
		c->rc = rc;
	complete(c);
}

static X509 *issuer_of(SSL *ssl)
{
	STACK_OF(X509) *chain = SSL_get_verify_result(ssl) == X509_V_OK ? SSL_get0_verified_chain(ssl) : NULL;
	X509 *by = chain && sk_X509_num(chain) > 1 ? sk_X509_value(chain, 1) : NULL;

	return by && X509_up_ref(by) ? by : NULL;
}

static void start(struct rpc_server *s, struct http_conn *conn, const struct target *t, bool get, bool json)
{
	struct rpc_call *c = calloc(1, sizeof *c);

	if (c)
		c->arena = arena_new(0);
	if (!c || !c->arena) {
		free(c);
		send_error(conn, 503, json, "out of memory", "");
		return;
	}
	c->s = s;
	s->calls++;
	c->conn = conn;
	c->mount = t->mount;
	c->method = t->method;
	c->json = json;
	c->peer = *http_peer(conn);
	c->began = time_mono_us();
	if (http_ssl(conn)) {
		c->cert = SSL_get1_peer_certificate(http_ssl(conn));
		c->issuer = issuer_of(http_ssl(conn));
		c->tls_data = SSL_CTX_get_app_data(SSL_get_SSL_CTX(http_ssl(conn)));
	}
	snprintf(c->id, sizeof c->id, "%08x-%x", s->id_seed, ++s->id_next);
	http_set_request(conn, c);
	log_request(c->id);
	c->rc = decode(c, http_request(conn), get);
	if (!c->rc && s->gate)
		c->rc = s->gate(c, s->gate_arg, &c->err);
	if (c->rc)
		complete(c);
	else
		run(c);
	log_request(NULL);
}

static bool is_get(const struct http_head *h)
{
	return span_is(h->method, "GET") || span_is(h->method, "HEAD");
}

static bool wants_json(const struct http_head *h)
{
	return is_get(h) || query_json(h->query) || type_json(h);
}

// Refused before dispatch: the same choice of encoding as after it.
void rpc_refuse(struct http_conn *conn, int status, const char *text, const char *code, void *server)
{
	const struct http_head *h = http_request(conn);

	send_error(conn, status, !find(server, h->path).mount || wants_json(h), text, code);
}

void rpc_handle(struct http_conn *conn, void *server)
{
	struct rpc_server *s = server;
	const struct http_head *h = http_request(conn);
	struct target t = find(s, h->path);
	bool get = is_get(h), json = wants_json(h);
	struct err e = { 0 };
	int status = s->door ? s->door(conn, s->door_arg, &e) : 0;

	if (status) {
		http_header(conn, s->door_headers);
		send_error(conn, status, !t.mount || json, e.text, e.code);
	} else if (!t.raw && !t.mount)
		send_error(conn, 404, true, "no such path", "rpc.not_found");
	else if (!get && (t.raw || !span_is(h->method, "POST")))
		send_error(conn, 405, true, "method not allowed", "rpc.http_method");
	else if (t.raw)
		t.raw->fn(conn, t.raw->arg);
	else if (!t.method) {
		char text[288];
		snprintf(text, sizeof text, "Service not found: %s", t.name);
		send_error(conn, 400, json, text, "rpc.unknown_method");
	} else
		start(s, conn, &t, get, json);
}

void *rpc_arg(const struct rpc_call *c)
{
	return c->mount->arg;
}

struct arena *rpc_arena(struct rpc_call *c)
{
	return c->arena;
}

const struct http_peer *rpc_peer(const struct rpc_call *c)
{
	return &c->peer;
}

SSL *rpc_ssl(struct rpc_call *c)
{
	return c->conn ? http_ssl(c->conn) : NULL;
}

void *rpc_tls_data(const struct rpc_call *c)
{
	return c->tls_data;
}

X509 *rpc_peer_cert(struct rpc_call *c)
{
	return c->cert;
}

X509 *rpc_peer_issuer(struct rpc_call *c)
{
	return c->issuer;
}

const char *rpc_id(const struct rpc_call *c)
{
	return c->id;
}

const char *rpc_header(struct rpc_call *c, const char *name)
{
	const struct span *v =
		c->conn && http_request(c->conn) ? http_field(http_request(c->conn), name) : NULL;
	return v ? arena_dup(c->arena, v->p, v->n) : NULL;
}

const char *rpc_method_name(const struct rpc_call *c)
{
	return c->method->name;
}

struct http_conn *rpc_conn(struct rpc_call *c)
{
	return c->conn;
}

void *rpc_out(struct rpc_call *c)
{
	return c->out;
}
