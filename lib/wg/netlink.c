#include "wg/backend.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>

struct mnl_socket *nl_open(int bus, struct err *e)
{
	struct mnl_socket *s = mnl_socket_open2(bus, SOCK_CLOEXEC);
	struct timeval patience = { .tv_sec = 5 };

	if (!s || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
		err_errno(e, "open a netlink socket");
		if (s)
			mnl_socket_close(s);
		return NULL;
	}
	// The kernel answers at once or not at all; a lost reply must not hang a daemon.
	setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return s;
}

int nl_talk(struct wg *w, struct mnl_socket *s, struct nlmsghdr *msg, mnl_cb_t cb, void *data, struct err *e)
{
	char reply[16384];
	unsigned port = mnl_socket_get_portid(s);
	ssize_t n;
	int more = MNL_CB_OK;

	msg->nlmsg_seq = ++w->seq;
	if (mnl_socket_sendto(s, msg, msg->nlmsg_len) < 0)
		return err_errno(e, "send a netlink request");
	while (more == MNL_CB_OK) {
		n = mnl_socket_recvfrom(s, reply, sizeof reply);
		if (n < 0)
			return err_errno(e, "read a netlink reply");
		more = mnl_cb_run(reply, (size_t)n, w->seq, port, cb, data);
	}
	return more < 0 ? err_errno(e, "netlink") : 0;
}
