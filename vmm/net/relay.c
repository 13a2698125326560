#include "relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "relay_private.h"

// A non-blocking socket towards the target, connecting or connected; -1 when that fails at once.
int relay_dial(const struct relay *r)
{
	struct err e = { 0 };
	int fd = netns_socket(r->plan.ns, r->plan.into_vm, r->plan.to.at.ss_family,
			      r->plan.udp ? SOCK_DGRAM : SOCK_STREAM, &e);

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&r->plan.to.at, r->plan.to.n) && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

static int listen_on(const struct relay_plan *p, struct err *e)
{
	int one = 1;
	auto_close int fd =
		netns_socket(p->ns, !p->into_vm, p->from.at.ss_family, p->udp ? SOCK_DGRAM : SOCK_STREAM, e);

	if (fd < 0)
		return -1;
	if (!p->udp)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (const struct sockaddr *)&p->from.at, p->from.n) || (!p->udp && listen(fd, 128))) {
		if (errno == EADDRINUSE)
			return err_code(e, ERR_AGAIN, "vmm.port_in_use", "the port is in use on this host");
		return err_errno(e, "listen for the VM");
	}
	return take_fd(&fd);
}

struct relay *relay_new(struct event_base *base, const struct relay_plan *plan, struct err *e)
{
	int fd = listen_on(plan, e);
	struct relay *r = fd >= 0 ? calloc(1, sizeof *r) : NULL;

	if (!r) {
		if (fd >= 0) {
			close(fd);
			err_set(e, ERR_SYSTEM, "out of memory");
		}
		return NULL;
	}
	*r = (struct relay){ .base = base, .plan = *plan, .fd = fd };
	if (plan->udp ? relay_udp_start(r) : relay_tcp_start(r)) {
		err_set(e, ERR_SYSTEM, "watch a relay's socket");
		relay_free(r);
		return NULL;
	}
	return r;
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	if (r->plan.udp)
		relay_udp_stop(r);
	else
		relay_tcp_stop(r);
	if (r->accept)
		event_free(r->accept);
	if (r->sweep)
		event_free(r->sweep);
	close(r->fd);
	free(r);
}
