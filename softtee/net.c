#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strings.h"

static int unix_address(struct sockaddr_un *a, const char *path, const char *ending, struct err *e)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	int n = snprintf(a->sun_path, sizeof a->sun_path, "%s%s", path, ending);
	return n < 0 || (size_t)n >= sizeof a->sun_path
		       ? err_set(e, ERR_INPUT, "socket path %s is too long", path)
		       : 0;
}

int net_listen_unix(const char *path, struct err *e)
{
	struct sockaddr_un a;
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || unix_address(&a, path, ".new", e))
		return fd < 0 ? err_errno(e, "socket") : -1;
	unlink(a.sun_path);
	mode_t was = umask(0177);
	int rc = bind(fd, (struct sockaddr *)&a, sizeof a);
	umask(was);
	if (rc || listen(fd, 16) || rename(a.sun_path, path))
		return err_errno(e, "listen on %s", path);
	return take_fd(&fd);
}

int net_listen_tcp(const char *address, uint16_t *port, struct err *e)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof a;
	const char *colon = strrchr(address, ':');
	uint64_t number;
	char host[64] = "";
	int on = 1;

	if (colon && (size_t)(colon - address) < sizeof host)
		memcpy(host, address, (size_t)(colon - address));
	if (!colon || inet_pton(AF_INET, host, &a.sin_addr) != 1 || !str_uint(colon + 1, 0, 65535, &number))
		return err_set(e, ERR_INPUT, "%s is not address:port", address);
	a.sin_port = htons((uint16_t)number);
	auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
	    bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 64) ||
	    getsockname(fd, (struct sockaddr *)&a, &n))
		return err_errno(e, "listen on %s", address);
	*port = ntohs(a.sin_port);
	return take_fd(&fd);
}

int net_connect_unix(const char *path, struct err *e)
{
	struct sockaddr_un a;
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || unix_address(&a, path, "", e))
		return fd < 0 ? err_errno(e, "socket") : -1;
	if (connect(fd, (struct sockaddr *)&a, sizeof a))
		return err_errno(e, "connect to %s", path);
	return take_fd(&fd);
}

int net_limit(int fd, int seconds, struct err *e)
{
	struct timeval limit = { .tv_sec = seconds };
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit))
		return err_errno(e, "socket time limit");
	return 0;
}

int net_write(int fd, const void *p, size_t n, struct err *e)
{
	const uint8_t *at = p;

	while (n) {
		ssize_t put = send(fd, at, n, MSG_NOSIGNAL);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return err_errno(e, "send");
		at += put;
		n -= (size_t)put;
	}
	return 0;
}

int net_read(int fd, void *p, size_t n, struct err *e)
{
	uint8_t *at = p;
	size_t left = n;

	while (left) {
		ssize_t got = recv(fd, at, left, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(e, "receive");
		if (got == 0)
			return left == n ? err_set(e, ERR_ABSENT, "closed by the peer")
					 : err_set(e, ERR_INPUT, "cut off by the peer");
		at += got;
		left -= (size_t)got;
	}
	return 0;
}

union control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

int net_write_fd(int fd, const void *p, size_t n, int pass, struct err *e)
{
	union control control = { .bytes = { 0 } };
	struct iovec v = { (void *)(uintptr_t)p, n };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof control.bytes };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof pass);
	memcpy(CMSG_DATA(c), &pass, sizeof pass);
	if (sendmsg(fd, &m, MSG_NOSIGNAL) != (ssize_t)n)
		return err_errno(e, "send a descriptor");
	return 0;
}

// The descriptors that came; all but the first are closed, none is leaked.
static int take_passed(struct msghdr *m)
{
	int first = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int got;

			memcpy(&got, CMSG_DATA(c) + i * sizeof got, sizeof got);
			if (first < 0)
				first = got;
			else
				close(got);
		}
	}
	return first;
}

int net_read_fd(int fd, void *p, size_t n, int *passed, struct err *e)
{
	union control control;
	struct iovec v = { p, n };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof control.bytes };
	ssize_t got;

	*passed = -1;
	do
		got = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_errno(e, "receive");
	*passed = take_passed(&m);
	if (got == 0)
		return err_set(e, ERR_ABSENT, "closed by the peer");
	return (size_t)got == n ? 0 : net_read(fd, (uint8_t *)p + got, n - (size_t)got, e);
}
