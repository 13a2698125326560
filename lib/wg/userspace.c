#include "wg/backend.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/strings.h"

// A peer is about 400 bytes in a reply: room for some 40,000.
enum { REPLY_MAX = 16 << 20, REPLY_FIRST = 64 << 10, PATIENCE_MS = 5000, PEER_TEXT = 512, BATCH = 64 };

static int socket_path(struct sockaddr_un *a, const char *name)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return snprintf(a->sun_path, sizeof a->sun_path, "/var/run/wireguard/%s.sock", name);
}

static int dial(const char *name)
{
	struct sockaddr_un a;
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	socket_path(&a, name);
	if (fd >= 0 && connect(fd, (void *)&a, sizeof a) == 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
		return fd;
	}
	if (fd >= 0) {
		int reason = errno;
		close(fd);
		errno = reason;
	}
	return -1;
}

bool wg_uapi_alive(const char *name)
{
	int fd = dial(name);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

// Wait for a child of ours to end; false when it did not end well in time.
static bool ended_well(pid_t pid)
{
	int status = 0, fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool done = fd >= 0 && poll(&p, 1, PATIENCE_MS) == 1;

	if (fd >= 0)
		close(fd);
	if (!done)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return done && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Without -f the program opens device and socket, leaves a daemon behind and ends.
int wg_uapi_start(const char *name, struct err *e)
{
	char program[] = "wireguard-go",
	     path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	     level[] = "LOG_LEVEL=silent", interface[WG_NAME_MAX + 1];
	char *argv[] = { program, interface, NULL }, *env[] = { path, level, NULL };
	posix_spawn_file_actions_t fds;
	posix_spawnattr_t attr;
	pid_t pid;

	snprintf(interface, sizeof interface, "%s", name);
	if (posix_spawn_file_actions_init(&fds))
		return err_set(e, ERR_SYSTEM, "start wireguard-go: out of memory");
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
	posix_spawn_file_actions_addopen(&fds, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&fds, 0, 1);
	posix_spawn_file_actions_adddup2(&fds, 0, 2);
	posix_spawn_file_actions_addclosefrom_np(&fds, 3);
	int r = posix_spawnp(&pid, program, &fds, &attr, argv, env);
	posix_spawn_file_actions_destroy(&fds);
	posix_spawnattr_destroy(&attr);
	if (r) {
		errno = r;
		return err_errno(e, "start wireguard-go (Debian package wireguard-go)");
	}
	if (!ended_well(pid) || !wg_uapi_alive(name))
		return err_set(e, ERR_SYSTEM, "start wireguard-go %s: it ended without making the interface",
			       name);
	return 0;
}

// wireguard-go ends when its socket file is removed; wait until it no longer answers.
int wg_uapi_stop(const char *name, struct err *e)
{
	struct sockaddr_un a;
	struct pollfd p = { .events = 0 };

	p.fd = dial(name);
	socket_path(&a, name);
	if (unlink(a.sun_path) && errno != ENOENT) {
		if (p.fd >= 0)
			close(p.fd);
		return err_errno(e, "remove %s", a.sun_path);
	}
	if (p.fd < 0)
		return 0;
	int gone = poll(&p, 1, PATIENCE_MS); // POLLHUP: the process closed our connection by ending
	close(p.fd);
	return gone == 1 ? 0 : err_set(e, ERR_SYSTEM, "wireguard-go of %s did not end", name);
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return -1;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

// Read until the empty line that ends a reply.
static char *read_reply(int fd, size_t *n)
{
	size_t cap = REPLY_FIRST, have = 0;
	char *text = malloc(cap);

	while (text) {
		if (have == cap) {
			char *more = cap < REPLY_MAX ? realloc(text, cap * 2) : NULL;
			if (!more)
				break;
			text = more;
			cap *= 2;
		}
		ssize_t k = recv(fd, text + have, cap - have, 0);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			break;
		have += (size_t)k;
		if (have >= 2 && text[have - 1] == '\n' && text[have - 2] == '\n') {
			*n = have;
			return text;
		}
	}
	free(text);
	return NULL;
}

static int talk(struct wg *w, const char *text, size_t n, struct wg_list *list, struct err *e)
{
	long code = 0;
	size_t got = 0;
	int fd = dial(w->name);

	if (fd < 0)
		return err_errno(e, "reach wireguard-go of %s", w->name);
	char *reply = write_all(fd, text, n) ? NULL : read_reply(fd, &got);
	close(fd);
	if (!reply)
		return err_set(e, ERR_AGAIN, "wireguard-go of %s gave no complete answer", w->name);
	int r = wg_uapi_parse(list, &code, reply, got, e);
	explicit_bzero(reply, got); // a get=1 reply has the private key in it
	free(reply);
	if (!r && code)
		r = err_set(e, ERR_SYSTEM, "wireguard-go of %s refused: errno %ld", w->name, code);
	return r;
}

static int set_key(struct wg *w, const uint8_t *key, uint16_t port, struct err *e)
{
	char text[160], digits[2 * WG_KEY + 1];

	hex_encode(digits, key, WG_KEY);
	int n = snprintf(text, sizeof text, "set=1\nprivate_key=%s\nlisten_port=%u\n\n", digits, port);
	int r = talk(w, text, (size_t)n, NULL, e);
	explicit_bzero(text, sizeof text);
	explicit_bzero(digits, sizeof digits);
	return r;
}

static size_t put_peer(char *out, size_t cap, const struct wg_change *c)
{
	char digits[2 * WG_KEY + 1], ip[INET_ADDRSTRLEN];
	size_t n = 0;

	hex_encode(digits, c->key, WG_KEY);
	n += (size_t)snprintf(out, cap, "public_key=%s\n", digits);
	if (c->remove)
		return n + (size_t)snprintf(out + n, cap - n, "remove=true\n");
	if (c->endpoint.sin_family == AF_INET)
		n += (size_t)snprintf(out + n, cap - n, "endpoint=%s:%u\n",
				      inet_ntop(AF_INET, &c->endpoint.sin_addr, ip, sizeof ip),
				      ntohs(c->endpoint.sin_port));
	if (c->keepalive)
		n += (size_t)snprintf(out + n, cap - n, "persistent_keepalive_interval=%u\n", c->keepalive);
	if (c->allowed_n)
		n += (size_t)snprintf(out + n, cap - n, "replace_allowed_ips=true\n");
	for (size_t i = 0; i < c->allowed_n && i < WG_ALLOWED_MAX; i++)
		n += (size_t)snprintf(out + n, cap - n, "allowed_ip=%s/%u\n",
				      inet_ntop(AF_INET, &c->allowed[i].ip, ip, sizeof ip),
				      c->allowed[i].prefix);
	return n;
}

static int change(struct wg *w, const struct wg_change *changes, size_t n, struct err *e)
{
	char text[BATCH * PEER_TEXT];

	while (n) {
		size_t len = (size_t)snprintf(text, sizeof text, "set=1\n"), done = 0;
		for (; done < n && len + PEER_TEXT < sizeof text; done++)
			len += put_peer(text + len, sizeof text - len, &changes[done]);
		text[len++] = '\n';
		if (talk(w, text, len, NULL, e))
			return -1;
		changes += done;
		n -= done;
	}
	return 0;
}

static int peers(struct wg *w, struct wg_peer *out, size_t cap, size_t *n, struct err *e)
{
	struct wg_list list = { .out = out, .cap = cap };

	if (talk(w, "get=1\n\n", 7, &list, e))
		return -1;
	*n = list.n;
	return list.full ? err_set(e, ERR_SYSTEM, "more than %zu peers", cap) : 0;
}

const struct wg_ops wg_userspace_ops = { set_key, change, peers };
