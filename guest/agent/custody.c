#include "custody.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "core/hash/sha2.h"
#include "crypto/ed25519.h"
#include "crypto/kdf.h"
#include "custody_wire.h"

enum { ANSWER_S = 30 };

static int gone(struct err *e)
{
	return err_code(e, ERR_SYSTEM, "agent.custody", "the process that holds the keys does not answer");
}

// In this process, through the same table.
static int answer_here(struct keyring *k, const struct custody_head *h, const void *a, const void *b,
		       struct custody_reply *r)
{
	auto_free struct custody_request *q = malloc(sizeof *q);

	if (!q)
		return -1;
	q->head = *h;
	if (h->a_n)
		memcpy(q->bytes, a, h->a_n);
	if (h->b_n)
		memcpy(q->bytes + h->a_n, b, h->b_n);
	return custody_answer(k, q, sizeof *h + h->a_n + h->b_n, r) ? 0 : -1;
}

static int answer_there(struct custody *c, const struct custody_head *h, const void *a, const void *b,
			struct custody_reply *r)
{
	struct iovec v[] = { { (void *)(uintptr_t)h, sizeof *h },
			     { (void *)(uintptr_t)a, h->a_n },
			     { (void *)(uintptr_t)b, h->b_n } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 3 };
	ssize_t n;

	pthread_mutex_lock(&c->lock);
	n = sendmsg(c->process.fd, &m, MSG_NOSIGNAL);
	if (n == (ssize_t)(sizeof *h + h->a_n + h->b_n))
		do
			n = recv(c->process.fd, r, sizeof *r, 0);
		while (n < 0 && errno == EINTR);
	else
		n = -1;
	bool good = n == (ssize_t)sizeof *r || n == (ssize_t)offsetof(struct custody_reply, err);
	// A late answer would be taken for the next one's: after a failure the process is of no use.
	if (!good)
		shutdown(c->process.fd, SHUT_RDWR);
	pthread_mutex_unlock(&c->lock);
	if (n == (ssize_t)offsetof(struct custody_reply, err))
		r->err.class = ERR_NONE;
	return good ? 0 : -1;
}

static int ask(struct custody *c, const struct custody_head *h, const void *a, const void *b,
	       struct custody_reply *r, struct err *e)
{
	if (c->here ? answer_here(c->here, h, a, b, r) : answer_there(c, h, a, b, r))
		return gone(e);
	if (r->err.class == ERR_NONE)
		return 0;
	*e = r->err;
	return -1;
}

int custody_start(struct custody *c, const char *keys_file, uid_t user, struct app_public *out, struct err *e)
{
	static const struct timeval limit = { .tv_sec = ANSWER_S };
	static struct custody_ready ready;
	pid_t parent = getpid();
	ssize_t n;

	*c = (struct custody){ .lock = PTHREAD_MUTEX_INITIALIZER };
	if (process_fork(&c->process, e))
		return -1;
	if (!c->process.pid)
		custody_run(c->process.fd, keys_file, user, parent);
	setsockopt(c->process.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	do
		n = recv(c->process.fd, &ready, sizeof ready, 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof ready)
		gone(&ready.err);
	*out = ready.public;
	if (ready.err.class == ERR_NONE)
		return 0;
	*e = ready.err;
	custody_stop(c);
	return -1;
}

void custody_stop(struct custody *c)
{
	if (c->here)
		keyring_close(c->here);
	else if (c->process.pid)
		process_wait(&c->process); // it ends when there is nobody left to ask
	c->here = NULL;
}

int custody_here(struct custody *c, struct keyring *k, struct key_file *file, struct app_public *out,
		 struct err *e)
{
	*c = (struct custody){ .lock = PTHREAD_MUTEX_INITIALIZER, .here = k };
	return keyring_open(k, file, out, e);
}

static int kind_of(const char *algorithm, enum custody_algorithm *out, struct err *e)
{
	if (strcmp(algorithm, "ed25519") && strcmp(algorithm, "secp256k1") && strcmp(algorithm, "k256"))
		return err_code(e, ERR_INPUT, "agent.algorithm", "Unsupported algorithm");
	*out = strcmp(algorithm, "ed25519") ? CUSTODY_K256 : CUSTODY_ED25519;
	return 0;
}

static int check_path(const char *path, struct err *e)
{
	return strlen(path) > KDF_INFO_MAX
		       ? err_code(e, ERR_INPUT, "agent.path", "path is longer than %d bytes", KDF_INFO_MAX)
		       : 0;
}

int custody_key(struct custody *c, const char *path, const char *purpose, const char *algorithm,
		struct derived_key *out, struct err *e)
{
	enum custody_algorithm kind;
	struct custody_reply r;

	if (check_path(path, e) || kind_of(*algorithm ? algorithm : "k256", &kind, e))
		return -1;
	if (strlen(purpose) > CUSTODY_PURPOSE_MAX)
		return err_code(e, ERR_INPUT, "agent.purpose", "purpose is longer than %d bytes",
				CUSTODY_PURPOSE_MAX);
	const struct custody_head h = { .op = CUSTODY_KEY,
					.algorithm = kind,
					.a_n = (uint32_t)strlen(path) + 1,
					.b_n = (uint32_t)strlen(purpose) + 1 };
	int rc = ask(c, &h, path, purpose, &r, e);
	if (!rc)
		*out = r.key;
	secret_wipe(&r.key, sizeof r.key);
	return rc;
}

int custody_secret(struct custody *c, const char *path, uint8_t out[static 32], struct err *e)
{
	struct custody_reply r;

	if (check_path(path, e))
		return -1;
	const struct custody_head h = { .op = CUSTODY_SECRET, .a_n = (uint32_t)strlen(path) + 1 };
	int rc = ask(c, &h, path, NULL, &r, e);
	if (!rc)
		memcpy(out, r.secret, sizeof r.secret);
	secret_wipe(r.secret, sizeof r.secret);
	return rc;
}

// Ed25519 hashes the data with the key, so custody would have to take all of it: what does not fit a message
// is signed here. The key is one that any container may ask for (GetKey at the same path).
static int sign_long(struct custody *c, struct span data, struct app_signature *out, struct err *e)
{
	struct derived_key d;
	int rc = custody_key(c, APP_SIGNING_PATH, APP_SIGNING_PURPOSE, "ed25519", &d, e);

	if (!rc)
		rc = app_sign_with(&d, "ed25519", data, out, e);
	secret_wipe(&d, sizeof d);
	return rc;
}

int custody_sign(struct custody *c, const char *algorithm, struct span data, struct app_signature *out,
		 struct err *e)
{
	struct custody_head h = { .op = CUSTODY_SIGN };
	uint8_t digest[32];
	struct custody_reply r;

	if (app_sign_check(algorithm, data, e))
		return -1;
	if (!strcmp(algorithm, "ed25519")) {
		h.algorithm = CUSTODY_ED25519;
		if (data.n > CUSTODY_BYTES)
			return sign_long(c, data, out, e);
	} else if (strcmp(algorithm, "secp256k1_prehashed") != 0) {
		sha256(data.p, data.n, digest);
		data = span_of(digest, sizeof digest);
	}
	h.a_n = (uint32_t)data.n;
	if (ask(c, &h, data.p, NULL, &r, e))
		return -1;
	*out = r.sig;
	return 0;
}

int custody_signing_key(struct custody *c, const char *algorithm, struct derived_key *out, struct err *e)
{
	struct custody_head h = { .op = CUSTODY_SIGNING_KEY };
	enum custody_algorithm kind;
	struct custody_reply r;

	if (kind_of(algorithm, &kind, e))
		return -1;
	h.algorithm = kind;
	if (ask(c, &h, NULL, NULL, &r, e))
		return -1;
	*out = r.key;
	return 0;
}

int custody_sign_cert(void *custody, const uint8_t digest[static 32], uint8_t *sig, size_t *sig_len,
		      struct err *e)
{
	const struct custody_head h = { .op = CUSTODY_CERT, .a_n = 32 };
	struct custody_reply r;

	if (ask(custody, &h, digest, NULL, &r, e))
		return -1;
	if (r.cert.n > sizeof r.cert.sig)
		return err_set(e, ERR_BUG, "signature of %u bytes", r.cert.n);
	memcpy(sig, r.cert.sig, r.cert.n);
	*sig_len = r.cert.n;
	return 0;
}
