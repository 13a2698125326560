#include "frontend.h"

#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/codec/buf.h"

int fe_open(struct frontend *f)
{
	f->fd = memfd_create("guest", MFD_CLOEXEC);
	if (f->fd < 0 || ftruncate(f->fd, FE_MEMORY))
		return -1;
	f->mem = mmap(NULL, FE_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	for (int i = 0; i < 2; i++) {
		f->kick[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		f->call[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	}
	return f->mem == MAP_FAILED ? -1 : 0;
}

void fe_close(struct frontend *f)
{
	munmap(f->mem, FE_MEMORY);
	close(f->fd);
	for (int i = 0; i < 2; i++) {
		close(f->kick[i]);
		close(f->call[i]);
	}
}

static int put(struct frontend *f, uint32_t request, const void *p, size_t n)
{
	return f->send(f->arg, request, p, n, NULL, 0);
}

static int set_queue(struct frontend *f, uint32_t q)
{
	uint64_t base = FE_UVA + (q ? FE_TX_DESC - FE_RX_DESC : 0);
	uint32_t num[2] = { q, FE_RING }, at[2] = { q, 0 };
	uint64_t addr[5] = { q, base + FE_RX_DESC, base + FE_RX_USED, base + FE_RX_AVAIL, 0 };
	uint64_t index = q;
	uint32_t on[2] = { q, 1 };

	return put(f, 8, num, sizeof num) || put(f, 10, at, sizeof at) || put(f, 9, addr, sizeof addr) ||
	       f->send(f->arg, 12, &index, 8, &f->kick[q], 1) ||
	       f->send(f->arg, 13, &index, 8, &f->call[q], 1) || put(f, 18, on, sizeof on);
}

static volatile struct vring_avail *avail(struct frontend *f, size_t at)
{
	return (volatile struct vring_avail *)(void *)(f->mem + at);
}

static struct vring_desc *desc(struct frontend *f, size_t at)
{
	return (struct vring_desc *)(void *)(f->mem + at);
}

static void offer(struct frontend *f, uint16_t i)
{
	volatile struct vring_avail *a = avail(f, FE_RX_AVAIL);

	desc(f, FE_RX_DESC)[i] =
		(struct vring_desc){ FE_GPA + FE_RX_DATA + i * FE_SLOT, FE_SLOT, VRING_DESC_F_WRITE, 0 };
	a->ring[a->idx % FE_RING] = i;
	__atomic_store_n(&a->idx, (uint16_t)(a->idx + 1), __ATOMIC_SEQ_CST);
}

static void kick(struct frontend *f, int q)
{
	uint64_t one = 1;

	if (write(f->kick[q], &one, sizeof one) < 0)
		return;
}

int fe_set_up(struct frontend *f)
{
	uint64_t table[1 + 4] = { 1, FE_GPA, FE_MEMORY, FE_UVA, 0 }, features = 1ull << 32;

	if (put(f, 2, &features, 8) || put(f, 3, NULL, 0) ||
	    f->send(f->arg, 5, table, sizeof table, &f->fd, 1) || set_queue(f, 0) || set_queue(f, 1))
		return -1;
	for (uint16_t i = 0; i < FE_RING; i++)
		offer(f, i);
	kick(f, 0);
	return 0;
}

bool fe_send(struct frontend *f, const struct vpkt *head, const void *payload)
{
	volatile struct vring_avail *a = avail(f, FE_TX_AVAIL);
	volatile struct vring_used *u = (volatile struct vring_used *)(void *)(f->mem + FE_TX_USED);
	uint16_t i = f->tx_next % FE_RING;
	uint8_t *slot = f->mem + FE_TX_DATA + i * FE_SLOT;

	if ((uint16_t)(f->tx_next - u->idx) >= FE_RING || head->len > FE_SLOT - VPKT_HEAD)
		return false;
	vpkt_write(slot, head);
	if (head->len)
		memcpy(slot + VPKT_HEAD, payload, head->len);
	desc(f, FE_TX_DESC)[i] =
		(struct vring_desc){ FE_GPA + FE_TX_DATA + i * FE_SLOT, VPKT_HEAD + head->len, 0, 0 };
	a->ring[f->tx_next++ % FE_RING] = i;
	__atomic_store_n(&a->idx, f->tx_next, __ATOMIC_SEQ_CST);
	kick(f, 1);
	return true;
}

bool fe_receive(struct frontend *f, struct vpkt *head, void *out, size_t cap)
{
	volatile struct vring_used *u = (volatile struct vring_used *)(void *)(f->mem + FE_RX_USED);

	if (f->rx_seen == __atomic_load_n(&u->idx, __ATOMIC_SEQ_CST))
		return false;
	uint16_t i = (uint16_t)u->ring[f->rx_seen % FE_RING].id;
	size_t n = u->ring[f->rx_seen++ % FE_RING].len;
	const uint8_t *slot = f->mem + FE_RX_DATA + i * FE_SLOT;

	if (!vpkt_read(head, slot, n))
		return false;
	if (head->len)
		memcpy(out, slot + VPKT_HEAD, head->len < cap ? head->len : cap);
	offer(f, i);
	kick(f, 0);
	return true;
}
