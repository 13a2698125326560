#include "terminate.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/cleanup.h"
#include "crypto/ssl.h"
#include "reactor.h"

enum { MOVES = 8, CHUNK = 16 << 10 };

enum moved { BROKEN = -1, IDLE = 0, MORE = 1, NEXT = 2 };

struct terminate {
	SSL *ssl;
	struct conn *conn;
	struct spill *hello; // bytes that were read before the engine existed
	bool told;           // close_notify has gone out
};

static BIO_METHOD *socket_method;

static int bio_read(BIO *b, char *out, int n)
{
	struct terminate *t = BIO_get_data(b);
	struct spill *s = t->hello;

	BIO_clear_retry_flags(b);
	if (s) {
		uint32_t k = s->n - s->at < (uint32_t)n ? s->n - s->at : (uint32_t)n;
		memcpy(out, s->b + s->at, k);
		s->at += k;
		if (s->at == s->n) {
			free(s);
			t->hello = NULL;
		}
		return (int)k;
	}
	ssize_t k = recv(t->conn->fd[CLIENT], out, (size_t)n, 0);
	if (k < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(b);
	return (int)k;
}

static int bio_write(BIO *b, const char *p, int n)
{
	struct terminate *t = BIO_get_data(b);
	ssize_t k = send(t->conn->fd[CLIENT], p, (size_t)n, MSG_NOSIGNAL);

	BIO_clear_retry_flags(b);
	if (k < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(b);
	return (int)k;
}

static long bio_ctrl(BIO *b, int command, long n, void *p)
{
	(void)b, (void)n, (void)p;
	return command == BIO_CTRL_FLUSH;
}

int terminate_setup(struct err *e)
{
	socket_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
	if (!socket_method || !BIO_meth_set_read(socket_method, bio_read) ||
	    !BIO_meth_set_write(socket_method, bio_write) || !BIO_meth_set_ctrl(socket_method, bio_ctrl))
		return err_ssl(e, ERR_SYSTEM, "set up TLS");
	return 0;
}

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
		     unsigned in_n, void *arg)
{
	static const unsigned char h2[] = "\x02h2";

	(void)ssl, (void)arg;
	unsigned char *got;
	if (SSL_select_next_proto(&got, out_n, h2, 3, in, in_n) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = got;
	return SSL_TLSEXT_ERR_OK;
}

SSL_CTX *terminate_context(const char *cert_file, const char *key_file, bool h2, struct err *e)
{
	auto_sslctx SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) ||
	    SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1) {
		err_ssl(e, ERR_SYSTEM, "read certificate %s", cert_file);
		return NULL;
	}
	if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1) {
		err_ssl(e, ERR_SYSTEM, "read key %s", key_file);
		return NULL;
	}
	SSL_CTX_set1_groups_list(ctx, "X25519:P-256");
	SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
	SSL_CTX_set_ciphersuites(
		ctx, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384");
	// A client that closes without close_notify has ended, not failed (spec 30 section 1.10).
	SSL_CTX_set_options(ctx,
			    SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	if (h2)
		SSL_CTX_set_alpn_select_cb(ctx, choose_h2, NULL);
	return TAKE(ctx);
}

void terminate_free(struct terminate *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	free(t->hello);
	free(t);
	ERR_clear_error();
}

static enum moved broken(struct conn *c)
{
	conn_reset(c);
	return BROKEN;
}

// What an operation of the engine that did not succeed means. An end of the stream is the caller's case.
static enum moved not_now(struct reactor *r, struct conn *c, int result)
{
	switch (SSL_get_error(c->tls->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return IDLE;
	case SSL_ERROR_WANT_WRITE:
		conn_want_out(r, c, CLIENT);
		return IDLE;
	default:
		return broken(c);
	}
}

// Everything from side i has been passed on, and now its end.
static enum moved end_of(struct reactor *r, struct conn *c, int i)
{
	if (i == BACKEND && !c->tls->told) {
		ERR_clear_error();
		int done = SSL_shutdown(c->tls->ssl);
		if (done < 0 && SSL_get_error(c->tls->ssl, done) == SSL_ERROR_WANT_WRITE) {
			conn_want_out(r, c, CLIENT);
			return IDLE; // comes here again
		}
		c->tls->told = true;
	}
	c->flow[i].flags |= FLOW_EOF;
	if (c->flow[!i].flags & FLOW_EOF)
		return BROKEN;
	shutdown(c->fd[!i], SHUT_WR);
	return IDLE;
}

static enum moved from_client(struct reactor *r, struct conn *c)
{
	struct flow *f = &c->flow[CLIENT];

	if (f->spill) {
		int left = flow_send(f, c->fd[BACKEND]);
		if (left < 0)
			return broken(c);
		if (left)
			conn_want_out(r, c, BACKEND);
		return left ? IDLE : NEXT;
	}
	if (!(f->flags & FLOW_READY) || f->flags & FLOW_EOF)
		return IDLE;
	ERR_clear_error();
	int n = SSL_read(c->tls->ssl, r->buffer, CHUNK);
	if (n <= 0) {
		if (SSL_get_error(c->tls->ssl, n) == SSL_ERROR_ZERO_RETURN)
			return end_of(r, c, CLIENT);
		f->flags &= (uint8_t)~FLOW_READY;
		return not_now(r, c, n);
	}
	c->bytes[CLIENT] += (size_t)n;
	c->active = r->now;
	ssize_t w = send(c->fd[BACKEND], r->buffer, (size_t)n, MSG_NOSIGNAL);
	if (w < 0 && errno != EAGAIN && errno != EINTR)
		return broken(c);
	size_t sent = w > 0 ? (size_t)w : 0;
	if (sent < (size_t)n && flow_keep(f, r->buffer + sent, (size_t)n - sent))
		return broken(c);
	return NEXT;
}

// As much as the engine takes: the bytes written, or -1 with *m set.
static int encrypt(struct reactor *r, struct conn *c, const void *p, size_t n, enum moved *m)
{
	ERR_clear_error();
	int w = SSL_write(c->tls->ssl, p, (int)n);
	if (w > 0)
		return w;
	*m = not_now(r, c, w);
	return *m == BROKEN ? -1 : 0;
}

static enum moved from_backend(struct reactor *r, struct conn *c)
{
	struct flow *f = &c->flow[BACKEND];
	struct spill *s = f->spill;
	enum moved m = NEXT;

	if (s) {
		int w = encrypt(r, c, s->b + s->at, s->n - s->at, &m);
		if (w <= 0)
			return m;
		s->at += (uint32_t)w;
		if (s->at == s->n)
			flow_drop(f);
		return NEXT;
	}
	if (!(f->flags & FLOW_READY) || f->flags & FLOW_EOF)
		return IDLE;
	ssize_t n = recv(c->fd[BACKEND], r->buffer, CHUNK, 0);
	if (n == 0)
		return end_of(r, c, BACKEND);
	if (n < 0) {
		if (errno == EINTR)
			return NEXT;
		if (errno != EAGAIN)
			return broken(c);
		f->flags &= (uint8_t)~FLOW_READY;
		return IDLE;
	}
	c->bytes[BACKEND] += (size_t)n;
	c->active = r->now;
	int w = encrypt(r, c, r->buffer, (size_t)n, &m);
	if (w < 0 || (w < n && flow_keep(f, r->buffer + w, (size_t)(n - w))))
		return broken(c);
	return m;
}

static int run(struct reactor *r, struct conn *c)
{
	for (int i = 0; i < 2; i++) {
		enum moved m = NEXT;
		for (int k = 0; k < MOVES && m == NEXT; k++)
			m = i == CLIENT ? from_client(r, c) : from_backend(r, c);
		if (m == BROKEN)
			return -1;
		if (m == NEXT)
			conn_again(r, c);
	}
	return 0;
}

static void enter(struct reactor *r, struct conn *c, enum conn_state state)
{
	queue_remove(conn_queue(r, c), c);
	c->state = (uint8_t)state;
	queue_add(r, conn_queue(r, c), c);
}

// No instance answered. Who speaks HTTP/1 is told so once its request is here; anyone else sees the session
// end. 0: wait for the first bytes, under the deadline of a hello.
static int no_instance(struct conn *c)
{
	static const char answer[] = "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\n"
				     "Content-Length: 42\r\nConnection: close\r\n\r\n"
				     "the app does not answer on the given port\n";
	char head[4] = "";

	_Static_assert(sizeof "the app does not answer on the given port\n" == 43, "Content-Length");
	ERR_clear_error();
	int n = SSL_peek(c->tls->ssl, head, sizeof head);
	if (n <= 0 && SSL_get_error(c->tls->ssl, n) == SSL_ERROR_WANT_READ)
		return 0;
	if (n == sizeof head && (!memcmp(head, "GET ", 4) || !memcmp(head, "POST", 4) ||
				 !memcmp(head, "HEAD", 4) || !memcmp(head, "PUT ", 4)))
		SSL_write(c->tls->ssl, answer, sizeof answer - 1);
	ERR_clear_error();
	SSL_shutdown(c->tls->ssl);
	shutdown(c->fd[CLIENT], SHUT_WR);
	recv(c->fd[CLIENT], NULL, BUFFER_SIZE, MSG_TRUNC);
	return -1;
}

// The session stands, or the last instance did not answer.
static int dial(struct reactor *r, struct conn *c)
{
	if (reactor_dial(r, c)) {
		enter(r, c, CONN_TLS_FAILED);
		return no_instance(c);
	}
	enter(r, c, CONN_TLS_DIAL);
	conn_watch(r, c, BACKEND, EPOLLOUT);
	return 0;
}

int terminate_dial_failed(struct reactor *r, struct conn *c)
{
	return dial(r, c);
}

static int handshake(struct reactor *r, struct conn *c)
{
	ERR_clear_error();
	int done = SSL_accept(c->tls->ssl);
	if (done == 1)
		return dial(r, c);
	// The engine has sent its alert; what is left of the connection is closed, not reset.
	int why = SSL_get_error(c->tls->ssl, done);
	if (why == SSL_ERROR_WANT_WRITE)
		conn_want_out(r, c, CLIENT);
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

int terminate_start(struct reactor *r, struct conn *c, SSL_CTX *ctx, const void *hello, size_t n)
{
	struct terminate *t = calloc(1, sizeof *t);
	BIO *b = t ? BIO_new(socket_method) : NULL;

	if (t)
		t->ssl = SSL_new(ctx);
	flow_drop(&c->flow[CLIENT]);
	if (!b || !t->ssl || flow_keep(&c->flow[CLIENT], hello, n)) {
		BIO_free(b);
		terminate_free(t);
		return -1;
	}
	t->conn = c;
	t->hello = c->flow[CLIENT].spill;
	c->flow[CLIENT].spill = NULL;
	BIO_set_data(b, t);
	BIO_set_init(b, 1);
	SSL_set_bio(t->ssl, b, b);
	c->tls = t;
	c->state = CONN_HANDSHAKE; // under the deadline that the hello had
	return handshake(r, c);
}

int terminate_event(struct reactor *r, struct conn *c, int side, uint32_t events)
{
	struct flow *f = &c->flow[side];

	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		f->flags |= FLOW_READY;
	if (c->state == CONN_HANDSHAKE)
		return events & EPOLLERR ? -1 : handshake(r, c);
	if (c->state == CONN_TLS_FAILED)
		return no_instance(c);
	if (c->state == CONN_TLS_DIAL) {
		if (side == CLIENT)
			return events & EPOLLERR ? -1 : 0;
		if (!(events & EPOLLOUT))
			return 0;
		enter(r, c, CONN_TLS);
		c->flow[CLIENT].flags |= FLOW_READY; // the engine may hold decrypted bytes already
		count(&r->counters.routed, 1);
	}
	if (events & EPOLLERR && f->flags & FLOW_EOF) {
		conn_reset(c);
		return -1;
	}
	return run(r, c);
}
