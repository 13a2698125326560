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
#include "keyfiles.h"
#include "keyproc_wire.h"
#include "keystore.h"

enum { SECURE_HEAP = 1 << 16, SECURE_MIN = 32 };

// What the process works with. `more` holds the second message of a request, then that of its answer.
struct keyroom {
	struct keystore s;
	const struct keystore_config *config;
	EVP_PKEY *temp_ca;
	uint8_t more[KEY_MORE_MAX];
};

typedef int key_fn(struct keyroom *r, const struct key_request *q, struct key_reply *a, struct err *e);

static int do_public(struct keyroom *r, const struct key_request *q, struct key_reply *a, struct err *e)
{
	(void)q, (void)e;
	memcpy(a->public.ca_spki, r->s.ca_spki, sizeof a->public.ca_spki);
	memcpy(a->public.k256_pub, r->s.k256_pub, sizeof a->public.k256_pub);
	return 0;
}

static int do_app(struct keyroom *r, const struct key_request *q, struct key_reply *a, struct err *e)
{
	if (q->inst_n > sizeof q->inst)
		return err_set(e, ERR_INPUT, "instance id has %u bytes", q->inst_n);
	return appkeys_derive(keystore_roots(&r->s), q->app, span_of(q->inst, q->inst_n), &a->app, e);
}

static int do_env(struct keyroom *r, const struct key_request *q, struct key_reply *a, struct err *e)
{
	return appkeys_env(keystore_roots(&r->s), q->app, q->time, &a->env, e);
}

static int do_app_ca(struct keyroom *r, const struct key_request *q, struct key_reply *a, struct err *e)
{
	auto_x509 X509 *c = keystore_app_ca(&r->s, q->app, NULL, e);
	uint8_t *p = a->cert.der;
	int n = c ? i2d_X509(c, NULL) : 0;

	if (!c)
		return -1;
	if (n <= 0 || n > KEY_CERT_MAX || i2d_X509(c, &p) != n)
		return err_ssl(e, ERR_BUG, "encode app CA certificate of %d bytes", n);
	a->cert.n = (uint32_t)n;
	return 0;
}

static int do_sign_app(struct keyroom *r, const struct key_request *q, struct key_reply *a, struct err *e)
{
	uint8_t d[P256_SCALAR];
	size_t n = 0;

	if (appkeys_ca(keystore_roots(&r->s), q->app, d, e))
		return -1;
	auto_pkey EVP_PKEY *k = p256_from_scalar(d, e);
	OPENSSL_cleanse(d, sizeof d);
	if (!k || p256_sign_digest(k, q->digest, a->sig.sig, &n, e))
		return -1;
	a->sig.n = (uint32_t)n;
	return 0;
}

static int do_rpc_cert(struct keyroom *r, const struct key_request *q, struct key_reply *a, struct err *e)
{
	auto_x509 X509 *c = keystore_rpc_cert(&r->s, r->config, span_of(r->more, q->more), e);
	uint8_t *p = r->more;
	int n = c ? i2d_X509(c, NULL) : 0;

	if (!c)
		return -1;
	if (n <= 0 || n > KEY_MORE_MAX || i2d_X509(c, &p) != n)
		return err_ssl(e, ERR_INPUT, "encode RPC certificate of %d bytes", n);
	a->more = (uint32_t)n;
	return 0;
}

static int do_export(struct keyroom *r, const struct key_request *q, struct key_reply *a, struct err *e)
{
	(void)q;
	if (!r->config->handover)
		return err_code(e, ERR_DENIED, "kms.no_handover",
				"this KMS gives its roots to no other: core.handover is not set");
	memcpy(a->roots.k256, keystore_roots(&r->s)->k256, sizeof a->roots.k256);
	return p256_to_pem(r->s.ca_key, a->roots.ca, e) || p256_to_pem(r->temp_ca, a->roots.temp_ca, e) ? -1
													: 0;
}

static key_fn *const table[KEY_OPS] = {
	[KEY_PUBLIC] = do_public, [KEY_APP] = do_app,           [KEY_ENV] = do_env,
	[KEY_APP_CA] = do_app_ca, [KEY_SIGN_APP] = do_sign_app, [KEY_RPC_CERT] = do_rpc_cert,
	[KEY_EXPORT] = do_export,
};

static int self_test(const struct keystore *s, struct err *e)
{
	// OpenSSL loads what it loads lazily while files may still be opened.
	auto_x509 X509 *warm_up = keystore_app_ca(s, (const uint8_t[APP_ID]){ 0 }, NULL, e);
	struct err ignored;
	struct app_keys keys;
	struct env_key env;
	uint8_t warm[1];

	if (!warm_up || RAND_priv_bytes(warm, 1) != 1 ||
	    appkeys_derive(keystore_roots(s), (const uint8_t[APP_ID]){ 0 }, span_of(NULL, 0), &keys,
			   &ignored) ||
	    appkeys_env(keystore_roots(s), (const uint8_t[APP_ID]){ 0 }, 0, &env, &ignored))
		return err_set(e, ERR_SYSTEM, "key process: self test failed");
	appkeys_wipe(&keys);
	return 0;
}

static int prepare(struct keyroom *r, struct err *e)
{
	const struct keystore_config *c = r->config;

	// The end of the parent is the end of the key process, also when it is killed.
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		return err_errno(e, "key process: prctl");
	if (secret_process(e))
		return -1;
	// Private scalars inside OpenSSL lie in its locked heap then; without it (memory lock limit) they lie
	// in the ordinary one, of a process that cannot be dumped.
	(void)CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_MIN);
	if (keystore_open(&r->s, c, e) || keystore_renew(&r->s, c, e))
		return -1;
	r->temp_ca = keyfiles_read_key(c->dir, "tmp-ca.key", e);
	auto_x509 X509 *warm_up = r->temp_ca ? keystore_rpc_cert(&r->s, c, span_of(NULL, 0), e) : NULL;
	if (!warm_up || self_test(&r->s, e))
		return -1;
	return jail_key_process(e);
}

static bool get(int fd, void *p, size_t want)
{
	ssize_t n;

	do
		n = recv(fd, p, want, MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)want;
}

static bool answer(int fd, struct keyroom *r)
{
	struct key_request q;
	struct key_reply a;

	if (!get(fd, &q, sizeof q) || q.op >= KEY_OPS || !table[q.op] ||
	    (q.more && (q.op != KEY_RPC_CERT || q.more > sizeof r->more || !get(fd, r->more, q.more))))
		return false;
	memset(&a, 0, sizeof a);
	if (table[q.op](r, &q, &a, &a.err)) {
		a.more = 0;
		if (a.err.class == ERR_NONE)
			a.err.class = ERR_BUG;
	}
	bool sent = send(fd, &a, sizeof a, MSG_NOSIGNAL) == (ssize_t)sizeof a &&
		    (!a.more || send(fd, r->more, a.more, MSG_NOSIGNAL) == (ssize_t)a.more);
	OPENSSL_cleanse(&a, sizeof a);
	OPENSSL_cleanse(&q, sizeof q);
	return sent;
}

void keyproc_run(int fd, const struct keystore_config *c)
{
	static struct keyroom room;
	struct key_reply ready = { 0 };

	room.config = c;
	signal(SIGINT, SIG_IGN); // a terminal's Ctrl-C goes to the group; the parent decides
	signal(SIGTERM, SIG_IGN);
	int rc = prepare(&room, &ready.err);
	if (rc && ready.err.class == ERR_NONE)
		ready.err.class = ERR_BUG;
	if (send(fd, &ready, sizeof ready, MSG_NOSIGNAL) == (ssize_t)sizeof ready && !rc)
		while (answer(fd, &room))
			;
	EVP_PKEY_free(room.temp_ca);
	keystore_close(&room.s);
	_exit(rc ? 1 : 0);
}
