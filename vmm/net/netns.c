#include "netns.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

static int loopback_up(struct err *e)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r))
		return err_errno(e, "bring up the loopback of the VM's network");
	return 0;
}

// Not being able to go home would leave the runner in the VM's network: nothing sensible can follow.
static void go_home(const struct netns *ns)
{
	if (setns(ns->home, CLONE_NEWNET)) {
		log_error("vmm", "cannot leave the VM's network namespace");
		abort();
	}
}

int netns_new(struct netns *ns, struct err *e)
{
	int rc = -1;

	*ns = (struct netns){ -1, -1 };
	ns->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (ns->home < 0)
		return err_errno(e, "open this process's network namespace");
	if (unshare(CLONE_NEWNET)) {
		err_errno(e, "make a network namespace (needs CAP_SYS_ADMIN)");
	} else {
		ns->inside = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		rc = ns->inside < 0 ? err_errno(e, "open the new network namespace") : loopback_up(e);
		go_home(ns);
	}
	if (rc) {
		netns_close(ns);
		memcpy(e->code, "vmm.netns", sizeof "vmm.netns");
	}
	return rc;
}

void netns_close(struct netns *ns)
{
	if (ns->home >= 0)
		close(ns->home);
	if (ns->inside >= 0)
		close(ns->inside);
	*ns = (struct netns){ -1, -1 };
}

int netns_enter(const struct netns *ns)
{
	return setns(ns->inside, CLONE_NEWNET);
}

int netns_socket(const struct netns *ns, bool inside, int family, int type, struct err *e)
{
	if (inside && setns(ns->inside, CLONE_NEWNET))
		return err_errno(e, "enter the VM's network namespace");
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		err_errno(e, "make a socket");
	if (inside)
		go_home(ns);
	return fd;
}
