#include "verity.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/codec/buf.h"

enum { BLOCK = 4096, SECTORS = BLOCK / 512, SALT_MAX = 256 };

int verity_parse(struct verity *out, const uint8_t sb[static VERITY_SUPERBLOCK], uint64_t size, struct err *e)
{
	static const char algorithm[32] = "sha256";
	struct rd r = rd_from(sb, VERITY_SUPERBLOCK);
	struct span magic = rd_bytes(&r, 8);
	uint32_t version = rd_le32(&r), type = rd_le32(&r);

	rd_bytes(&r, 16); // uuid
	struct span alg = rd_bytes(&r, 32);
	uint32_t data_block = rd_le32(&r), hash_block = rd_le32(&r);
	uint64_t blocks = rd_le64(&r);
	size_t salt_size = rd_le16(&r);

	rd_bytes(&r, 6);
	struct span salt = rd_bytes(&r, SALT_MAX);
	if (r.bad || !span_eq(magic, (struct span){ (const uint8_t *)"verity\0\0", 8 }))
		return err_code(e, ERR_UNTRUSTED, "init.verity",
				"no verity superblock behind the %llu bytes of the root",
				(unsigned long long)size);
	if (version != 1 || type != 1 || memcmp(alg.p, algorithm, sizeof algorithm) != 0 ||
	    data_block != BLOCK || hash_block != BLOCK || blocks != size / BLOCK || salt_size > SALT_MAX)
		return err_code(e, ERR_UNTRUSTED, "init.verity",
				"the verity superblock does not fit the command line");
	*out = (struct verity){ .blocks = blocks };
	struct wr w = wr_to(out->salt, sizeof out->salt - 1);
	if (salt_size)
		wr_hex(&w, salt.p, salt_size);
	else
		wr_str(&w, "-");
	return 0;
}

int verity_table(char out[static VERITY_TABLE_MAX], const struct verity *v, const char *dev,
		 const char *root_hash, struct err *e)
{
	int n = snprintf(out, VERITY_TABLE_MAX, "1 %s %s %d %d %llu %llu sha256 %s %s 1 panic_on_corruption",
			 dev, dev, BLOCK, BLOCK, (unsigned long long)v->blocks,
			 (unsigned long long)v->blocks + 1, root_hash, v->salt);

	if (n < 0 || n >= VERITY_TABLE_MAX)
		return err_code(e, ERR_BUG, "init.verity", "the verity table is too long");
	return 0;
}

static int read_superblock(uint8_t *sb, const char *dev, uint64_t at, struct err *e)
{
	int fd = open(dev, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "open %s", dev);
	ssize_t n = pread(fd, sb, VERITY_SUPERBLOCK, (off_t)at);
	close(fd);
	if (n != VERITY_SUPERBLOCK)
		return err_code(e, ERR_UNTRUSTED, "init.verity", "%s ends before its verity superblock", dev);
	return 0;
}

// One request to the device mapper; the kernel answers in the same buffer.
struct request {
	struct dm_ioctl head;
	struct dm_target_spec target;
	char table[VERITY_TABLE_MAX];
};

static int dm(int ctl, unsigned long op, struct request *r, const char *name)
{
	r->head.version[0] = DM_VERSION_MAJOR;
	r->head.data_size = sizeof *r;
	r->head.data_start = sizeof r->head;
	r->head.flags = DM_READONLY_FLAG;
	snprintf(r->head.name, sizeof r->head.name, "%s", name);
	return ioctl(ctl, op, r);
}

static int activate(int ctl, const char *name, const char *table, uint64_t blocks, unsigned *dev_minor,
		    struct err *e)
{
	struct request r = { 0 };

	if (dm(ctl, DM_DEV_CREATE, &r, name) < 0)
		return err_errno(e, "create device-mapper device %s", name);
	*dev_minor = minor(r.head.dev);
	r = (struct request){ .head.target_count = 1,
			      .target = { .length = blocks * SECTORS, .target_type = "verity" } };
	r.target.next = sizeof r.target + sizeof r.table;
	memcpy(r.table, table, sizeof r.table);
	if (dm(ctl, DM_TABLE_LOAD, &r, name) < 0)
		return err_errno(e, "load the verity table");
	r = (struct request){ 0 };
	if (dm(ctl, DM_DEV_SUSPEND, &r, name) < 0) // without DM_SUSPEND_FLAG this resumes
		return err_errno(e, "start the verity device");
	return 0;
}

int verity_open(char *node, size_t cap, const char *name, const char *dev, const char *root_hash,
		uint64_t size, struct err *e)
{
	uint8_t sb[VERITY_SUPERBLOCK];
	char table[VERITY_TABLE_MAX] = "";
	struct verity v;
	unsigned dev_minor = 0;

	if (read_superblock(sb, dev, size, e) < 0 || verity_parse(&v, sb, size, e) < 0 ||
	    verity_table(table, &v, dev, root_hash, e) < 0)
		return -1;
	int ctl = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	if (ctl < 0)
		return err_errno(e, "open /dev/mapper/control");
	int rc = activate(ctl, name, table, v.blocks, &dev_minor, e);
	close(ctl);
	if (rc == 0)
		snprintf(node, cap, "/dev/dm-%u", dev_minor);
	return rc;
}
