// kms_link against a KMS of the test's own: by which certificate the agent is known there, when that is made
// anew, and what happens when the KMS is away or no longer takes it.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../../guest/agent/kms_link.c" // to age its certificate
#include "../../../guest/simulator/fixture.h"
#include "crypto/p256.h"
#include "rpc/server.h"

struct party {
	EVP_PKEY *key;
	X509 *cert;
	char pem[CERT_PEM_MAX], key_pem[P256_PEM_MAX];
};

static struct party root, leaf, temp, temp2;
static struct fixture fixture;
static struct agent agent = { .lock = PTHREAD_MUTEX_INITIALIZER, .gate = GATE_INITIALIZER };

static void make_party(struct party *p, const char *cn, const char *usage, const struct party *by)
{
	struct err e = { 0 };
	struct cert_spec spec = { .cn = cn,
				  .is_ca = !by,
				  .path_len = -1,
				  .not_before = (int64_t)time_now() - 60,
				  .not_after = (int64_t)time_now() + 600,
				  .usage = span_str(usage) };
	struct cert_issuer issuer = { 0 };

	p->key = p256_new(&e);
	issuer.cert = by ? by->cert : NULL;
	issuer.key = by ? by->key : p->key;
	p->cert = cert_issue(&spec, p->key, &issuer, &e);
	assert_non_null(p->cert);
	assert_int_equal(cert_to_pem(p->cert, p->pem, sizeof p->pem, &e), 0);
	assert_int_equal(p256_to_pem(p->key, p->key_pem, &e), 0);
}

static void drop_party(struct party *p)
{
	EVP_PKEY_free(p->key);
	X509_free(p->cert);
}

// ---- the KMS. What it saw is read by the test between calls only.

static struct kms {
	struct event_base *base;
	struct rpc_server *server;
	pthread_t loop;
	int stop[2];
	struct event *on_stop;
	const struct party *temp; // trusted, and given out
	int signs, temp_asked, refusals;
	char peer[128];
	uint32_t port;
	bool evidence;
	EVP_PKEY *peer_key;
} kms;

static int fake_sign(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	Kms__SignCertResponse *r = out;
	X509 *peer = rpc_peer_cert(c);
	struct span content = { 0 };
	struct err none;

	(void)in;
	kms.signs++;
	if (kms.refusals) {
		kms.refusals--;
		return err_code(e, ERR_DENIED, "policy.app_not_allowed", "no");
	}
	snprintf(kms.peer, sizeof kms.peer, "nobody");
	kms.evidence = false;
	EVP_PKEY_free(kms.peer_key);
	kms.peer_key = NULL;
	if (peer) {
		X509_NAME_oneline(X509_get_subject_name(peer), kms.peer, sizeof kms.peer);
		kms.evidence = cert_ext(peer, CERT_EXT_ATTESTATION, &content, &none) == 1;
		kms.peer_key = X509_get_pubkey(peer);
	}
	kms.port = rpc_peer(c)->port;
	r->certificate_chain = arena_array(rpc_arena(c), 1, sizeof *r->certificate_chain);
	r->certificate_chain[0] = root.pem;
	r->n_certificate_chain = 1;
	return 0;
}

static int fake_temp_ca(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	Kms__GetTempCaCertResponse *r = out;

	(void)in, (void)e, (void)c;
	kms.temp_asked++;
	r->temp_ca_cert = (char *)(uintptr_t)kms.temp->pem;
	r->temp_ca_key = (char *)(uintptr_t)kms.temp->key_pem;
	r->ca_cert = root.pem;
	return 0;
}

static const struct rpc_method methods[] = {
	{ "SignCert", &kms__sign_cert_request__descriptor, &kms__sign_cert_response__descriptor, fake_sign },
	{ "GetTempCaCert", &prpc__empty__descriptor, &kms__get_temp_ca_cert_response__descriptor,
	  fake_temp_ca },
};

static void *loop(void *arg)
{
	event_base_loop(arg, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

static void kms_start(const struct party *trusted)
{
	struct tls_conf conf = { .is_server = true,
				 .cert = leaf.cert,
				 .key = leaf.key,
				 .roots_pem = span_str(trusted->pem),
				 .peer = TLS_PEER_OPTIONAL };
	struct err e = { 0 };
	auto_sslctx SSL_CTX *ctx = tls_ctx_new(&conf, &e);
	kms = (struct kms){ .temp = trusted, .base = event_base_new() };
	kms.server = rpc_server_new(kms.base);
	rpc_server_mount(kms.server, "/prpc", "KMS.", methods, 2, NULL);
	assert_int_equal(rpc_server_listen(kms.server, "tcp:127.0.0.1:0", ctx, 0, &e), 0);
	snprintf(agent.keys.kms_url, sizeof agent.keys.kms_url, "https://127.0.0.1:%u/prpc",
		 rpc_server_port(kms.server));
	assert_int_equal(pipe(kms.stop), 0);
	kms.on_stop = event_new(kms.base, kms.stop[0], EV_READ, on_stop, kms.base);
	event_add(kms.on_stop, NULL);
	assert_int_equal(pthread_create(&kms.loop, NULL, loop, kms.base), 0);
}

static void kms_end(void)
{
	assert_int_equal(write(kms.stop[1], "x", 1), 1);
	pthread_join(kms.loop, NULL);
	event_free(kms.on_stop);
	rpc_server_free(kms.server);
	event_base_free(kms.base);
	EVP_PKEY_free(kms.peer_key);
	close(kms.stop[0]);
	close(kms.stop[1]);
}

static int setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	make_party(&root, "Dstack KMS CA", "", NULL);
	make_party(&leaf, "127.0.0.1", "kms:rpc", &root);
	make_party(&temp, "Dstack Client Temp CA", "", NULL);
	make_party(&temp2, "Dstack Client Temp CA", "", NULL);
	snprintf(agent.keys.ca_cert, sizeof agent.keys.ca_cert, "%s", root.pem);
	snprintf(agent.keys.tmp_ca_cert, sizeof agent.keys.tmp_ca_cert, "%s", temp.pem);
	snprintf(agent.keys.tmp_ca_key, sizeof agent.keys.tmp_ca_key, "%s", temp.key_pem);
	agent.app.vm_config = (char *)(uintptr_t) "{}";
	if (fixture_read(&fixture, SIMULATOR_FILES "/attestation.bin", true, &e))
		return -1;
	agent.source = &fixture.source;
	return rpc_client_setup();
}

static int teardown(void **state)
{
	(void)state;
	drop_party(&root), drop_party(&leaf), drop_party(&temp), drop_party(&temp2);
	fixture_free(&fixture);
	return 0;
}

static int ask(struct kms_link *l, struct err *e)
{
	Kms__SignCertRequest in = KMS__SIGN_CERT_REQUEST__INIT;
	Kms__SignCertResponse *out = NULL;
	auto_arena *a = arena_new(0);
	int rc = kms_link_sign(l, &in, a, &out, e);

	if (!rc)
		assert_string_equal(out->certificate_chain[0], root.pem);
	return rc;
}

static void known_by_its_evidence(void **state)
{
	struct err e = { 0 };

	(void)state;
	kms_start(&temp);
	struct kms_link *l = kms_link_new(&agent);
	assert_int_equal(ask(l, &e), 0);
	assert_string_equal(kms.peer, "/CN=RA-TLS TEMP Cert");
	assert_true(kms.evidence);
	uint32_t port = kms.port;
	assert_int_equal(ask(l, &e), 0);
	assert_int_equal(kms.port, port); // the connection was kept
	assert_int_equal(l->number, 1);
	assert_int_equal(kms.temp_asked, 0);
	kms_link_free(l);
	kms_end();
}

static void renewed_while_it_is_good(void **state)
{
	struct err e = { 0 };

	(void)state;
	kms_start(&temp);
	struct kms_link *l = kms_link_new(&agent);
	assert_int_equal(ask(l, &e), 0);
	EVP_PKEY *before = kms.peer_key;
	EVP_PKEY_up_ref(before);
	l->life.made = time_now() - 70000; // as if it had been made 19 hours ago
	l->life.end = time_now() + 10000;
	assert_int_equal(ask(l, &e), 0);
	assert_int_equal(l->number, 2);
	assert_int_equal(EVP_PKEY_eq(before, kms.peer_key), 0); // another key, over a new connection
	assert_false(renewal_due(&l->life, time_now(), time_mono_ms()));
	EVP_PKEY_free(before);
	// In the background, when nobody asks for a certificate.
	l->life.made = time_now() - 70000;
	l->life.end = time_now() + 10000;
	kms_link_kick(l);
	while (!kms_link_idle(l))
		usleep(1000);
	assert_int_equal(l->number, 3);
	assert_int_equal(kms.signs, 2);
	kms_link_free(l);
	kms_end();
}

static int no_quote(const struct evidence_source *s, uint8_t report_data[static TEE_REPORT_DATA],
		    struct tee_quote *quote, struct tee_log *log, size_t *runtime_at, struct err *e)
{
	(void)s, (void)report_data, (void)quote, (void)log, (void)runtime_at;
	return err_code(e, ERR_AGAIN, "tee.busy", "no quote now");
}

// The TEE fails: the old certificate serves to its end, and no longer; attempts are not repeated at each
// call.
static void renewal_fails(void **state)
{
	static const struct evidence_source broken = { .get = no_quote, .config = "{}", .vm_config = "{}" };
	struct err e = { 0 };

	(void)state;
	kms_start(&temp);
	struct kms_link *l = kms_link_new(&agent);
	assert_int_equal(ask(l, &e), 0);
	agent.source = &broken;
	l->life.made = time_now() - 70000;
	l->life.end = time_now() + 10000;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(l, &e), 0);
	assert_string_equal(kms.peer, "/CN=RA-TLS TEMP Cert");
	assert_int_equal(l->number, 1);
	assert_int_equal(l->life.failures, 1); // and two calls that did not try
	l->life.end = time_now() - 1;
	assert_int_equal(ask(l, &e), 0);
	assert_string_equal(kms.peer, "nobody"); // one that has expired is not shown
	agent.source = &fixture.source;
	l->life.retry_ms = 0;
	assert_int_equal(ask(l, &e), 0);
	assert_string_equal(kms.peer, "/CN=RA-TLS TEMP Cert");
	assert_int_equal(l->life.failures, 0);
	kms_link_free(l);
	kms_end();
}

static void another_temporary_ca(void **state)
{
	struct err e = { 0 };

	(void)state;
	kms_start(&temp2); // the key file has the first
	struct kms_link *l = kms_link_new(&agent);
	if (ask(l, &e))
		fail_msg("%s", e.text);
	assert_string_equal(kms.peer, "/CN=RA-TLS TEMP Cert");
	assert_int_equal(kms.temp_asked, 1);
	assert_int_equal(ask(l, &e), 0);
	assert_int_equal(kms.temp_asked, 1);
	kms_link_free(l);
	kms_end();
}

static void without_a_temporary_ca(void **state)
{
	struct err e = { 0 };

	(void)state;
	kms_start(&temp);
	agent.keys.tmp_ca_cert[0] = 0;
	struct kms_link *l = kms_link_new(&agent);
	assert_int_equal(ask(l, &e), 0);
	assert_string_equal(kms.peer, "nobody");
	agent.keys.tmp_ca_cert[0] = temp.pem[0];
	kms_link_free(l);
	kms_end();
}

static void refusals_and_absence(void **state)
{
	struct err e = { 0 };

	(void)state;
	kms_start(&temp);
	struct kms_link *l = kms_link_new(&agent);
	kms.refusals = 1;
	assert_int_equal(ask(l, &e), -1); // its reason, and no second try
	assert_string_equal(e.code, "policy.app_not_allowed");
	assert_int_equal(kms.signs, 1);
	assert_int_equal(ask(l, &e), 0);
	int asked = kms.temp_asked;
	kms.refusals = 1;
	l->life.made = time_now() - 3600; // perhaps the evidence is too old for it: once more with new one
	assert_int_equal(ask(l, &e), 0);
	assert_int_equal(l->number, 2);
	assert_int_equal(kms.signs, 4);
	kms_end();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(l, &e), -1);
		assert_string_equal(e.code, "rpc.connect");
		assert_int_equal(e.class, ERR_AGAIN);
	}
	assert_int_equal(l->life.failures, 1); // the KMS is not asked for its CA at each call
	assert_int_equal(asked, 0);
	assert_true(renewal_good(&l->life, time_now()));
	hang_up(l->kept); // dialled at the port of before
	l->kept = NULL;
	kms_start(&temp); // back: at once, and with the certificate it knew
	assert_int_equal(ask(l, &e), 0);
	assert_string_equal(kms.peer, "/CN=RA-TLS TEMP Cert");
	assert_int_equal(l->number, 2);
	assert_false(l->suspect);
	kms_link_free(l);
	kms_end();
}

static void *ask_once(void *arg)
{
	struct err e = { 0 };

	return ask(arg, &e) ? arg : NULL;
}

static void many_at_once_make_one(void **state)
{
	pthread_t t[8];
	void *failed;

	(void)state;
	kms_start(&temp);
	struct kms_link *l = kms_link_new(&agent);
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&t[i], NULL, ask_once, l), 0);
	for (int i = 0; i < 8; i++) {
		pthread_join(t[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(l->number, 1);
	assert_int_equal(kms.signs, 8);
	kms_link_free(l);
	kms_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_by_its_evidence),  cmocka_unit_test(renewed_while_it_is_good),
		cmocka_unit_test(renewal_fails),          cmocka_unit_test(another_temporary_ca),
		cmocka_unit_test(without_a_temporary_ca), cmocka_unit_test(refusals_and_absence),
		cmocka_unit_test(many_at_once_make_one),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
