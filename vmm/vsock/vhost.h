// vhost - the back end of QEMU's vhost-user-vsock device: guests get real AF_VSOCK on any host.
//
// One QEMU at a time over a unix socket; it hands us the guest's memory and two queues. QEMU is trusted to
// start the guest, not to be sane: every message is bounded and checked, as a guest may have broken into it.
// vhost-user protocol (QEMU docs/interop/vhost-user), virtio 1.2 section 5.10.
#pragma once
#include <stdint.h>

#include "base/err.h"
#include "conn.h"

enum { VHOST_PAYLOAD_MAX = 512, VHOST_FDS_MAX = 8 };

// A message's fixed head; all fields in host order, the protocol is local.
struct vhost_head {
	uint32_t request, flags, size;
};

struct vhost;
struct event_base;

// `dial` opens the host's side of a guest's connection (see conn.h).
struct vhost *vhost_new(struct event_base *base, uint64_t guest_cid, int (*dial)(void *arg, uint32_t port),
			void *arg, struct err *e);
void vhost_free(struct vhost *h);
// Serve the QEMU at the other end of `fd` (taken over) in place of any earlier one.
int vhost_serve(struct vhost *h, int fd, struct err *e);
struct vsock *vhost_vsock(struct vhost *h);

// One message as received, its descriptors taken over; the reply, if any, in `reply` (size returned, 0 for
// none, -1 when QEMU has to be cut off). Exposed for tests and fuzzing.
int vhost_message(struct vhost *h, const struct vhost_head *head, const void *payload, const int *fds,
		  size_t nfds, uint8_t reply[static sizeof(struct vhost_head) + VHOST_PAYLOAD_MAX],
		  struct err *e);
// Work through what the guest has put into the queues; the loop calls it when kicked.
void vhost_run(struct vhost *h);
