// TLS contexts: whom a handshake lets through, and with which reason it refuses. Client and server are joined
// by memory buffers; no sockets.
#include "known.h"

#include <openssl/err.h>
#include <time.h>

#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "ratls/issue.h"
#include "ratls/tls.h"

struct pki {
	EVP_PKEY *key;
	X509 *cert;
	char pem[8192], key_pem[P256_PEM_MAX];
};

static void make(struct pki *p, const char *cn, bool ca, const char *usage, const struct pki *by)
{
	const char *const san = "kms.test";
	struct cert_spec s = { .cn = cn,
			       .sans = &san,
			       .n_sans = ca ? 0 : 1,
			       .is_ca = ca,
			       .not_before = time(NULL) - 60,
			       .not_after = time(NULL) + 600,
			       .usage = span_str(usage) };
	struct err e = { 0 };

	p->key = p256_new(&e);
	struct cert_issuer issuer = { .cert = by ? by->cert : NULL, .key = by ? by->key : p->key };
	p->cert = cert_issue(&s, p->key, &issuer, &e);
	if (!p->cert || cert_to_pem(p->cert, p->pem, sizeof p->pem, &e) ||
	    p256_to_pem(p->key, p->key_pem, &e))
		fail_msg("%s", e.text);
}

static void drop(struct pki *p)
{
	X509_free(p->cert);
	EVP_PKEY_free(p->key);
}

static struct pki root, other_root, server, no_usage;

static int setup(void **state)
{
	(void)state;
	make(&root, "Root", true, "", NULL);
	make(&other_root, "Root", true, "", NULL);
	make(&server, "server", false, "kms:rpc", &root);
	make(&no_usage, "server", false, "app:custom", &root);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	drop(&root), drop(&other_root), drop(&server), drop(&no_usage);
	return 0;
}

struct outcome {
	bool client, server; // handshake finished on that side
	char client_code[48], server_code[48];
	bool server_saw_cert;
	int version;
	char suite[64];
	bool resumable; // the client was given something to resume with
};

// What a test makes of the client beyond its tls_conf.
static void (*make_odd)(SSL_CTX *client);

static void note(SSL *s, char code[48])
{
	const struct err *e = tls_peer_error(s);

	snprintf(code, 48, "%s", e ? e->code : "");
}

static struct outcome join(const struct tls_conf *cc, const struct tls_conf *sc)
{
	struct err e = { 0 };
	auto_sslctx SSL_CTX *cx = tls_ctx_new(cc, &e), *sx = cx ? tls_ctx_new(sc, &e) : NULL;
	struct outcome o = { 0 };
	BIO *a, *b;

	if (!sx)
		fail_msg("%s", e.text);
	if (make_odd)
		make_odd(cx);
	SSL *c = SSL_new(cx), *s = SSL_new(sx);
	BIO_new_bio_pair(&a, 0, &b, 0);
	SSL_set_bio(c, a, a);
	SSL_set_bio(s, b, b);
	SSL_set_connect_state(c);
	SSL_set_accept_state(s);
	for (int i = 0; i < 20; i++) {
		char byte;
		SSL_read(c, &byte, 0);
		SSL_do_handshake(c);
		SSL_do_handshake(s);
		SSL_read(c, &byte, 1); // in TLS 1.3 a server's refusal reaches the client only now
	}
	o.client = SSL_is_init_finished(c) && SSL_get_error(c, SSL_do_handshake(c)) == SSL_ERROR_NONE;
	o.server = SSL_is_init_finished(s) == 1;
	o.version = SSL_version(s);
	o.resumable = SSL_get0_session(c) && SSL_SESSION_is_resumable(SSL_get0_session(c));
	snprintf(o.suite, sizeof o.suite, "%s", SSL_get_cipher_name(s));
	o.server_saw_cert = SSL_get0_peer_certificate(s) != NULL;
	assert_int_equal(SSL_session_reused(c), 0);
	note(c, o.client_code);
	note(s, o.server_code);
	SSL_free(c);
	SSL_free(s);
	ERR_clear_error();
	return o;
}

static struct tls_conf server_conf(enum tls_peer peer)
{
	return (struct tls_conf){ .is_server = true,
				  .cert_pem = span_str(server.pem),
				  .key_pem = span_str(server.key_pem),
				  .roots_pem =
					  peer == TLS_PEER_UNVERIFIED ? span_of(NULL, 0) : span_str(root.pem),
				  .peer = peer };
}

static struct tls_conf client_conf(void)
{
	return (struct tls_conf){ .roots_pem = span_str(root.pem),
				  .peer = TLS_PEER_REQUIRED,
				  .peer_usage = "kms:rpc" };
}

static void plain(void **state)
{
	struct tls_conf c = client_conf(), s = server_conf(TLS_PEER_OPTIONAL);
	struct outcome o = join(&c, &s);

	(void)state;
	assert_true(o.client && o.server && !o.server_saw_cert);
	assert_int_equal(o.version, TLS1_3_VERSION);
}

static void at_most_12(SSL_CTX *c)
{
	SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION);
	SSL_CTX_clear_options(c, SSL_OP_NO_TICKET);
}

static void no_ems(SSL_CTX *c)
{
	at_most_12(c);
	SSL_CTX_set_options(c, SSL_OP_NO_EXTENDED_MASTER_SECRET);
}

static void no_ems_but_13(SSL_CTX *c)
{
	SSL_CTX_set_options(c, SSL_OP_NO_EXTENDED_MASTER_SECRET);
}

static void cbc(SSL_CTX *c)
{
	at_most_12(c);
	SSL_CTX_set_cipher_list(
		c, "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA:AES128-GCM-SHA256@SECLEVEL=0");
}

static void at_most_11(SSL_CTX *c)
{
	SSL_CTX_set_cipher_list(c, "ALL:@SECLEVEL=0");
	SSL_CTX_set_min_proto_version(c, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(c, TLS1_1_VERSION);
}

static struct outcome join_odd(void (*odd)(SSL_CTX *), bool server_allows)
{
	struct tls_conf c = client_conf(), s = server_conf(TLS_PEER_OPTIONAL);

	c.allow_tls12 = true;
	s.allow_tls12 = server_allows;
	make_odd = odd;
	struct outcome o = join(&c, &s);
	make_odd = NULL;
	return o;
}

static void tls12_where_allowed(void **state)
{
	struct outcome o = join_odd(at_most_12, true);

	(void)state;
	assert_true(o.client && o.server);
	assert_int_equal(o.version, TLS1_2_VERSION);
	assert_true(!strncmp(o.suite, "ECDHE-", 6) &&
		    (strstr(o.suite, "GCM") || strstr(o.suite, "CHACHA20")));
	assert_false(join_odd(at_most_12, false).server);
	assert_false(join_odd(cbc, true).server);
	assert_false(join_odd(no_ems, true).server);
	assert_false(join_odd(at_most_11, true).server);
	assert_int_equal(join_odd(NULL, true).version, TLS1_3_VERSION);
	assert_true(join_odd(no_ems_but_13, true).server);
}

static void ch_12_nothing_to_resume(void **state)
{
	(void)state;
	assert_false(join_odd(at_most_12, true).resumable);
	assert_false(join_odd(NULL, true).resumable);
}

static void ch_06_client_refuses_server(void **state)
{
	struct tls_conf c = client_conf(), s = server_conf(TLS_PEER_OPTIONAL);

	(void)state;
	c.roots_pem = span_str(other_root.pem); // same names, another key
	struct outcome o = join(&c, &s);
	assert_false(o.client);
	assert_string_equal(o.client_code, "tls.peer_chain");
	c = client_conf();
	s.cert_pem = span_str(no_usage.pem);
	s.key_pem = span_str(no_usage.key_pem);
	o = join(&c, &s);
	assert_false(o.client);
	assert_string_equal(o.client_code, "tls.peer_usage");
}

static void server_judges_client(void **state)
{
	struct ratls_identity id, foreign;
	struct err e = { 0 };
	struct tls_conf c = client_conf(), s = server_conf(TLS_PEER_REQUIRED);

	(void)state;
	assert_int_equal(ratls_identity_new(span_str(root.pem), span_str(root.key_pem), NULL, NULL, &id, &e),
			 0);
	assert_int_equal(ratls_identity_new(span_str(other_root.pem), span_str(other_root.key_pem), NULL,
					    NULL, &foreign, &e),
			 0);
	assert_false(join(&c, &s).server); // none shown
	c.cert = id.cert, c.key = id.key;
	struct outcome o = join(&c, &s);
	assert_true(o.server && o.server_saw_cert);
	c.cert = foreign.cert, c.key = foreign.key;
	s = server_conf(TLS_PEER_OPTIONAL);
	o = join(&c, &s);
	assert_false(o.server);
	assert_string_equal(o.server_code, "tls.peer_chain");
	ratls_identity_free(&id);
	ratls_identity_free(&foreign);
}

static int says_no(void *arg, X509 *leaf, struct err *e)
{
	(void)leaf;
	++*(int *)arg;
	return err_code(e, ERR_DENIED, "test.no", "no");
}

static void hook_decides(void **state)
{
	int asked = 0;
	struct tls_conf c = client_conf(), s = server_conf(TLS_PEER_OPTIONAL);

	(void)state;
	c.check = says_no;
	c.check_arg = &asked;
	struct outcome o = join(&c, &s);
	assert_false(o.client);
	assert_string_equal(o.client_code, "test.no");
	assert_int_equal(asked, 1);
}

static int says_yes(void *arg, X509 *leaf, struct err *e)
{
	(void)leaf, (void)e;
	++*(int *)arg;
	return 0;
}

// A server whose chain nobody knows: the hook and the usage decide, and only for a client.
static void ch_07_leaf_decides(void **state)
{
	int asked = 0;
	struct tls_conf c = client_conf(), s = server_conf(TLS_PEER_OPTIONAL);
	struct err e = { 0 };

	(void)state;
	c.roots_pem = span_of(NULL, 0);
	c.peer = TLS_PEER_LEAF;
	c.check = says_yes;
	c.check_arg = &asked;
	assert_true(join(&c, &s).client);
	assert_int_equal(asked, 1);
	c.check = says_no;
	struct outcome o = join(&c, &s);
	assert_false(o.client);
	assert_string_equal(o.client_code, "test.no");
	c.check = says_yes;
	s.cert_pem = span_str(no_usage.pem);
	s.key_pem = span_str(no_usage.key_pem);
	o = join(&c, &s);
	assert_false(o.client);
	assert_string_equal(o.client_code, "tls.peer_usage");
	c.check = NULL;
	assert_null(tls_ctx_new(&c, &e)); // nothing would check it
	s = server_conf(TLS_PEER_LEAF);
	s.check = says_yes;
	assert_null(tls_ctx_new(&s, &e));
}

static int give_evidence(void *arg, const uint8_t report_data[static 64], uint8_t **out, size_t *n,
			 struct err *e)
{
	(void)e;
	memcpy(arg, report_data, 64);
	*out = malloc(3);
	memcpy(*out, "abc", 3);
	*n = 3;
	return 0;
}

static void identity_carries_evidence(void **state)
{
	struct ratls_identity id;
	uint8_t asked[64], want[64], spki[CERT_SPKI_MAX];
	struct span got;
	struct err e = { 0 };
	size_t n = 0;

	(void)state;
	assert_int_equal(
		ratls_identity_new(span_str(root.pem), span_str(root.key_pem), give_evidence, asked, &id, &e),
		0);
	assert_int_equal(cert_ext(id.cert, CERT_EXT_ATTESTATION, &got, &e), 1);
	assert_true(span_is(got, "abc"));
	assert_int_equal(cert_spki(id.cert, spki, &n, &e), 0);
	ratls_report_data(span_of(spki, n), want);
	assert_memory_equal(asked, want, 64);
	ratls_identity_free(&id);
}

static void contexts_refused(void **state)
{
	struct tls_conf c = client_conf();
	struct err e = { 0 };

	(void)state;
	c.roots_pem = span_of(NULL, 0);
	assert_null(tls_ctx_new(&c, &e));
	c = client_conf();
	c.peer = TLS_PEER_OPTIONAL;
	assert_null(tls_ctx_new(&c, &e));
	c = client_conf();
	c.cert_pem = span_str(server.pem);
	c.key_pem = span_str(root.key_pem); // not its key
	assert_null(tls_ctx_new(&c, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(tls12_where_allowed),
		cmocka_unit_test(ch_12_nothing_to_resume),
		cmocka_unit_test(ch_06_client_refuses_server),
		cmocka_unit_test(server_judges_client),
		cmocka_unit_test(hook_decides),
		cmocka_unit_test(ch_07_leaf_decides),
		cmocka_unit_test(identity_carries_evidence),
		cmocka_unit_test(contexts_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
