// An audit log from its first byte: whatever is accepted is in the one way of writing it, in order and bound
// to what is before it; one line more that was accepted is refused a second time.
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "audit/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check(void *arg, struct span line, const struct audit_record *r, const merkle_hash leaf,
		 struct err *e)
{
	struct audit_chain *shadow = arg;
	uint8_t again[AUDIT_RECORD_MAX];
	struct wr w = wr_to(again, sizeof again);
	struct audit_record copy;
	merkle_hash got;

	audit_record_write(&w, r);
	if (w.bad || !span_eq(span_of(again, w.n), line))
		abort();
	if (audit_chain_take(shadow, line, &copy, got, e) || memcmp(got, leaf, sizeof got) != 0)
		abort();
	struct audit_chain twice = *shadow;
	if (!audit_chain_take(&twice, line, &copy, got, e))
		abort();
	return 0;
}

static void one_record(const uint8_t *data, size_t size)
{
	uint8_t again[AUDIT_RECORD_MAX];
	struct wr w = wr_to(again, sizeof again);
	struct audit_record r;
	struct fault f;

	if (audit_record_read(&r, span_of(data, size), &f))
		return;
	audit_entry_clean(&r.entry);
	audit_record_write(&w, &r);
	if (w.bad || !span_eq(span_of(again, w.n), span_of(data, size)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct audit_chain chain = { 0 }, shadow = { 0 };
	uint64_t tail = 0;
	struct err e;

	one_record(data, size);
	if (fd < 0)
		fd = memfd_create("log", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
		return 0;
	if (!audit_chain_read(&chain, fd, UINT64_MAX, check, &shadow, &tail, &e) &&
	    (chain.bytes + tail != size || memcmp(&chain, &shadow, sizeof chain) != 0))
		abort();
	return 0;
}
