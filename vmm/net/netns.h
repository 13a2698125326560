// netns - a VM's own network: a namespace with nothing in it but a loopback.
//
// QEMU runs inside, so its user network can reach only what the runner listens on there. A socket belongs to
// the namespace it was made in for good, which is how the runner has one end in each. Needs CAP_SYS_ADMIN.
// Single-threaded callers only: the calling thread changes namespace for a moment.
#pragma once
#include <stdbool.h>

#include "base/err.h"

struct netns {
	int home, inside; // namespace files
};

// A new empty namespace, loopback up. Code: vmm.netns.
int netns_new(struct netns *ns, struct err *e);
void netns_close(struct netns *ns);
// Run in a child before exec: enter for good.
int netns_enter(const struct netns *ns);
// A non-blocking close-on-exec socket inside (or at home when `inside` is false).
int netns_socket(const struct netns *ns, bool inside, int family, int type, struct err *e);
