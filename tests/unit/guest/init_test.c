// The parsers of dstack-init: the command line, uevents, the verity superblock.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../../guest/init/params.h"
#include "../../../guest/init/verity.h"

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define GOOD "console=ttyS0 panic=1 dstack.rootfs_hash=" HASH " dstack.rootfs_size=8192"

static int parse(struct params *p, const char *text, struct err *e)
{
	*e = (struct err){ 0 };
	return params_parse(p, text, strlen(text), e);
}

static void reads_our_command_line(void **state)
{
	struct params p;
	struct err e;

	(void)state;
	assert_int_equal(parse(&p, GOOD " initrd=initrd\n", &e), 0);
	assert_string_equal(p.root_hash, HASH);
	assert_int_equal(p.root_size, 8192);
	assert_string_equal(p.root_label, "dstack-rootfs");
	assert_string_equal(p.root_path, "");
	assert_int_equal(parse(&p, GOOD " dstack.rootfs_device=PARTLABEL=other", &e), 0);
	assert_string_equal(p.root_label, "other");
	assert_int_equal(parse(&p, "dstack.rootfs_device=/dev/vda1 " GOOD, &e), 0);
	assert_string_equal(p.root_path, "/dev/vda1");
	assert_string_equal(p.root_label, "");
}

static void refuses_what_is_unclear(void **state)
{
	static const char *const bad[] = {
		"",
		"console=ttyS0",
		"dstack.rootfs_hash=" HASH,
		"dstack.rootfs_size=4096",
		GOOD " dstack.rootfs_size=8192",
		GOOD " dstack.rootfs_hash=" HASH,
		"dstack.rootfs_size=8192 dstack.rootfs_hash=" HASH "00",
		"dstack.rootfs_size=8192 dstack.rootfs_hash=0" HASH,
		"dstack.rootfs_size=8192 "
		"dstack.rootfs_hash=ZZ112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		"dstack.rootfs_size=8192 "
		"dstack.rootfs_hash=AA112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		"dstack.rootfs_hash=" HASH " dstack.rootfs_size=",
		"dstack.rootfs_hash=" HASH " dstack.rootfs_size=0",
		"dstack.rootfs_hash=" HASH " dstack.rootfs_size=4097",
		"dstack.rootfs_hash=" HASH " dstack.rootfs_size=-4096",
		"dstack.rootfs_hash=" HASH " dstack.rootfs_size=0x1000",
		"dstack.rootfs_hash=" HASH " dstack.rootfs_size=9999999999999",
		"dstack.rootfs_hash=" HASH " dstack.rootfs_size=18446744073709555712",
		GOOD " dstack.rootfs_device=vda",
		GOOD " dstack.rootfs_device=PARTLABEL=",
		GOOD " dstack.rootfs_device=/dev/../etc/x",
		GOOD " dstack.rootfs_device=PARTLABEL=a/b",
	};
	struct params p;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (parse(&p, bad[i], &e) == 0)
			fail_msg("accepted: %s", bad[i]);
		assert_string_equal(e.code, "init.cmdline");
	}
}

static bool has(const char *text, const char *label, char *dev, size_t cap)
{
	return uevent_has_label(text, strlen(text), label, dev, cap);
}

static void finds_the_partition(void **state)
{
	static const char text[] =
		"MAJOR=254\nMINOR=1\nDEVNAME=vda1\nDEVTYPE=partition\nPARTN=1\nPARTNAME=dstack-rootfs\n";
	char dev[16];

	(void)state;
	assert_true(has(text, "dstack-rootfs", dev, sizeof dev));
	assert_string_equal(dev, "vda1");
	assert_false(has(text, "dstack-root", dev, sizeof dev));
	assert_false(has(text, "dstack-rootfs", dev, 4));
	assert_false(has("DEVNAME=vda1\n", "dstack-rootfs", dev, sizeof dev));
	assert_false(has("PARTNAME=x\nDEVNAME=../../x\n", "x", dev, sizeof dev));
	assert_false(has("PARTNAME=x", "x", dev, sizeof dev));
	assert_true(has("PARTNAME=x\nDEVNAME=sda", "x", dev, sizeof dev));
}

static void make_superblock(uint8_t *sb)
{
	memset(sb, 0, VERITY_SUPERBLOCK);
	memcpy(sb, "verity", 6);
	sb[8] = 1;
	sb[12] = 1;
	memcpy(sb + 32, "sha256", 6);
	sb[65] = 0x10; // data block 4096
	sb[69] = 0x10; // hash block 4096
	sb[72] = 2;    // data blocks
	sb[80] = 2;    // salt size
	sb[88] = 0xab;
	sb[89] = 0x01;
}

static void reads_the_superblock(void **state)
{
	static const size_t fixed[] = { 0, 8, 12, 32, 65, 69, 72, 81 };
	uint8_t sb[VERITY_SUPERBLOCK];
	char table[VERITY_TABLE_MAX];
	struct verity v;
	struct err e = { 0 };

	(void)state;
	make_superblock(sb);
	assert_int_equal(verity_parse(&v, sb, 8192, &e), 0);
	assert_string_equal(v.salt, "ab01");
	assert_int_equal(verity_table(table, &v, "/dev/vda1", HASH, &e), 0);
	assert_string_equal(table,
			    "1 /dev/vda1 /dev/vda1 4096 4096 2 3 sha256 " HASH " ab01 1 panic_on_corruption");
	assert_int_equal(verity_parse(&v, sb, 4096, &e), -1);
	sb[80] = 0;
	assert_int_equal(verity_parse(&v, sb, 8192, &e), 0);
	assert_string_equal(v.salt, "-");
	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
		make_superblock(sb);
		sb[fixed[i]] ^= 0x42;
		assert_int_equal(verity_parse(&v, sb, 8192, &e), -1);
		assert_string_equal(e.code, "init.verity");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_our_command_line),
		cmocka_unit_test(refuses_what_is_unclear),
		cmocka_unit_test(finds_the_partition),
		cmocka_unit_test(reads_the_superblock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
