#include "keyproc.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/issue.h"
#include "keyproc_wire.h"

enum { ANSWER_S = 30 };

static bool get(int fd, void *p, size_t want)
{
	ssize_t n;

	do
		n = recv(fd, p, want, MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)want;
}

// One question; `more` follows it, and what follows the answer goes to `*out`, malloc'd.
static int exchange(struct keyproc *k, const struct key_request *q, struct span more, struct key_reply *a,
		    uint8_t **out, struct err *e)
{
	pthread_mutex_lock(&k->lock);
	bool ok = send(k->fd, q, sizeof *q, MSG_NOSIGNAL) == (ssize_t)sizeof *q &&
		  (!more.n || send(k->fd, more.p, more.n, MSG_NOSIGNAL) == (ssize_t)more.n) &&
		  get(k->fd, a, sizeof *a);
	if (ok && a->more) {
		uint8_t *p = out && a->more <= KEY_MORE_MAX ? malloc(a->more) : NULL;
		ok = p && get(k->fd, p, a->more);
		if (ok)
			*out = p;
		else
			free(p);
	}
	// A late answer would be taken for the next one's: after a failure the process is of no use.
	if (!ok)
		shutdown(k->fd, SHUT_RDWR);
	pthread_mutex_unlock(&k->lock);
	if (!ok)
		return err_code(e, ERR_SYSTEM, "kms.key_process", "the key process does not answer");
	if (a->err.class == ERR_NONE)
		return 0;
	*e = a->err;
	return -1;
}

static int ask(struct keyproc *k, const struct key_request *q, struct key_reply *a, struct err *e)
{
	return exchange(k, q, span_of(NULL, 0), a, NULL, e);
}

static int await_ready(struct keyproc *k, struct err *e)
{
	struct key_reply a;
	ssize_t n;

	do
		n = recv(k->fd, &a, sizeof a, 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof a)
		return err_code(e, ERR_SYSTEM, "kms.key_process",
				"the key process ended before it was ready");
	if (a.err.class == ERR_NONE)
		return 0;
	*e = a.err;
	return -1;
}

int keyproc_start(struct keyproc *k, const struct keystore_config *c, struct err *e)
{
	struct timeval limit = { .tv_sec = ANSWER_S };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return err_errno(e, "start key process: socketpair");
	k->pid = fork();
	if (k->pid < 0) {
		close(pair[0]);
		close(pair[1]);
		return err_errno(e, "start key process: fork");
	}
	if (!k->pid) {
		close(pair[0]);
		keyproc_run(pair[1], c);
	}
	close(pair[1]);
	k->fd = pair[0];
	pthread_mutex_init(&k->lock, NULL);
	setsockopt(k->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (await_ready(k, e)) {
		keyproc_stop(k);
		return -1;
	}
	return 0;
}

void keyproc_stop(struct keyproc *k)
{
	close(k->fd); // it ends when there is nobody left to ask
	while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
		;
	pthread_mutex_destroy(&k->lock);
}

static struct key_request request(enum key_op op, const uint8_t app[static APP_ID])
{
	struct key_request q = { .op = op };

	memcpy(q.app, app, APP_ID);
	return q;
}

int keyproc_public(struct keyproc *k, uint8_t ca_spki[static 91], uint8_t k256_pub[static 33], struct err *e)
{
	struct key_request q = { .op = KEY_PUBLIC };
	struct key_reply a;

	if (ask(k, &q, &a, e))
		return -1;
	memcpy(ca_spki, a.public.ca_spki, 91);
	memcpy(k256_pub, a.public.k256_pub, 33);
	return 0;
}

int keyproc_app(struct keyproc *k, const uint8_t app[static APP_ID], struct span inst, struct app_keys *out,
		struct err *e)
{
	struct key_request q = request(KEY_APP, app);
	struct key_reply a;

	if (inst.n > sizeof q.inst)
		return err_set(e, ERR_INPUT, "instance id has %zu bytes", inst.n);
	if (inst.n)
		memcpy(q.inst, inst.p, inst.n);
	q.inst_n = (uint32_t)inst.n;
	int rc = ask(k, &q, &a, e);
	if (!rc)
		*out = a.app;
	OPENSSL_cleanse(&a, sizeof a);
	return rc;
}

int keyproc_env(struct keyproc *k, const uint8_t app[static APP_ID], uint64_t time, struct env_key *out,
		struct err *e)
{
	struct key_request q = request(KEY_ENV, app);
	struct key_reply a;

	q.time = time;
	if (ask(k, &q, &a, e))
		return -1;
	*out = a.env;
	return 0;
}

X509 *keyproc_app_ca(struct keyproc *k, const uint8_t app[static APP_ID], struct err *e)
{
	struct key_request q = request(KEY_APP_CA, app);
	struct key_reply a;

	if (ask(k, &q, &a, e))
		return NULL;
	if (a.cert.n > sizeof a.cert.der) {
		err_set(e, ERR_BUG, "certificate of %u bytes", a.cert.n);
		return NULL;
	}
	return cert_from_der(span_of(a.cert.der, a.cert.n), e);
}

int keyproc_sign_app(struct keyproc *k, const uint8_t app[static APP_ID], const uint8_t digest[static 32],
		     uint8_t *sig, size_t *sig_len, struct err *e)
{
	struct key_request q = request(KEY_SIGN_APP, app);
	struct key_reply a;

	memcpy(q.digest, digest, sizeof q.digest);
	if (ask(k, &q, &a, e))
		return -1;
	if (a.sig.n > sizeof a.sig.sig)
		return err_set(e, ERR_BUG, "signature of %u bytes", a.sig.n);
	memcpy(sig, a.sig.sig, a.sig.n);
	*sig_len = a.sig.n;
	return 0;
}

X509 *keyproc_rpc_cert(struct keyproc *k, struct span attestation, struct err *e)
{
	struct key_request q = { .op = KEY_RPC_CERT, .more = (uint32_t)attestation.n };
	uint8_t *der = NULL;
	struct key_reply a;
	X509 *c = NULL;

	if (attestation.n > KEY_MORE_MAX / 2) {
		err_code(e, ERR_INPUT, "kms.own_evidence", "the KMS's own evidence has %zu bytes",
			 attestation.n);
		return NULL;
	}
	if (!exchange(k, &q, attestation, &a, &der, e))
		c = cert_from_der(span_of(der, a.more), e);
	free(der);
	return c;
}

int keyproc_export(struct keyproc *k, struct keyproc_roots *out, struct err *e)
{
	struct key_request q = { .op = KEY_EXPORT };
	struct key_reply a;
	int rc = ask(k, &q, &a, e);

	if (!rc) {
		memcpy(out->ca, a.roots.ca, sizeof out->ca);
		memcpy(out->temp_ca, a.roots.temp_ca, sizeof out->temp_ca);
		memcpy(out->k256, a.roots.k256, sizeof out->k256);
	}
	OPENSSL_cleanse(&a, sizeof a);
	return rc;
}
