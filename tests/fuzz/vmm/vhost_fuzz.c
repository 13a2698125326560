// A QEMU that sends any messages, and a guest that writes anything into its queues.
//
// Input: first half of each step is a message (request, size, bytes, number of files); request 255 puts bytes
// into the guest's memory where the queues of a set-up device lie, and lets the device run.
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../unit/vmm/frontend.h"
#include "core/codec/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct vhost *vhost;

static int dial(void *arg, uint32_t port)
{
	int pair[2];

	(void)arg;
	if (port == 9 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair))
		return -1;
	close(pair[0]);
	return pair[1];
}

static int direct(void *arg, uint32_t request, const void *payload, size_t n, const int *fds, size_t nfds)
{
	struct vhost_head head = { request, 1 | 8, (uint32_t)n };
	uint8_t reply[sizeof head + VHOST_PAYLOAD_MAX];
	int mine[VHOST_FDS_MAX];
	struct err e = { 0 };

	(void)arg;
	for (size_t i = 0; i < nfds; i++)
		mine[i] = dup(fds[i]);
	return vhost_message(vhost, &head, payload, mine, nfds, reply, &e) < 0 ? -1 : 0;
}

static void message(struct frontend *f, struct rd *r, uint8_t request)
{
	uint8_t payload[VHOST_PAYLOAD_MAX] = { 0 };
	uint8_t files = rd_u8(r) % 3;
	size_t size = rd_le16(r) % (VHOST_PAYLOAD_MAX + 1);
	size_t have = size < rd_left(r) ? size : rd_left(r);
	int fds[2] = { f->fd, f->kick[0] };

	rd_copy(r, payload, have);
	direct(NULL, request, payload, size, fds, files);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct frontend f;
	struct event_base *base = event_base_new();
	struct err e = { 0 };
	struct rd r = rd_from(data, n);

	if (f.mem) // one memory for all runs, cleared
		memset(f.mem, 0, FE_TX_USED + 4096);
	else if (fe_open(&f))
		__builtin_trap();
	f.send = direct;
	f.tx_next = f.rx_seen = 0;
	vhost = vhost_new(base, 3, dial, NULL, &e);
	if (!vhost || fe_set_up(&f))
		__builtin_trap();
	while (rd_left(&r) && !r.bad) {
		uint8_t request = rd_u8(&r);

		if (request < 64) {
			message(&f, &r, request);
		} else { // guest memory: descriptors, rings, and packets at the start of their slots
			static const size_t at[] = { FE_RX_DESC, FE_RX_AVAIL,         FE_RX_USED,
						     FE_TX_DESC, FE_TX_AVAIL,         FE_TX_USED,
						     FE_TX_DATA, FE_TX_DATA + FE_SLOT };
			size_t offset = at[request % 8] + rd_u8(&r) % 64, len = rd_u8(&r) % 64;

			len = len < rd_left(&r) ? len : rd_left(&r);
			rd_copy(&r, f.mem + offset, len);
			vhost_run(vhost);
		}
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	vhost_free(vhost);
	event_base_free(base);
	return 0;
}
