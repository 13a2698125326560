#include "loopback.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/time.h"
#include "crypto/ssl.h"

void party_make(struct party *p, const char *cn, const char *usage, struct span app_id,
		const struct party *by)
{
	struct err e = { 0 };
	struct cert_spec spec = { .cn = cn,
				  .is_ca = !by,
				  .path_len = -1,
				  .not_before = (int64_t)time_now() - 60,
				  .not_after = (int64_t)time_now() + 600,
				  .usage = span_str(usage),
				  .app_id = app_id };
	struct cert_issuer issuer = { 0 };

	p->key = p256_new(&e);
	issuer.cert = by ? by->cert : NULL;
	issuer.key = by ? by->key : p->key;
	p->cert = cert_issue(&spec, p->key, &issuer, &e);
	assert_non_null(p->cert);
	assert_int_equal(cert_to_pem(p->cert, p->pem, sizeof p->pem, &e), 0);
	assert_int_equal(p256_to_pem(p->key, p->key_pem, &e), 0);
}

void party_drop(struct party *p)
{
	EVP_PKEY_free(p->key);
	X509_free(p->cert);
}

static void *run(void *arg)
{
	event_base_loop(arg, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

void loopback_start(struct loopback *l)
{
	assert_int_equal(pipe(l->stop), 0);
	l->on_stop = event_new(l->base, l->stop[0], EV_READ, on_stop, l->base);
	event_add(l->on_stop, NULL);
	assert_int_equal(pthread_create(&l->thread, NULL, run, l->base), 0);
}

void loopback_stop(struct loopback *l)
{
	assert_int_equal(write(l->stop[1], "x", 1), 1);
	pthread_join(l->thread, NULL);
	event_free(l->on_stop);
	close(l->stop[0]);
	close(l->stop[1]);
}

void loopback_free(struct loopback *l)
{
	event_base_free(l->base);
}

struct rpc_server *loopback_serve(struct loopback *l, const struct party *own, const struct party *clients,
				  const char *mount, const char *prefix, const struct rpc_method *methods,
				  size_t n, void *arg, char url[static 64])
{
	struct tls_conf conf = { .is_server = true,
				 .cert = own->cert,
				 .key = own->key,
				 .roots_pem = span_str(clients->pem),
				 .peer = TLS_PEER_OPTIONAL };
	struct err e = { 0 };
	auto_sslctx SSL_CTX *ctx = tls_ctx_new(&conf, &e);

	if (!l->base)
		l->base = event_base_new();
	struct rpc_server *s = rpc_server_new(l->base);
	assert_int_equal(rpc_server_mount(s, mount, prefix, methods, n, arg), 0);
	assert_int_equal(rpc_server_listen(s, "tcp:127.0.0.1:0", ctx, 0, &e), 0);
	snprintf(url, 64, "https://127.0.0.1:%u", rpc_server_port(s));
	return s;
}

int loopback_mute(char url[static 64])
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	snprintf(url, 64, "https://127.0.0.1:%u", ntohs(a.sin_port));
	return fd;
}

void loopback_dead(char url[static 64])
{
	close(loopback_mute(url));
}
