#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "crypto/ssl.h"
#include "custody_wire.h"
#include "jail.h"

enum { SECURE_HEAP = 1 << 16, SECURE_MIN = 32 };

// OpenSSL loads what it loads lazily while files may still be opened: each question once.
static int self_test(struct keyring *k, struct err *e)
{
	static struct custody_request q;
	struct custody_reply a;
	int rc = 0;

	for (uint32_t op = 0; !rc && op < CUSTODY_OPS; op++)
		for (uint32_t algorithm = 0; !rc && algorithm < CUSTODY_ALGORITHMS; algorithm++) {
			bool digest = op == CUSTODY_SIGN || op == CUSTODY_CERT;
			bool nothing = op == CUSTODY_SIGNING_KEY || (op == CUSTODY_CERT && !k->ca);
			q.head = (struct custody_head){ .op = op,
							.algorithm = algorithm,
							.a_n = nothing  ? 0
							       : digest ? 32
									: 1,
							.b_n = op == CUSTODY_KEY };
			if (op == CUSTODY_CERT && !k->ca)
				continue;
			if (!custody_answer(k, &q, sizeof q.head + q.head.a_n + q.head.b_n, &a))
				rc = err_set(e, ERR_BUG, "custody: self test");
			else if (a.err.class != ERR_NONE) {
				*e = a.err;
				rc = -1;
			}
		}
	secret_wipe(&a, sizeof a);
	return rc;
}

// From now on only root with its rights, as the agent has when it starts, and custody itself can open it.
static void take_file(const char *path, uid_t user)
{
	if (user && geteuid() == 0 && lchown(path, user, user))
		log_warn("agent", "the key file stays root's: %s path=%s", strerror(errno), path);
}

static int prepare(struct keyring *k, const char *path, uid_t user, pid_t parent, struct app_public *out,
		   struct err *e)
{
	struct key_file file = { 0 };

	// Private scalars inside OpenSSL lie in its locked heap then; without it (memory lock limit) they lie
	// in the ordinary one, of a process that cannot be dumped.
	(void)CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_MIN);
	if (secret_process(e) || key_file_read(path, &file, e) || keyring_open(k, &file, out, e))
		return -1;
	take_file(path, user);
	if (self_test(k, e))
		return err_wrap(e, "custody");
	return process_confine("custody", user, parent, e) || jail_custody(e) ? -1 : 0;
}

static bool answer(int fd, struct keyring *k)
{
	static struct custody_request q;
	struct custody_reply a;
	ssize_t n;

	do
		n = recv(fd, &q, sizeof q, MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n <= 0 || n > (ssize_t)sizeof q || !custody_answer(k, &q, (size_t)n, &a))
		return false;
	size_t size = custody_reply_size(&a);
	ssize_t sent = send(fd, &a, size, MSG_NOSIGNAL);
	secret_wipe(&a, sizeof a);
	return sent == (ssize_t)size;
}

void custody_run(int fd, const char *keys_file, uid_t user, pid_t parent)
{
	static struct custody_ready ready;
	struct keyring k = { 0 };

	int rc = prepare(&k, keys_file, user, parent, &ready.public, &ready.err);
	if (rc && ready.err.class == ERR_NONE)
		ready.err.class = ERR_BUG;
	if (send(fd, &ready, sizeof ready, MSG_NOSIGNAL) == (ssize_t)sizeof ready && !rc)
		while (answer(fd, &k))
			;
	keyring_close(&k);
	_exit(rc ? 1 : 0);
}
