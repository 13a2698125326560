#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/vm_sockets.h>
#include "base/cleanup.h"
#include "base/strings.h"
#include "rpc/server.h"

enum { BACKLOG = 512 };

static int finish(int fd, const void *address, socklen_t n, const char *text, struct err *e)
{
	if (bind(fd, address, n))
		return err_errno(e, "bind %s", text);
	if (listen(fd, BACKLOG))
		return err_errno(e, "listen on %s", text);
	return 0;
}

static int open_socket(int family, const char *text, struct err *e)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err_errno(e, "open a socket for %s", text);
	return fd;
}

// A socket file nobody answers on any more.
static int remove_stale(const struct sockaddr_un *u, struct err *e)
{
	struct stat st;

	if (lstat(u->sun_path, &st))
		return errno == ENOENT ? 0 : err_errno(e, "listen on %s", u->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, ERR_SYSTEM, "listen on %s: something else is there", u->sun_path);
	auto_close int fd = open_socket(AF_UNIX, u->sun_path, e);
	if (fd < 0)
		return -1;
	if (!connect(fd, (const void *)u, sizeof *u))
		return err_set(e, ERR_SYSTEM, "listen on %s: another process serves there", u->sun_path);
	if (unlink(u->sun_path) && errno != ENOENT)
		return err_errno(e, "remove the stale socket %s", u->sun_path);
	return 0;
}

static int unix_socket(const char *path, mode_t mode, struct err *e)
{
	struct sockaddr_un u = { .sun_family = AF_UNIX };

	if (!*path || strlen(path) >= sizeof u.sun_path)
		return err_set(e, ERR_INPUT, "socket path %s: empty or longer than %zu bytes", path,
			       sizeof u.sun_path - 1);
	memcpy(u.sun_path, path, strlen(path));
	if (remove_stale(&u, e))
		return -1;
	auto_close int fd = open_socket(AF_UNIX, path, e);
	if (fd < 0)
		return -1;
	mode_t was = umask(0177); // never open to others, not even until the chmod
	int rc = finish(fd, &u, sizeof u, path, e);
	umask(was);
	if (rc)
		return -1;
	if (mode && chmod(path, mode))
		return err_errno(e, "set the mode of %s", path);
	return take_fd(&fd);
}

static int tcp_socket(const char *text, struct err *e)
{
	const char *colon = strrchr(text, ':');
	bool six = *text == '[';
	char host[64];
	uint64_t port;
	int on = 1;
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6 };

	if (!colon || (size_t)(colon - text) >= sizeof host || !str_uint(colon + 1, 0, 65535, &port) ||
	    (six && (colon - text < 2 || colon[-1] != ']')))
		return err_set(e, ERR_INPUT, "address tcp:%s: want IP:PORT", text);
	snprintf(host, sizeof host, "%.*s", (int)(colon - text - 2 * six), text + six);
	a.sin_port = a6.sin6_port = htons((uint16_t)port);
	if (inet_pton(six ? AF_INET6 : AF_INET, host, six ? (void *)&a6.sin6_addr : (void *)&a.sin_addr) != 1)
		return err_set(e, ERR_INPUT, "address tcp:%s: not a numeric IP address", text);
	auto_close int fd = open_socket(six ? AF_INET6 : AF_INET, text, e);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (six ? finish(fd, &a6, sizeof a6, text, e) : finish(fd, &a, sizeof a, text, e))
		return -1;
	return take_fd(&fd);
}

static int vsock_socket(const char *text, struct err *e)
{
	const char *colon = strchr(text, ':');
	char cid_text[16] = "";
	uint64_t cid = UINT32_MAX, port; // VMADDR_CID_ANY

	if (colon)
		snprintf(cid_text, sizeof cid_text, "%.*s", (int)(colon - text), text);
	if ((colon && !str_uint(cid_text, 0, UINT32_MAX, &cid)) ||
	    !str_uint(colon ? colon + 1 : text, 1, UINT32_MAX - 1, &port))
		return err_set(e, ERR_INPUT, "address vsock:%s: want [CID:]PORT", text);
	struct sockaddr_vm a = { .svm_family = AF_VSOCK,
				 .svm_cid = (uint32_t)cid,
				 .svm_port = (uint32_t)port };
	auto_close int fd = open_socket(AF_VSOCK, text, e);
	if (fd < 0 || finish(fd, &a, sizeof a, text, e))
		return -1;
	return take_fd(&fd);
}

static int given_socket(const char *text, struct err *e)
{
	uint64_t fd;
	int on = 0;
	socklen_t n = sizeof on;

	if (!str_uint(text, 0, 1023, &fd))
		return err_set(e, ERR_INPUT, "address fd:%s: want a descriptor", text);
	if (getsockopt((int)fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) || !on)
		return err_set(e, ERR_INPUT, "address fd:%s: not a listening socket", text);
	if (fcntl((int)fd, F_SETFL, O_NONBLOCK) || fcntl((int)fd, F_SETFD, FD_CLOEXEC))
		return err_errno(e, "adopt descriptor %s", text);
	return (int)fd;
}

int rpc_socket(const char *address, mode_t mode, struct err *e)
{
	if (str_starts(address, "unix:"))
		return unix_socket(address + 5, mode, e);
	if (str_starts(address, "tcp:"))
		return tcp_socket(address + 4, e);
	if (str_starts(address, "vsock:"))
		return vsock_socket(address + 6, e);
	if (str_starts(address, "fd:"))
		return given_socket(address + 3, e);
	return err_code(e, ERR_INPUT, "config.address",
			"address %s: want unix:, tcp:, vsock: or fd:", address);
}
