#include "keyproc.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "crypto/issue.h"

enum { ANSWER_S = 30 };

static int no_answer(struct err *e)
{
	return err_code(e, ERR_AGAIN, "kms.key_process", "the key process ended; another one is started");
}

// ---- asking: many questions on one socket, one thread that reads the answers

static void finish(struct keyproc *k, struct key_job *j) // with the lock
{
	if (j->done) {
		pthread_mutex_unlock(&k->lock);
		j->done(j); // the job may be gone now
		pthread_mutex_lock(&k->lock);
		return;
	}
	j->answered = true;
	pthread_cond_broadcast(&k->answered);
}

static void fail(struct keyproc *k, struct key_job *j)
{
	no_answer(&j->a.err);
	finish(k, j);
}

// Puts what waits on the wire while there are places. Fewer than fill the socket's buffer, so this does not
// block.
static void send_waiting(struct keyproc *k)
{
	while (k->first && k->n_asked < KEY_WAITING_MAX && !k->gone) {
		struct key_job *j = k->first;
		uint32_t id = 0;

		while (k->asked[id])
			id++;
		k->first = j->next;
		if (!k->first)
			k->last = &k->first;
		j->q.id = id;
		k->asked[id] = j;
		k->n_asked++;
		j->q.more = (uint32_t)j->more.n;
		if (send(k->fd, &j->q, sizeof j->q, MSG_NOSIGNAL) != (ssize_t)sizeof j->q ||
		    (j->more.n && send(k->fd, j->more.p, j->more.n, MSG_NOSIGNAL) != (ssize_t)j->more.n))
			shutdown(k->fd, SHUT_RDWR); // the reader fails them all
	}
}

void keyproc_submit(struct keyproc *k, struct key_job *j)
{
	j->next = NULL;
	j->answered = false;
	pthread_mutex_lock(&k->lock);
	if (k->stop) {
		fail(k, j);
	} else {
		*k->last = j;
		k->last = &j->next;
		send_waiting(k);
	}
	pthread_mutex_unlock(&k->lock);
}

int keyproc_ask(struct keyproc *k, struct key_job *j, struct err *e)
{
	j->done = NULL;
	keyproc_submit(k, j);
	pthread_mutex_lock(&k->lock);
	while (!j->answered)
		pthread_cond_wait(&k->answered, &k->lock);
	pthread_mutex_unlock(&k->lock);
	if (j->a.err.class == ERR_NONE)
		return 0;
	*e = j->a.err;
	return -1;
}

static int take_more(struct keyproc *k, struct key_job *j, size_t n)
{
	ssize_t got;

	j->more_back = n <= KEY_MORE_MAX ? malloc(n) : NULL;
	if (!j->more_back)
		return -1;
	do
		got = recv(k->fd, j->more_back, n, 0);
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)n ? 0 : -1;
}

// One answer into its job. -1: the process is of no use any more.
static int take_answer(struct keyproc *k, const struct key_reply *a, size_t n)
{
	if (n < KEY_REPLY_FIXED || a->id >= KEY_WAITING_MAX || !k->asked[a->id] ||
	    a->line_n != n - KEY_REPLY_FIXED)
		return -1;
	struct key_job *j = k->asked[a->id];
	memcpy(&j->a, a, n);
	if (a->more && take_more(k, j, a->more))
		return -1;
	k->asked[a->id] = NULL;
	k->n_asked--;
	send_waiting(k);
	finish(k, j);
	return 0;
}

static void fail_asked(struct keyproc *k)
{
	for (size_t i = 0; i < KEY_WAITING_MAX; i++)
		if (k->asked[i]) {
			struct key_job *j = k->asked[i];
			k->asked[i] = NULL;
			k->n_asked--;
			fail(k, j);
		}
}

static void fail_waiting(struct keyproc *k)
{
	while (k->first) {
		struct key_job *j = k->first;
		k->first = j->next;
		fail(k, j);
	}
	k->last = &k->first;
}

static void take_answers(struct keyproc *k)
{
	struct key_reply a;
	bool ok = true;

	while (ok) {
		ssize_t n = recv(k->fd, &a, sizeof a, 0);
		if (n < 0 && errno == EINTR)
			continue;
		pthread_mutex_lock(&k->lock);
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			ok = !k->n_asked; // nothing was asked, or the time for an answer has passed
		else
			ok = n > 0 && !take_answer(k, &a, (size_t)n);
		pthread_mutex_unlock(&k->lock);
		OPENSSL_cleanse(&a, n > 0 ? (size_t)n : 0);
	}
}

static int await_ready(struct keyproc *k, struct err *e);

// The next key process, when there is one that is ready. False: there will be none.
static bool take_next(struct keyproc *k)
{
	struct err e = { 0 };

	pthread_mutex_lock(&k->lock);
	while (k->next < 0 && !k->stop)
		pthread_cond_wait(&k->came, &k->lock);
	bool more = !k->stop;
	if (more) {
		close(k->fd);
		k->fd = k->next;
		k->next = -1;
	}
	pthread_mutex_unlock(&k->lock);
	if (!more)
		return false;
	if (await_ready(k, &e)) {
		log_error("kms", "key process: %s code=%s", e.text, e.code);
		return true; // gone still, till the one after it
	}
	pthread_mutex_lock(&k->lock);
	k->gone = false;
	send_waiting(k);
	pthread_mutex_unlock(&k->lock);
	return true;
}

static void *read_answers(void *arg)
{
	struct keyproc *k = arg;

	do {
		if (!k->gone)
			take_answers(k);
		shutdown(k->fd, SHUT_RDWR);
		pthread_mutex_lock(&k->lock);
		k->gone = true;
		fail_asked(k);
		pthread_mutex_unlock(&k->lock);
	} while (take_next(k));
	pthread_mutex_lock(&k->lock);
	fail_waiting(k);
	pthread_mutex_unlock(&k->lock);
	return NULL;
}

// ---- its life

static int await_ready(struct keyproc *k, struct err *e)
{
	struct key_reply a;
	ssize_t n;

	// Reading a long log takes its time.
	do
		n = recv(k->fd, &a, sizeof a, 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)KEY_REPLY_FIXED)
		return err_code(e, ERR_SYSTEM, "kms.key_process",
				"the key process ended before it was ready");
	if (a.err.class != ERR_NONE) {
		*e = a.err;
		return -1;
	}
	k->cut = a.ready.cut;
	k->records = a.ready.records;
	k->time_ms = a.ready.time_ms;
	return 0;
}

void keyproc_rejoin(struct keyproc *k, int fd)
{
	struct timeval limit = { .tv_sec = ANSWER_S };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	pthread_mutex_lock(&k->lock);
	if (k->next >= 0)
		close(k->next);
	k->next = fd;
	pthread_cond_signal(&k->came);
	pthread_mutex_unlock(&k->lock);
}

int keyproc_join(struct keyproc *k, int fd, struct err *e)
{
	struct timeval limit = { .tv_sec = ANSWER_S };

	*k = (struct keyproc){ .fd = fd, .next = -1, .last = &k->first };
	if (await_ready(k, e)) {
		close(fd);
		return -1;
	}
	setsockopt(k->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	pthread_mutex_init(&k->lock, NULL);
	pthread_cond_init(&k->answered, NULL);
	pthread_cond_init(&k->came, NULL);
	return pthread_create(&k->reader, NULL, read_answers, k) ? err_set(e, ERR_SYSTEM, "start a thread")
								 : 0;
}

bool keyproc_is_there(struct keyproc *k)
{
	pthread_mutex_lock(&k->lock);
	bool there = !k->gone;
	pthread_mutex_unlock(&k->lock);
	return there;
}

void keyproc_stop(struct keyproc *k)
{
	pthread_mutex_lock(&k->lock);
	k->stop = true;
	pthread_cond_signal(&k->came);
	pthread_mutex_unlock(&k->lock);
	shutdown(k->fd, SHUT_RDWR);
	pthread_join(k->reader, NULL);
	close(k->fd);
	if (k->next >= 0)
		close(k->next);
	pthread_mutex_destroy(&k->lock);
	pthread_cond_destroy(&k->answered);
	pthread_cond_destroy(&k->came);
}

// ---- the questions

int keyproc_public(struct keyproc *k, uint8_t ca_spki[static 91], uint8_t k256_pub[static 33], struct err *e)
{
	struct key_job j = { .q.op = KEY_PUBLIC };

	if (keyproc_ask(k, &j, e))
		return -1;
	memcpy(ca_spki, j.a.public.ca_spki, 91);
	memcpy(k256_pub, j.a.public.k256_pub, 33);
	return 0;
}

int keyproc_env(struct keyproc *k, uint32_t root, const struct app_epoch *at,
		const uint8_t app[static APP_ID], uint64_t time, struct env_key *out, struct err *e)
{
	struct key_job j = { .q = { .op = KEY_ENV, .root = root, .time = time, .epoch = at->epoch } };

	if (at->seed.n > sizeof j.q.seed)
		return err_code(e, ERR_INPUT, "kms.seed", "deployment seed of %zu bytes, at most %d",
				at->seed.n, APPKEYS_SEED_MAX);
	j.q.seed_n = (uint32_t)at->seed.n;
	if (at->seed.n)
		memcpy(j.q.seed, at->seed.p, at->seed.n);
	memcpy(j.q.app, app, APP_ID);
	if (keyproc_ask(k, &j, e))
		return -1;
	*out = j.a.env;
	return 0;
}

X509 *keyproc_app_ca(struct keyproc *k, uint32_t root, const uint8_t app[static APP_ID], struct err *e)
{
	struct key_job j = { .q = { .op = KEY_APP_CA, .root = root } };

	memcpy(j.q.app, app, APP_ID);
	if (keyproc_ask(k, &j, e))
		return NULL;
	if (j.a.cert.n > sizeof j.a.cert.der) {
		err_set(e, ERR_BUG, "certificate of %u bytes", j.a.cert.n);
		return NULL;
	}
	return cert_from_der(span_of(j.a.cert.der, j.a.cert.n), e);
}

static int sign_app(struct keyproc *k, enum key_op op, uint32_t root, const struct audit_entry *x,
		    const uint8_t digest[static 32], uint8_t *sig, size_t *sig_len, struct err *e)
{
	struct key_job j = { .q = { .op = op, .root = root, .entry = *x } };

	memcpy(j.q.digest, digest, sizeof j.q.digest);
	if (keyproc_ask(k, &j, e))
		return -1;
	if (j.a.sig.n > sizeof j.a.sig.sig)
		return err_set(e, ERR_BUG, "signature of %u bytes", j.a.sig.n);
	memcpy(sig, j.a.sig.sig, j.a.sig.n);
	*sig_len = j.a.sig.n;
	return 0;
}

int keyproc_sign_app(struct keyproc *k, uint32_t root, const struct audit_entry *x,
		     const uint8_t digest[static 32], uint8_t *sig, size_t *sig_len, struct err *e)
{
	return sign_app(k, KEY_SIGN_APP, root, x, digest, sig, sig_len, e);
}

int keyproc_sign_crl(struct keyproc *k, uint32_t root, const struct audit_entry *x,
		     const uint8_t digest[static 32], uint8_t *sig, size_t *sig_len, struct err *e)
{
	return sign_app(k, KEY_SIGN_CRL, root, x, digest, sig, sig_len, e);
}

X509 *keyproc_rpc_cert(struct keyproc *k, uint32_t root, struct span attestation, struct err *e)
{
	struct key_job j = { .q = { .op = KEY_RPC_CERT, .root = root }, .more = attestation };
	X509 *c = NULL;

	if (attestation.n > KEY_MORE_MAX / 2) {
		err_code(e, ERR_INPUT, "kms.own_evidence", "the KMS's own evidence has %zu bytes",
			 attestation.n);
		return NULL;
	}
	if (!keyproc_ask(k, &j, e))
		c = cert_from_der(span_of(j.more_back, j.a.more), e);
	free(j.more_back);
	return c;
}

int keyproc_export(struct keyproc *k, const struct audit_entry *x, struct keyproc_roots *out, struct err *e)
{
	struct key_job j = { .q = { .op = KEY_EXPORT, .entry = *x } };
	int rc = keyproc_ask(k, &j, e);

	if (!rc) {
		memcpy(out->temp_ca, j.a.roots.temp_ca, sizeof out->temp_ca);
		memcpy(out->set, j.a.roots.set, sizeof out->set);
		out->n = j.a.roots.n;
		out->seq = j.a.seq;
	}
	OPENSSL_cleanse(&j.a, KEY_REPLY_FIXED);
	return rc;
}

int keyproc_record(struct keyproc *k, const struct audit_entry *x, uint64_t *seq, struct err *e)
{
	struct key_job j = { .q = { .op = KEY_RECORD, .entry = *x } };

	if (keyproc_ask(k, &j, e))
		return -1;
	if (seq)
		*seq = j.a.seq;
	return 0;
}

int keyproc_make_roots(struct keyproc *k, struct rotation *made, struct err *e)
{
	struct key_job j = { .q.op = KEY_ROOTS_NEW };

	if (keyproc_ask(k, &j, e))
		return -1;
	*made = j.a.made;
	return 0;
}

int keyproc_keep_roots(struct keyproc *k, const struct rotation *made, struct span evidence, uint64_t *seq,
		       struct err *e)
{
	struct key_job j = { .q.op = KEY_ROOTS_KEEP, .more = evidence };

	if (evidence.n > KEY_MORE_MAX / 2)
		return err_code(e, ERR_INPUT, "kms.own_evidence", "evidence of %zu bytes", evidence.n);
	rotation_id(made->ca_spki, made->k256_pub, j.q.digest);
	if (keyproc_ask(k, &j, e))
		return -1;
	*seq = j.a.seq;
	return 0;
}

int keyproc_head(struct keyproc *k, uint32_t root, struct audit_head *head, uint64_t *bytes, struct err *e)
{
	struct key_job j = { .q = { .op = KEY_HEAD, .root = root } };

	if (keyproc_ask(k, &j, e))
		return -1;
	*head = j.a.log.head;
	*bytes = j.a.log.bytes;
	return 0;
}
