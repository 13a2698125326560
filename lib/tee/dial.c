#include "tee/dial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

union address {
	struct sockaddr any;
	struct sockaddr_un un;
	struct sockaddr_vm vm;
};

static int parse_number(const char **p, uint32_t *out)
{
	char *end;

	if (**p < '0' || **p > '9')
		return -1;
	errno = 0;
	unsigned long v = strtoul(*p, &end, 10);
	if (errno || v > UINT32_MAX)
		return -1;
	*out = (uint32_t)v;
	*p = end;
	return 0;
}

static int parse(const char *text, union address *a, socklen_t *n)
{
	*a = (union address){ 0 };
	if (!strncmp(text, "unix:", 5)) {
		size_t len = strlen(text + 5);

		if (!len || len >= sizeof a->un.sun_path)
			return -1;
		a->un.sun_family = AF_UNIX;
		memcpy(a->un.sun_path, text + 5, len);
		*n = sizeof a->un;
		return 0;
	}
	if (strncmp(text, "vsock:", 6))
		return -1;
	const char *p = text + 6;
	a->vm.svm_family = AF_VSOCK;
	*n = sizeof a->vm;
	if (parse_number(&p, &a->vm.svm_cid) || *p++ != ':' || parse_number(&p, &a->vm.svm_port) || *p)
		return -1;
	return 0;
}

int dial(const char *address, int seconds, struct err *e)
{
	union address a;
	socklen_t n;
	struct timeval limit = { .tv_sec = seconds };

	if (parse(address, &a, &n))
		return err_set(e, ERR_INPUT, "address %s is neither unix:/path nor vsock:CID:PORT", address);
	int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(e, "connect to %s", address);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) || connect(fd, &a.any, n)) {
		err_errno(e, "connect to %s", address);
		close(fd);
		return -1;
	}
	return fd;
}

static int send_all(int fd, const uint8_t *p, size_t n, struct err *e)
{
	while (n) {
		ssize_t put = send(fd, p, n, MSG_NOSIGNAL);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return err_errno(e, "send");
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

int dial_send(int fd, const void *msg, size_t n, struct err *e)
{
	uint8_t head[4] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };

	return send_all(fd, head, sizeof head, e) || send_all(fd, msg, n, e) ? -1 : 0;
}

static int receive_all(int fd, uint8_t *p, size_t n, struct err *e)
{
	while (n) {
		ssize_t got = recv(fd, p, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(e, "receive");
		if (got == 0)
			return err_set(e, ERR_AGAIN, "receive: closed by the peer");
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

int dial_receive(int fd, uint8_t *out, size_t cap, size_t *n, struct err *e)
{
	uint8_t head[4];

	if (receive_all(fd, head, sizeof head, e))
		return -1;
	*n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	if (*n > cap)
		return err_set(e, ERR_INPUT, "receive: message of %zu bytes is larger than %zu", *n, cap);
	return receive_all(fd, out, *n, e);
}
