#include "fat.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/codec/buf.h"

enum {
	SECTOR = 512,
	CLUSTER = 1024,
	SECTORS = 128 * 1024 * 1024 / SECTOR,
	RESERVED = 32,
	FATS = 2,
	// Entries of 4 bytes for every cluster that the rest of the disk could hold.
	FAT_SECTORS = (SECTORS / (CLUSTER / SECTOR) + 2) * 4 / SECTOR + 1,
	DATA_SECTOR = RESERVED + FATS * FAT_SECTORS,
	CLUSTERS = (SECTORS - DATA_SECTOR) / (CLUSTER / SECTOR),
	ROOT = 2, // the first data cluster
	NAME_MAX_HERE = 64,
	ENTRY = 32,
	LFN_CHARS = 13, // of a name in one long-name entry
	END_OF_CHAIN = 0x0fffffff,
	SERIAL = 0x44535441,
	DATE_2024_01_01 = (2024 - 1980) << 9 | 1 << 5 | 1,
};

static int put(int fd, const void *p, size_t n, uint64_t at, struct err *e)
{
	const uint8_t *b = p;

	while (n) {
		ssize_t k = pwrite(fd, b, n, (off_t)at);

		if (k <= 0)
			return err_errno(e, "write the share disk");
		b += k;
		n -= (size_t)k;
		at += (uint64_t)k;
	}
	return 0;
}

static uint32_t clusters_for(size_t bytes)
{
	return (uint32_t)((bytes + CLUSTER - 1) / CLUSTER);
}

static uint64_t cluster_at(uint32_t c)
{
	return (uint64_t)DATA_SECTOR * SECTOR + (uint64_t)(c - ROOT) * CLUSTER;
}

static void label_padded(char out[static 11], const char *label)
{
	size_t n = strnlen(label, 11);

	memset(out, ' ', 11);
	memcpy(out, label, n);
}

static int boot_sectors(int fd, const char *label, uint32_t used, struct err *e)
{
	uint8_t boot[SECTOR] = { 0 }, info[SECTOR] = { 0 };
	char padded[11];
	struct wr w = wr_to(boot, sizeof boot);

	label_padded(padded, label);
	wr_put(&w,
	       "\xeb\x58\x90"
	       "DSTACK  ",
	       11);
	wr_le16(&w, SECTOR);
	wr_u8(&w, CLUSTER / SECTOR);
	wr_le16(&w, RESERVED);
	wr_u8(&w, FATS);
	wr_le16(&w, 0); // root entries and 16-bit sizes: FAT12/16 only
	wr_le16(&w, 0);
	wr_u8(&w, 0xf8); // fixed disk
	wr_le16(&w, 0);
	wr_le16(&w, 63); // geometry nobody uses
	wr_le16(&w, 255);
	wr_le32(&w, 0);
	wr_le32(&w, SECTORS);
	wr_le32(&w, FAT_SECTORS);
	wr_le16(&w, 0); // both tables kept equal
	wr_le16(&w, 0);
	wr_le32(&w, ROOT);
	wr_le16(&w, 1); // information sector
	wr_le16(&w, 6); // copy of the boot sector
	w.n += 12;
	wr_u8(&w, 0x80);
	wr_u8(&w, 0);
	wr_u8(&w, 0x29); // the three fields that follow are there
	wr_le32(&w, SERIAL);
	wr_put(&w, padded, sizeof padded);
	wr_put(&w, "FAT32   ", 8);
	boot[510] = 0x55;
	boot[511] = 0xaa;

	struct wr i = wr_to(info, sizeof info);
	wr_put(&i, "RRaA", 4);
	i.n = 484;
	wr_put(&i, "rrAa", 4);
	wr_le32(&i, CLUSTERS - used); // free clusters
	wr_le32(&i, ROOT + used);     // where to look for the next one
	info[510] = 0x55;
	info[511] = 0xaa;

	if (put(fd, boot, SECTOR, 0, e) || put(fd, info, SECTOR, SECTOR, e) ||
	    put(fd, boot, SECTOR, 6 * SECTOR, e))
		return -1;
	return put(fd, info, SECTOR, 7 * SECTOR, e);
}

// Mark `count` clusters from `first` on as one chain, in both tables.
static int chain(int fd, uint32_t first, uint32_t count, struct err *e)
{
	uint8_t block[CLUSTER * 4];

	for (uint32_t done = 0; done < count;) {
		struct wr w = wr_to(block, sizeof block);
		uint32_t start = first + done;

		while (done < count && w.n < sizeof block) {
			done++;
			wr_le32(&w, done == count ? END_OF_CHAIN : first + done);
		}
		for (uint64_t t = 0; t < FATS; t++)
			if (put(fd, block, w.n, (RESERVED + t * FAT_SECTORS) * SECTOR + start * 4ull, e))
				return -1;
	}
	return 0;
}

static uint8_t short_sum(const char name[static 11])
{
	uint8_t s = 0;

	for (int i = 0; i < 11; i++)
		s = (uint8_t)((s << 7 | s >> 1) + (uint8_t)name[i]);
	return s;
}

// The 13 characters of long-name entry `part` (from 0): the name, one NUL, then 0xffff.
static void long_entry(struct wr *w, const char *name, size_t part, bool last, uint8_t sum)
{
	size_t len = strlen(name), from = part * LFN_CHARS;
	uint16_t c[LFN_CHARS];

	for (size_t i = 0; i < LFN_CHARS; i++)
		c[i] = from + i < len ? (uint8_t)name[from + i] : from + i == len ? 0 : 0xffff;
	wr_u8(w, (uint8_t)((part + 1) | (last ? 0x40 : 0)));
	for (int i = 0; i < 5; i++)
		wr_le16(w, c[i]);
	wr_u8(w, 0x0f); // long name
	wr_u8(w, 0);
	wr_u8(w, sum);
	for (int i = 5; i < 11; i++)
		wr_le16(w, c[i]);
	wr_le16(w, 0);
	wr_le16(w, c[11]);
	wr_le16(w, c[12]);
}

static void short_entry(struct wr *w, const char name[static 11], uint8_t attributes, uint32_t cluster,
			size_t size)
{
	wr_put(w, name, 11);
	wr_u8(w, attributes);
	wr_u8(w, 0);
	wr_u8(w, 0);
	wr_le16(w, 0);
	wr_le16(w, DATE_2024_01_01);
	wr_le16(w, DATE_2024_01_01);
	wr_le16(w, (uint16_t)(cluster >> 16));
	wr_le16(w, 0);
	wr_le16(w, DATE_2024_01_01);
	wr_le16(w, (uint16_t)cluster);
	wr_le32(w, (uint32_t)size);
}

static int check(const struct fat_file *files, size_t n, struct err *e)
{
	size_t total = 0;

	if (n > FAT_FILES_MAX)
		return err_set(e, ERR_INPUT, "%zu files for the share, at most %d fit", n, FAT_FILES_MAX);
	for (size_t i = 0; i < n; i++) {
		const char *name = files[i].name;
		size_t len = strlen(name);

		if (len == 0 || len > NAME_MAX_HERE || name[len - 1] == '.' ||
		    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != len)
			return err_set(e, ERR_INPUT, "file name that the share cannot hold");
		if (files[i].n > FAT_SPACE || (total += files[i].n) > FAT_SPACE)
			return err_code(e, ERR_INPUT, "share.too_large", "files for the share exceed %d MiB",
					FAT_SPACE >> 20);
	}
	return 0;
}

int fat_write(int fd, const char *label, const struct fat_file *files, size_t n, struct err *e)
{
	uint8_t dir[ENTRY * (1 + FAT_FILES_MAX * (2 + NAME_MAX_HERE / LFN_CHARS))] = { 0 };
	struct wr w = wr_to(dir, sizeof dir);
	char name[16];

	if (check(files, n, e))
		return -1;
	label_padded(name, label);
	short_entry(&w, name, 0x08, 0, 0);

	size_t entries = 1;
	for (size_t i = 0; i < n; i++)
		entries += 1 + (strlen(files[i].name) + LFN_CHARS - 1) / LFN_CHARS;
	uint32_t root = clusters_for((entries + 1) * ENTRY), next = ROOT + root;

	if (ftruncate(fd, (off_t)SECTORS * SECTOR))
		return err_errno(e, "size the share disk");
	for (size_t i = 0; i < n; i++) {
		uint32_t count = clusters_for(files[i].n);
		size_t parts = (strlen(files[i].name) + LFN_CHARS - 1) / LFN_CHARS;

		snprintf(name, sizeof name, "F%07u   ", (unsigned)(i % FAT_FILES_MAX));
		for (size_t part = parts; part-- > 0;)
			long_entry(&w, files[i].name, part, part == parts - 1, short_sum(name));
		short_entry(&w, name, 0x21, count ? next : 0, files[i].n); // read-only, archive
		if (count &&
		    (chain(fd, next, count, e) || put(fd, files[i].p, files[i].n, cluster_at(next), e)))
			return -1;
		next += count;
	}
	for (uint64_t t = 0; t < FATS; t++) // entries 0 and 1: medium, clean
		if (put(fd, "\xf8\xff\xff\x0f\xff\xff\xff\x0f", 8, (RESERVED + t * FAT_SECTORS) * SECTOR, e))
			return -1;
	if (chain(fd, ROOT, root, e) || put(fd, dir, w.n, cluster_at(ROOT), e))
		return -1;
	return boot_sectors(fd, label, next - ROOT, e);
}
