#include "ring.h"

#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void *find(const struct guest_mem *m, uint64_t at, uint64_t len, bool by_gpa)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct mem_region *r = &m->r[i];
		uint64_t start = by_gpa ? r->gpa : r->uva;

		if (at >= start && at - start <= r->size && len <= r->size - (at - start))
			return r->p + (at - start);
	}
	return NULL;
}

void *mem_at_gpa(const struct guest_mem *m, uint64_t at, uint64_t len)
{
	return find(m, at, len, true);
}

void *mem_at_uva(const struct guest_mem *m, uint64_t at, uint64_t len)
{
	return find(m, at, len, false);
}

int mem_add(struct guest_mem *m, int fd, uint64_t gpa, uint64_t uva, uint64_t size, uint64_t offset,
	    struct err *e)
{
	size_t whole;
	struct stat st;

	if (m->n == MEM_REGIONS_MAX)
		return err_set(e, ERR_INPUT, "more than %d memory regions", MEM_REGIONS_MAX);
	if (size == 0 || __builtin_add_overflow(size, offset, &whole) || gpa + size < gpa || uva + size < uva)
		return err_set(e, ERR_INPUT, "memory region wraps around or is empty");
	// A mapping longer than the file would turn a later access into a SIGBUS.
	if (fstat(fd, &st))
		return err_errno(e, "look at the guest's memory file");
	if (st.st_size < 0 || (uint64_t)st.st_size < whole)
		return err_set(e, ERR_INPUT, "memory region is longer than its file");
	void *base = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return err_errno(e, "map %zu bytes of guest memory", whole);
	m->r[m->n++] = (struct mem_region){ .gpa = gpa,
					    .uva = uva,
					    .size = size,
					    .p = (uint8_t *)base + offset,
					    .base = base,
					    .mapped = whole };
	return 0;
}

void mem_clear(struct guest_mem *m)
{
	for (size_t i = 0; i < m->n; i++)
		munmap(m->r[i].base, m->r[i].mapped);
	*m = (struct guest_mem){ 0 };
}

void ring_init(struct ring *r)
{
	*r = (struct ring){ .kick = -1, .call = -1 };
}

int ring_map(struct ring *r, const struct guest_mem *m, uint64_t desc, uint64_t avail, uint64_t used,
	     struct err *e)
{
	uint64_t n = r->num;

	ring_unmap(r);
	if (n == 0 || n > RING_SIZE_MAX || (n & (n - 1)))
		return err_set(e, ERR_INPUT, "queue size %u is not a power of two up to %d", r->num,
			       RING_SIZE_MAX);
	void *d = mem_at_uva(m, desc, n * sizeof(struct vring_desc));
	void *a = mem_at_uva(m, avail, 4 + n * 2);
	void *u = mem_at_uva(m, used, 4 + n * sizeof(struct vring_used_elem));
	if (!d || !a || !u || ((uintptr_t)d & 15) || ((uintptr_t)a & 1) || ((uintptr_t)u & 3))
		return err_set(e, ERR_INPUT, "queue lies outside guest memory or is not aligned");
	r->desc = d;
	r->avail = a;
	r->used = u;
	return 0;
}

void ring_unmap(struct ring *r)
{
	r->desc = r->avail = r->used = NULL;
}

bool ring_ready(const struct ring *r)
{
	return r->enabled && r->desc;
}

static volatile struct vring_avail *avail_of(const struct ring *r)
{
	return r->avail;
}

static volatile struct vring_used *used_of(const struct ring *r)
{
	return r->used;
}

static int add_piece(struct chain *c, const struct guest_mem *m, const struct vring_desc *d, bool writable,
		     struct err *e)
{
	if (d->flags & VRING_DESC_F_INDIRECT)
		return err_set(e, ERR_INPUT, "indirect descriptor, which was not offered");
	if (!(d->flags & VRING_DESC_F_WRITE) == writable)
		return err_set(e, ERR_INPUT, "descriptor in the wrong direction");
	if (c->n == CHAIN_MAX)
		return err_set(e, ERR_INPUT, "descriptor chain longer than %d", CHAIN_MAX);
	void *p = mem_at_gpa(m, d->addr, d->len);
	if (!p)
		return err_set(e, ERR_INPUT, "descriptor outside guest memory");
	c->v[c->n++] = (struct iovec){ p, d->len };
	c->bytes += d->len; // at most 64 times 4 GiB, fits
	return 0;
}

int ring_take(struct ring *r, const struct guest_mem *m, bool writable, struct chain *out, struct err *e)
{
	volatile struct vring_desc *table = r->desc;
	uint16_t ready = __atomic_load_n(&avail_of(r)->idx, __ATOMIC_ACQUIRE);
	uint16_t waiting = (uint16_t)(ready - r->next);

	if (waiting == 0)
		return 0;
	if (waiting > r->num)
		return err_set(e, ERR_INPUT, "available index is %u ahead of a queue of %u", waiting, r->num);
	uint16_t at = avail_of(r)->ring[r->next & (r->num - 1)];

	*out = (struct chain){ .head = at };
	for (uint32_t steps = 0;; steps++) {
		if (at >= r->num)
			return err_set(e, ERR_INPUT, "descriptor %u in a queue of %u", at, r->num);
		if (steps == r->num)
			return err_set(e, ERR_INPUT, "descriptor chain loops");
		struct vring_desc d = { table[at].addr, table[at].len, table[at].flags, table[at].next };
		if (add_piece(out, m, &d, writable, e))
			return -1;
		if (!(d.flags & VRING_DESC_F_NEXT))
			break;
		at = d.next;
	}
	r->next++;
	return 1;
}

void ring_put_back(struct ring *r)
{
	r->next--;
}

void ring_used(struct ring *r, uint16_t head, uint32_t written)
{
	volatile struct vring_used *u = used_of(r);
	uint16_t at = u->idx;

	u->ring[at & (r->num - 1)].id = head;
	u->ring[at & (r->num - 1)].len = written;
	__atomic_store_n(&u->idx, (uint16_t)(at + 1), __ATOMIC_SEQ_CST);
}

bool ring_wants_call(const struct ring *r)
{
	return !(__atomic_load_n(&avail_of(r)->flags, __ATOMIC_SEQ_CST) & VRING_AVAIL_F_NO_INTERRUPT);
}
