// ring - a guest's memory and its split virtqueues, seen from the device's side.
//
// Everything here is written by the guest while we read it: each index, address and length is copied once,
// then checked against the memory table and the queue's size; a chain is never followed further than the
// queue is long. Virtio 1.2, section 2.7 (split virtqueues, no indirect descriptors, no event index).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"

enum { MEM_REGIONS_MAX = 8, RING_SIZE_MAX = 1024, CHAIN_MAX = 64 };

struct mem_region {
	uint64_t gpa, uva, size; // guest-physical start, start in QEMU's address space, bytes
	uint8_t *p;              // where it is mapped here
	void *base;              // of the mapping, for munmap
	size_t mapped;
};

struct guest_mem {
	struct mem_region r[MEM_REGIONS_MAX];
	size_t n;
};

// NULL unless the whole of [at, at + len) lies in one region.
void *mem_at_gpa(const struct guest_mem *m, uint64_t at, uint64_t len);
void *mem_at_uva(const struct guest_mem *m, uint64_t at, uint64_t len);
// Map a region from `fd` (not taken over).
int mem_add(struct guest_mem *m, int fd, uint64_t gpa, uint64_t uva, uint64_t size, uint64_t offset,
	    struct err *e);
void mem_clear(struct guest_mem *m);

struct ring {
	uint32_t num;         // entries, a power of two
	uint16_t next;        // next available entry to take
	volatile void *desc;  // struct vring_desc[num]
	volatile void *avail; // struct vring_avail
	volatile void *used;  // struct vring_used
	int kick, call;       // eventfds or -1
	bool enabled;
};

// One buffer the guest offered: the pieces of a descriptor chain, all in one direction.
struct chain {
	uint16_t head;
	size_t n;
	struct iovec v[CHAIN_MAX];
	size_t bytes;
};

void ring_init(struct ring *r);
// Resolve the three areas at QEMU addresses; `num` must be set. -1 when one is outside the memory.
int ring_map(struct ring *r, const struct guest_mem *m, uint64_t desc, uint64_t avail, uint64_t used,
	     struct err *e);
void ring_unmap(struct ring *r);
bool ring_ready(const struct ring *r);

// Take the next chain: 1 taken, 0 none waiting, -1 the guest broke the ring (device must stop).
// `writable`: every piece must be for us to write (receive queue), else every piece for us to read.
int ring_take(struct ring *r, const struct guest_mem *m, bool writable, struct chain *out, struct err *e);
void ring_put_back(struct ring *r); // undo the last ring_take
void ring_used(struct ring *r, uint16_t head, uint32_t written);
bool ring_wants_call(const struct ring *r); // the guest asked for an interrupt
