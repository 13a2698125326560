#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "jail.h"
#include "keyproc_wire.h"
#include "keystore.h"

enum { SECURE_HEAP = 1 << 16, SECURE_MIN = 32 };

typedef int key_fn(struct keystore *s, const struct key_request *q, struct key_reply *a, struct err *e);

static int do_public(struct keystore *s, const struct key_request *q, struct key_reply *a, struct err *e)
{
	(void)q, (void)e;
	memcpy(a->public.ca_spki, s->ca_spki, sizeof a->public.ca_spki);
	memcpy(a->public.k256_pub, s->k256_pub, sizeof a->public.k256_pub);
	return 0;
}

static int do_app(struct keystore *s, const struct key_request *q, struct key_reply *a, struct err *e)
{
	if (q->inst_n > sizeof q->inst)
		return err_set(e, ERR_INPUT, "instance id has %u bytes", q->inst_n);
	return appkeys_derive(keystore_roots(s), q->app, span_of(q->inst, q->inst_n), &a->app, e);
}

static int do_env(struct keystore *s, const struct key_request *q, struct key_reply *a, struct err *e)
{
	return appkeys_env(keystore_roots(s), q->app, q->time, &a->env, e);
}

static int do_app_ca(struct keystore *s, const struct key_request *q, struct key_reply *a, struct err *e)
{
	auto_x509 X509 *c = keystore_app_ca(s, q->app, NULL, e);
	uint8_t *p = a->cert.der;
	int n = c ? i2d_X509(c, NULL) : 0;

	if (!c)
		return -1;
	if (n <= 0 || n > KEY_CERT_MAX || i2d_X509(c, &p) != n)
		return err_ssl(e, ERR_BUG, "encode app CA certificate of %d bytes", n);
	a->cert.n = (uint32_t)n;
	return 0;
}

static int do_sign_app(struct keystore *s, const struct key_request *q, struct key_reply *a, struct err *e)
{
	uint8_t d[P256_SCALAR];
	size_t n = 0;

	if (appkeys_ca(keystore_roots(s), q->app, d, e))
		return -1;
	auto_pkey EVP_PKEY *k = p256_from_scalar(d, e);
	OPENSSL_cleanse(d, sizeof d);
	if (!k || p256_sign_digest(k, q->digest, a->sig.sig, &n, e))
		return -1;
	a->sig.n = (uint32_t)n;
	return 0;
}

static key_fn *const table[KEY_OPS] = {
	[KEY_PUBLIC] = do_public, [KEY_APP] = do_app,           [KEY_ENV] = do_env,
	[KEY_APP_CA] = do_app_ca, [KEY_SIGN_APP] = do_sign_app,
};

static int prepare(struct keystore *s, const struct keystore_config *c, struct err *e)
{
	struct err ignored;
	uint8_t warm[1];

	// The end of the parent is the end of the key process, also when it is killed.
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		return err_errno(e, "key process: prctl");
	if (secret_process(e))
		return -1;
	// Private scalars inside OpenSSL lie in its locked heap then; without it (memory lock limit) they lie
	// in the ordinary one, of a process that cannot be dumped.
	(void)CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_MIN);
	if (keystore_open(s, c, e) || keystore_renew(s, c, e))
		return -1;
	// OpenSSL loads what it loads lazily while files may still be opened.
	auto_x509 X509 *warm_up = keystore_app_ca(s, (const uint8_t[APP_ID]){ 0 }, NULL, e);
	struct app_keys keys;
	struct env_key env;
	if (!warm_up || RAND_priv_bytes(warm, 1) != 1 ||
	    appkeys_derive(keystore_roots(s), (const uint8_t[APP_ID]){ 0 }, span_of(NULL, 0), &keys,
			   &ignored) ||
	    appkeys_env(keystore_roots(s), (const uint8_t[APP_ID]){ 0 }, 0, &env, &ignored))
		return err_set(e, ERR_SYSTEM, "key process: self test failed");
	appkeys_wipe(&keys);
	return jail_key_process(e);
}

static bool answer(int fd, struct keystore *s)
{
	struct key_request q;
	struct key_reply a;
	ssize_t n;

	do
		n = recv(fd, &q, sizeof q, MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof q || q.op >= KEY_OPS || !table[q.op])
		return false;
	memset(&a, 0, sizeof a);
	if (table[q.op](s, &q, &a, &a.err) && a.err.class == ERR_NONE)
		a.err.class = ERR_BUG;
	n = send(fd, &a, sizeof a, MSG_NOSIGNAL);
	OPENSSL_cleanse(&a, sizeof a);
	OPENSSL_cleanse(&q, sizeof q);
	return n == (ssize_t)sizeof a;
}

void keyproc_run(int fd, const struct keystore_config *c)
{
	struct key_reply ready = { 0 };
	struct keystore s = { 0 };

	signal(SIGINT, SIG_IGN); // a terminal's Ctrl-C goes to the group; the parent decides
	signal(SIGTERM, SIG_IGN);
	int rc = prepare(&s, c, &ready.err);
	if (rc && ready.err.class == ERR_NONE)
		ready.err.class = ERR_BUG;
	if (send(fd, &ready, sizeof ready, MSG_NOSIGNAL) == (ssize_t)sizeof ready && !rc)
		while (answer(fd, &s))
			;
	keystore_close(&s);
	_exit(rc ? 1 : 0);
}
