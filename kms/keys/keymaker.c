#include "keymaker.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../process/jail.h"

enum { BUFFER = 512 * 1024 };

struct order {
	uint32_t root, statement_n; // the statement follows in a second message
	struct keyring_files files;
};

static ssize_t get(int fd, void *p, size_t n)
{
	ssize_t got;

	do
		got = recv(fd, p, n, 0);
	while (got < 0 && errno == EINTR);
	return got;
}

static void work(int fd, const char *dir)
{
	static char statement[KEYRING_STATEMENT_MAX + 1];
	static struct order o;

	while (get(fd, &o, sizeof o) == (ssize_t)sizeof o) {
		struct err e = { 0 };
		if (o.statement_n > KEYRING_STATEMENT_MAX ||
		    get(fd, statement, o.statement_n) != (ssize_t)o.statement_n)
			return;
		statement[o.statement_n] = 0;
		if (keyring_add(dir, o.root, &o.files, statement, &e) && e.class == ERR_NONE)
			e.class = ERR_BUG;
		OPENSSL_cleanse(&o, sizeof o);
		if (send(fd, &e, sizeof e, MSG_NOSIGNAL) != (ssize_t)sizeof e)
			return;
	}
}

static void child(int fd, const char *dir, pid_t parent)
{
	struct err e = { 0 };
	int buffer = BUFFER;

	prctl(PR_SET_NAME, "kms-roots");
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent || secret_process(&e) ||
	    jail_key_maker(&e))
		_exit(1);
	work(fd, dir);
	_exit(0);
}

int keymaker_start(const char *dir, int other, int *fd, struct err *e)
{
	pid_t own = getpid();
	int pair[2], buffer = BUFFER;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return err_errno(e, "start key maker: socketpair");
	pid_t pid = fork();
	if (pid < 0) {
		close(pair[0]);
		close(pair[1]);
		return err_errno(e, "start key maker: fork");
	}
	if (!pid) {
		close(pair[0]);
		close(other);
		child(pair[1], dir, own);
	}
	close(pair[1]);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
	*fd = pair[0];
	return 0;
}

int keymaker_put(int fd, uint32_t root, const struct keyring_files *f, const char *statement, struct err *e)
{
	struct order o = { .root = root, .statement_n = (uint32_t)strlen(statement), .files = *f };
	struct err said = { 0 };
	int rc = send(fd, &o, sizeof o, MSG_NOSIGNAL) == (ssize_t)sizeof o &&
		 send(fd, statement, o.statement_n, MSG_NOSIGNAL) == (ssize_t)o.statement_n &&
		 get(fd, &said, sizeof said) == (ssize_t)sizeof said;

	OPENSSL_cleanse(&o, sizeof o);
	if (!rc)
		return err_code(e, ERR_SYSTEM, "kms.key_process",
				"the process that writes root sets is gone");
	if (said.class == ERR_NONE)
		return 0;
	*e = said;
	return -1;
}
