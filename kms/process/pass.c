#include "pass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union room {
	struct cmsghdr head;
	char b[CMSG_SPACE(sizeof(int))];
};

int kms_pass(int socket, const struct kms_pass *m, int fd)
{
	struct kms_pass copy = *m;
	struct iovec v = { &copy, sizeof copy };
	union room room = { 0 };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	ssize_t n;

	if (fd >= 0) {
		h.msg_control = room.b;
		h.msg_controllen = sizeof room.b;
		struct cmsghdr *c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	do
		n = sendmsg(socket, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof copy ? 0 : -1;
}

int kms_take(int socket, struct kms_pass *m, int *fd)
{
	struct iovec v = { m, sizeof *m };
	union room room = { 0 };
	struct msghdr h = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = room.b, .msg_controllen = sizeof room.b
	};
	ssize_t n;

	*fd = -1;
	do
		n = recvmsg(socket, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&h);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof *fd))
		memcpy(fd, CMSG_DATA(c), sizeof *fd);
	if (n == (ssize_t)sizeof *m && !(h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return 0;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return -1;
}
