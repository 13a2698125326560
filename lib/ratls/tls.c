#include "ratls/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"

// What a context needs during handshakes; freed with it.
struct hooks {
	char *peer_usage;
	int (*check)(void *arg, X509 *leaf, struct err *e);
	void *check_arg;
	struct err *why;
	const unsigned char *alpn;
	unsigned alpn_len;
};

static int ctx_index = -1, ssl_index = -1;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_hooks(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	struct hooks *h = ptr;

	(void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
	if (h)
		free(h->peer_usage);
	free(h);
}

static void free_error(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	(void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
	free(ptr);
}

static void make_indexes(void)
{
	ctx_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_hooks);
	ssl_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_error);
}

static void keep_error(SSL *ssl, const struct hooks *h, const struct err *why)
{
	struct err *e = SSL_get_ex_data(ssl, ssl_index);

	if (h->why)
		*h->why = *why;
	if (!e) {
		e = calloc(1, sizeof *e);
		if (!e || !SSL_set_ex_data(ssl, ssl_index, e)) {
			free(e);
			return;
		}
	}
	*e = *why;
}

static int judge_leaf(const struct hooks *h, X509 *leaf, struct err *e)
{
	if (h->peer_usage && !cert_usage_is(leaf, h->peer_usage))
		return err_code(e, ERR_UNTRUSTED, "tls.peer_usage",
				"the peer's certificate is not for \"%s\"", h->peer_usage);
	return h->check ? h->check(h->check_arg, leaf, e) : 0;
}

static int on_verify(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct hooks *h = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), ctx_index);
	struct err e;

	if (!ok) {
		int reason = X509_STORE_CTX_get_error(store);
		err_code(&e, ERR_UNTRUSTED, "tls.peer_chain",
			 "the peer's certificate does not chain to the pinned root: %s",
			 X509_verify_cert_error_string(reason));
		keep_error(ssl, h, &e);
		return 0;
	}
	if (X509_STORE_CTX_get_error_depth(store) ||
	    !judge_leaf(h, X509_STORE_CTX_get_current_cert(store), &e))
		return 1;
	keep_error(ssl, h, &e);
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

// Instead of OpenSSL's own verification: the handshake still proves that the peer holds the leaf's key.
static int on_leaf(X509_STORE_CTX *store, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	X509 *leaf = X509_STORE_CTX_get0_cert(store);
	struct err e;

	if (leaf && !judge_leaf(arg, leaf, &e))
		return 1;
	if (!leaf)
		err_code(&e, ERR_UNTRUSTED, "tls.peer_chain", "the peer has no certificate");
	keep_error(ssl, arg, &e);
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
		   unsigned in_n, void *arg)
{
	const struct hooks *h = arg;
	unsigned char *chosen = NULL;

	(void)ssl;
	if (SSL_select_next_proto(&chosen, out_n, h->alpn, h->alpn_len, in, in_n) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

// A client that offers TLS 1.3, or a master secret of 1.2 that is bound to its handshake (RFC 7627).
static bool offers_enough(SSL *ssl)
{
	const unsigned char *p = NULL;
	size_t n = 0;

	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_extended_master_secret, &p, &n) == 1)
		return true;
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &p, &n) != 1)
		return false;
	for (size_t i = 1; i + 1 < n; i += 2)
		if (p[i] == TLS1_3_VERSION >> 8 && p[i + 1] == (TLS1_3_VERSION & 0xff))
			return true;
	return false;
}

static int on_hello(SSL *ssl, int *alert, void *arg)
{
	(void)arg;
	if (offers_enough(ssl))
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_HANDSHAKE_FAILURE;
	return SSL_CLIENT_HELLO_ERROR;
}

// What 1.2 must have to be as good as 1.3: forward secrecy, authenticated encryption.
static int set_versions(SSL_CTX *ctx, const struct tls_conf *c)
{
	if (!c->allow_tls12)
		return SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1;
	if (c->is_server)
		SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
}

static int set_own_pem(SSL_CTX *ctx, const struct tls_conf *c, struct err *e)
{
	auto_bio BIO *in = BIO_new_mem_buf(c->cert_pem.p, (int)c->cert_pem.n);
	auto_x509 X509 *leaf = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
	auto_pkey EVP_PKEY *key = leaf ? p256_from_pem(c->key_pem, e) : NULL;

	if (!leaf)
		return err_ssl(e, ERR_INPUT, "read own certificate");
	if (!key)
		return -1;
	if (SSL_CTX_use_certificate(ctx, leaf) != 1 || SSL_CTX_use_PrivateKey(ctx, key) != 1)
		return err_ssl(e, ERR_INPUT, "use own certificate and key");
	for (;;) {
		X509 *next = PEM_read_bio_X509(in, NULL, NULL, NULL);
		if (!next)
			break;
		if (SSL_CTX_add0_chain_cert(ctx, next) != 1) {
			X509_free(next);
			return err_ssl(e, ERR_SYSTEM, "use own certificate chain");
		}
	}
	ERR_clear_error();
	return 0;
}

static int set_own(SSL_CTX *ctx, const struct tls_conf *c, struct err *e)
{
	if (c->cert_pem.n)
		return set_own_pem(ctx, c, e);
	if (c->cert &&
	    (SSL_CTX_use_certificate(ctx, c->cert) != 1 || SSL_CTX_use_PrivateKey(ctx, c->key) != 1))
		return err_ssl(e, ERR_INPUT, "use own certificate and key");
	return 0;
}

static int set_roots(SSL_CTX *ctx, const struct tls_conf *c, struct err *e)
{
	auto_bio BIO *in = BIO_new_mem_buf(c->roots_pem.p, (int)c->roots_pem.n);
	X509_STORE *store = X509_STORE_new(); // a context of libcurl's may have the system's roots already
	int n = 0;

	if (!store)
		return err_ssl(e, ERR_SYSTEM, "use pinned root");
	SSL_CTX_set_cert_store(ctx, store);
	for (;; n++) {
		auto_x509 X509 *root = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
		if (!root)
			break;
		if (X509_STORE_add_cert(store, root) != 1 ||
		    (c->is_server && SSL_CTX_add_client_CA(ctx, root) != 1))
			return err_ssl(e, ERR_SYSTEM, "use pinned root");
	}
	ERR_clear_error();
	if (!n)
		return err_set(e, ERR_INPUT, "no pinned root certificate to check the peer against");
	return 0;
}

static int set_peer(SSL_CTX *ctx, const struct tls_conf *c, struct err *e)
{
	int mode = SSL_VERIFY_PEER | (c->peer == TLS_PEER_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);

	if (c->peer == TLS_PEER_UNVERIFIED) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
		return 0;
	}
	if (c->peer == TLS_PEER_LEAF) {
		if (c->is_server || !c->check)
			return err_set(e, ERR_BUG, "nothing would check the server's certificate");
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		SSL_CTX_set_cert_verify_callback(ctx, on_leaf, SSL_CTX_get_ex_data(ctx, ctx_index));
		return 0;
	}
	if (!c->is_server && c->peer == TLS_PEER_OPTIONAL)
		return err_set(e, ERR_BUG, "a client cannot take a server's certificate as optional");
	SSL_CTX_set_verify(ctx, mode, on_verify);
	return set_roots(ctx, c, e);
}

static int set_hooks(SSL_CTX *ctx, const struct tls_conf *c, struct err *e)
{
	struct hooks *h = calloc(1, sizeof *h);

	if (!h)
		return err_set(e, ERR_SYSTEM, "out of memory");
	h->peer_usage = c->peer_usage ? strdup(c->peer_usage) : NULL;
	h->check = c->check;
	h->check_arg = c->check_arg;
	h->why = c->why;
	h->alpn = c->alpn;
	h->alpn_len = c->alpn_len;
	if ((c->peer_usage && !h->peer_usage) || SSL_CTX_set_ex_data(ctx, ctx_index, h) != 1) {
		free_hooks(NULL, h, NULL, 0, 0, NULL);
		return err_set(e, ERR_SYSTEM, "out of memory");
	}
	if (c->alpn && c->is_server)
		SSL_CTX_set_alpn_select_cb(ctx, on_alpn, h);
	else if (c->alpn && SSL_CTX_set_alpn_protos(ctx, c->alpn, c->alpn_len))
		return err_ssl(e, ERR_SYSTEM, "set ALPN");
	return 0;
}

int tls_ctx_setup(SSL_CTX *ctx, const struct tls_conf *c, struct err *e)
{
	pthread_once(&once, make_indexes);
	if (ctx_index < 0 || ssl_index < 0 || !set_versions(ctx, c))
		return err_ssl(e, ERR_SYSTEM, "make TLS context");
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	return set_hooks(ctx, c, e) || set_own(ctx, c, e) || set_peer(ctx, c, e) ? err_wrap(e, "TLS") : 0;
}

SSL_CTX *tls_ctx_new(const struct tls_conf *c, struct err *e)
{
	auto_sslctx SSL_CTX *ctx = SSL_CTX_new(c->is_server ? TLS_server_method() : TLS_client_method());

	if (!ctx) {
		err_ssl(e, ERR_SYSTEM, "make TLS context");
		return NULL;
	}
	return tls_ctx_setup(ctx, c, e) ? NULL : TAKE_SSL(ctx);
}

const struct err *tls_peer_error(const SSL *ssl)
{
	return ssl_index < 0 ? NULL : SSL_get_ex_data(ssl, ssl_index);
}
