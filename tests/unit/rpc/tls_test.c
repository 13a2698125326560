// server and client over TLS: who is trusted, what the method sees of its peer, whole replies.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/strings.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "guest.pb-c.h"
#include "prpc.pb-c.h"
#include "ratls/tls.h"
#include "rpc/client.h"
#include "rpc/server.h"

enum { LARGE = 3 << 20 };

struct party {
	EVP_PKEY *key;
	X509 *cert;
	char pem[4096];
};

static struct party root, other, leaf, client;
static struct event_base *base;
static struct rpc_server *server;
static pthread_t loop;
static char url[64];

static void make(struct party *p, const char *cn, const char *usage, const struct party *by)
{
	struct err e = { 0 };
	struct cert_spec spec = { .cn = cn,
				  .is_ca = !by,
				  .path_len = -1,
				  .not_before = time(NULL) - 60,
				  .not_after = time(NULL) + 600,
				  .usage = span_str(usage) };
	struct cert_issuer issuer = { 0 };

	p->key = p256_new(&e);
	assert_non_null(p->key);
	issuer.cert = by ? by->cert : NULL;
	issuer.key = by ? by->key : p->key;
	p->cert = cert_issue(&spec, p->key, &issuer, &e);
	assert_non_null(p->cert);
	assert_int_equal(cert_to_pem(p->cert, p->pem, sizeof p->pem, &e), 0);
}

static void drop(struct party *p)
{
	EVP_PKEY_free(p->key);
	X509_free(p->cert);
}

static int attest(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	Guest__AttestResponse *r = out;

	(void)in;
	(void)e;
	r->attestation = (ProtobufCBinaryData){ LARGE, arena_alloc(rpc_arena(c), LARGE) };
	return 0;
}

static int version(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	Guest__WorkerVersion *r = out;
	X509 *peer = rpc_peer_cert(c);
	char name[128] = "nobody";

	(void)in;
	(void)e;
	if (peer)
		X509_NAME_oneline(X509_get_subject_name(peer), name, sizeof name);
	r->version = arena_str(rpc_arena(c), name);
	r->rev = arena_str(rpc_arena(c), rpc_peer(c)->text);
	return 0;
}

static const struct rpc_method methods[] = {
	{ "Attest", &guest__raw_quote_args__descriptor, &guest__attest_response__descriptor, attest },
	{ "Version", &prpc__empty__descriptor, &guest__worker_version__descriptor, version, .worker = true },
};

static void *run(void *arg)
{
	event_base_loop(arg, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static void stopped(void *arg)
{
	event_base_loopbreak(arg);
}

static int stop_fd[2];
static struct event *stop_event;

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	rpc_server_stop(server, 2, stopped, arg);
}

static int setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	make(&root, "root", "", NULL);
	make(&other, "root", "", NULL);
	make(&leaf, "server", "kms:rpc", &root);
	make(&client, "client", "", &root);
	struct tls_conf conf = { .is_server = true,
				 .cert = leaf.cert,
				 .key = leaf.key,
				 .roots_pem = span_str(root.pem),
				 .peer = TLS_PEER_OPTIONAL };
	auto_sslctx SSL_CTX *ctx = tls_ctx_new(&conf, &e);
	base = event_base_new();
	server = rpc_server_new(base);
	rpc_server_mount(server, "", NULL, methods, 2, NULL);
	if (!ctx || rpc_server_listen(server, "tcp:127.0.0.1:0", ctx, 0, &e) || pipe(stop_fd))
		return -1;
	snprintf(url, sizeof url, "https://127.0.0.1:%u", rpc_server_port(server));
	stop_event = event_new(base, stop_fd[0], EV_READ, on_stop, base);
	event_add(stop_event, NULL);
	return pthread_create(&loop, NULL, run, base);
}

static int teardown(void **state)
{
	(void)state;
	if (write(stop_fd[1], "x", 1) != 1)
		return -1;
	pthread_join(loop, NULL);
	rpc_server_free(server);
	event_free(stop_event);
	event_base_free(base);
	drop(&root);
	drop(&other);
	drop(&leaf);
	drop(&client);
	return 0;
}

struct trust_of {
	const struct party *root, *self;
	const char *usage;
};

static int hook(SSL_CTX *ctx, void *arg, struct err *e)
{
	const struct trust_of *t = arg;
	struct tls_conf c = { .roots_pem = span_str(t->root->pem),
			      .peer = TLS_PEER_REQUIRED,
			      .peer_usage = t->usage };

	if (t->self) {
		c.cert = t->self->cert;
		c.key = t->self->key;
	}
	return tls_ctx_setup(ctx, &c, e);
}

static int no_verification(SSL_CTX *ctx, void *arg, struct err *e)
{
	(void)arg;
	(void)e;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	return 0;
}

static struct rpc_client *dial(int (*tls)(SSL_CTX *, void *, struct err *), struct trust_of *t)
{
	struct rpc_client_opts o = { .connect_s = 5, .timeout_s = 10, .tls = tls, .arg = t };
	struct err e = { 0 };
	struct rpc_client *c = rpc_client_new(url, &o, &e);

	assert_non_null(c);
	return c;
}

static void peers_see_each_other(void **state)
{
	struct err e = { 0 };
	struct trust_of anonymous = { &root, NULL, "kms:rpc" }, known = { &root, &client, NULL };
	void *out;

	(void)state;
	auto_arena *a = arena_new(0);
	auto_rpc_client *one = dial(hook, &anonymous);
	if (rpc_client_call(one, "Version", NULL, &guest__worker_version__descriptor, a, &out, &e))
		fail_msg("%s", e.text);
	assert_string_equal(((Guest__WorkerVersion *)out)->version, "nobody");
	assert_int_equal(strncmp(((Guest__WorkerVersion *)out)->rev, "127.0.0.1:", 10), 0);
	auto_rpc_client *two = dial(hook, &known);
	for (int i = 0; i < 3; i++) // one connection, several calls
		assert_int_equal(rpc_client_call(two, "Version", NULL, &guest__worker_version__descriptor, a,
						 &out, &e),
				 0);
	assert_string_equal(((Guest__WorkerVersion *)out)->version, "/CN=client");
}

static void large_replies_are_whole(void **state)
{
	struct err e = { 0 };
	struct trust_of t = { &root, NULL, NULL };
	void *out;

	(void)state;
	auto_arena *a = arena_new(0);
	auto_rpc_client *c = dial(hook, &t);
	assert_int_equal(rpc_client_call(c, "Attest", NULL, &guest__attest_response__descriptor, a, &out, &e),
			 0);
	assert_int_equal(((Guest__AttestResponse *)out)->attestation.len, LARGE);
}

static void refused(int (*tls)(SSL_CTX *, void *, struct err *), struct trust_of *t, const char *code)
{
	struct err e = { 0 };
	auto_arena *a = arena_new(0);
	auto_rpc_client *c = dial(tls, t);

	assert_int_equal(rpc_client_call(c, "Version", NULL, NULL, a, NULL, &e), -1);
	if (strcmp(e.code, code))
		fail_msg("%s: %s", e.code, e.text);
}

static void others_are_refused(void **state)
{
	struct party stranger;
	struct trust_of wrong_root = { &other, NULL, NULL }, wrong_usage = { &root, NULL, "app:custom" };

	(void)state;
	make(&stranger, "client", "", &other);
	struct trust_of wrong_client = { &root, &stranger, NULL };
	refused(hook, &wrong_root, "rpc.tls");
	refused(hook, &wrong_usage, "rpc.tls");
	refused(no_verification, NULL, ""); // a hook that forgets to verify is our bug, and stops
	refused(NULL, NULL, "rpc.tls");     // without a hook: the system's store does not know it
	struct err e = { 0 };
	auto_arena *a = arena_new(0);
	auto_rpc_client *c = dial(hook, &wrong_client); // TLS 1.3: the refusal comes after the handshake
	assert_int_equal(rpc_client_call(c, "Version", NULL, NULL, a, NULL, &e), -1);
	drop(&stranger);
	peers_see_each_other(state); // the server goes on
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(peers_see_each_other),
		cmocka_unit_test(large_replies_are_whole),
		cmocka_unit_test(others_are_refused),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
