#include "dial.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"

int dial_runner(const struct vm *v, const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (snprintf(a.sun_path, sizeof a.sun_path, "%s/%s", v->dir, name) >= (int)sizeof a.sun_path)
		return -1;
	return fd >= 0 && !connect(fd, (struct sockaddr *)&a, sizeof a) ? take_fd(&fd) : -1;
}

int dial_guest(const struct vm *v, uint32_t port, bool *greeting)
{
	struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = v->m.cid, .svm_port = port };

	*greeting = !v->owner->facts.vsock_kernel;
	if (*greeting)
		return dial_runner(v, "guest.sock");
	auto_close int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || (connect(fd, (struct sockaddr *)&a, sizeof a) && errno != EINPROGRESS))
		return -1;
	return take_fd(&fd);
}
