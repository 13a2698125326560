// conn - the host's end of a guest's vsock connections: one unix stream socket for each.
//
// The guest (one per table) is hostile: the number of connections, the bytes held for each and the queued
// refusals are capped, credit is enforced in both directions, and a packet that breaks the rules ends its
// connection with a reset. Flow control, shutdown and reset follow Virtio 1.2 section 5.10.6.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "packet.h"

enum {
	VSOCK_HOST_CID = 2,
	VSOCK_WINDOW = 64 * 1024, // bytes we hold per connection until the host side takes them
	VSOCK_CONNS_MAX = 128,
	VSOCK_PACKET_MAX = 64 * 1024, // payload of one packet, in either direction
};

struct event_base;
struct vsock;

struct vsock_ops {
	// Open the host's side of `port`: a connected non-blocking stream socket, or -1 to refuse.
	int (*dial)(void *arg, uint32_t port);
	// Something waits for the guest: arrange for vsock_output to be called, but not from in here.
	void (*output)(void *arg);
	void *arg;
};

struct vsock *vsock_new(struct event_base *base, uint64_t guest_cid, const struct vsock_ops *ops);
void vsock_free(struct vsock *v);
void vsock_reset(struct vsock *v); // the guest is gone: forget every connection

// A packet from the guest. `payload` has `n` bytes, which may differ from head->len: then it is refused.
void vsock_input(struct vsock *v, const struct vpkt *head, const void *payload, size_t n);
// Write the next packet for the guest into `iov[0..n)`: its size, or 0 when nothing waits or it does not fit.
size_t vsock_output(struct vsock *v, const struct iovec *iov, size_t n);

// Connect `fd` (taken over, made non-blocking) to the guest's `port`. When the guest accepts, the line
// "OK <port>\n" is written to it; when it refuses or does not answer, it is closed. -1 when the table is
// full.
int vsock_dial_guest(struct vsock *v, int fd, uint32_t port);
size_t vsock_count(const struct vsock *v);
