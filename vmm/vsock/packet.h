// packet - the 44-byte header of a virtio-vsock packet.
//
// Bytes come from the guest and are hostile: the reader checks the length, the type and the operation, and
// nothing else of a packet is believed before that. Virtio 1.2, section 5.10.6.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VPKT_HEAD = 44, VPKT_STREAM = 1 };

enum vpkt_op {
	VPKT_REQUEST = 1,
	VPKT_RESPONSE,
	VPKT_RST,
	VPKT_SHUTDOWN,
	VPKT_RW,
	VPKT_CREDIT_UPDATE,
	VPKT_CREDIT_REQUEST,
};

enum { VPKT_SHUT_RCV = 1, VPKT_SHUT_SEND = 2, VPKT_SHUT_BOTH = 3 };

struct vpkt {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint32_t len; // of the payload
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
};

// False when `n` bytes hold no header. An unknown type or operation is left for the caller to refuse.
bool vpkt_read(struct vpkt *out, const void *p, size_t n);
void vpkt_write(uint8_t out[static VPKT_HEAD], const struct vpkt *in);
