// frontend - a guest's side of the vsock device for tests: memory, two queues and a driver, no QEMU.
//
// Sets a vhost back end up by messages, as QEMU does, and puts packets into the queues, as a guest does.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vsock/packet.h"
#include "vsock/vhost.h"

enum { FE_RING = 16, FE_SLOT = 8192, FE_MEMORY = 1 << 20, FE_UVA = 0x7000000, FE_GPA = 0x100000 };
enum {
	FE_RX_DESC = 0x1000,
	FE_RX_AVAIL = 0x2000,
	FE_RX_USED = 0x3000,
	FE_TX_DESC = 0x4000,
	FE_TX_AVAIL = 0x5000,
	FE_TX_USED = 0x6000,
	FE_RX_DATA = 0x10000,
	FE_TX_DATA = 0x80000
};

struct frontend {
	int fd;
	uint8_t *mem;
	int kick[2], call[2];
	uint16_t tx_next, rx_seen;
	// How a message is delivered: straight to vhost_message, or over a socket.
	int (*send)(void *arg, uint32_t request, const void *payload, size_t n, const int *fds, size_t nfds);
	void *arg;
};

int fe_open(struct frontend *f);
void fe_close(struct frontend *f);
int fe_set_up(struct frontend *f); // features, memory, both queues
// A packet to the host; false when the queue is full. Kicks.
bool fe_send(struct frontend *f, const struct vpkt *head, const void *payload);
// The next packet from the host: its payload in `out`; false when none waits. Gives the buffer back.
bool fe_receive(struct frontend *f, struct vpkt *head, void *out, size_t cap);
