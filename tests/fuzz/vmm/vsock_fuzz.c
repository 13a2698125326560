// A guest that puts any packets into its queue, and a host side that answers or closes at any time.
//
// Input: a step is an op byte and a seed byte; packets use few ports, so that connections are met again.
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/codec/buf.h"
#include "vsock/conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { CID = 3, ENDS = 16 };

static int ends[ENDS], n_ends;

static int dial(void *arg, uint32_t port)
{
	int pair[2];

	(void)arg;
	if (port == 9 || n_ends == ENDS || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair))
		return -1;
	ends[n_ends++] = pair[0];
	return pair[1];
}

static void output(void *arg)
{
	*(int *)arg = 1;
}

static void packet_in(struct vsock *v, struct rd *r)
{
	static uint8_t payload[4096];
	struct vpkt h = { .src_cid = CID, .dst_cid = 2, .type = VPKT_STREAM };
	uint8_t odd = rd_u8(r);

	h.op = rd_u8(r) % 10;
	h.src_port = rd_u8(r) % 4;
	h.dst_port = rd_u8(r) & 1 ? 10000 : rd_u8(r) & 1 ? 9 : (1u << 30) + rd_u8(r) % 4;
	h.len = h.op == VPKT_RW ? rd_le16(r) % sizeof payload : odd & 1;
	h.flags = rd_u8(r);
	h.buf_alloc = rd_le16(r);
	h.fwd_cnt = rd_le16(r);
	if (odd & 2)
		h.src_cid++;
	if (odd & 4)
		h.type = 2;
	vsock_input(v, &h, payload, odd & 8 ? h.len / 2 : h.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	int wants = 0;
	struct vsock_ops ops = { dial, output, &wants };
	struct event_base *base = event_base_new();
	struct vsock *v = vsock_new(base, CID, &ops);
	struct rd r = rd_from(data, n);
	static uint8_t room[2][600];
	struct iovec iov[2] = { { room[0], 30 }, { room[1], sizeof room[1] } };

	n_ends = 0;
	while (rd_left(&r) && !r.bad) {
		uint8_t step = rd_u8(&r);
		int end = n_ends ? ends[step / 8 % n_ends] : -1;
		int pair[2];

		switch (step % 8) {
		case 0:
			if (end >= 0 && send(end, room[1], rd_u8(&r), MSG_NOSIGNAL) < 0)
				continue;
			break;
		case 1:
			if (end >= 0 && read(end, room[1], rd_u8(&r)) < 0)
				continue;
			break;
		case 2:
			if (end >= 0)
				shutdown(end, step & 64 ? SHUT_RDWR : SHUT_WR);
			break;
		case 3:
			if (n_ends < ENDS && !socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair)) {
				ends[n_ends++] = pair[0];
				vsock_dial_guest(v, pair[1], rd_u8(&r) % 4);
			}
			break;
		default:
			packet_in(v, &r);
		}
		event_base_loop(base, EVLOOP_NONBLOCK);
		for (size_t k; (k = vsock_output(v, iov, 2)) > 0;)
			if (k > sizeof room[1] + 30 || vsock_count(v) > VSOCK_CONNS_MAX)
				__builtin_trap();
	}
	vsock_free(v);
	for (int i = 0; i < n_ends; i++)
		close(ends[i]);
	event_base_free(base);
	return 0;
}
