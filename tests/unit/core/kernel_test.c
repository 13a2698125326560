// A kernel made here: QEMU's patch of each boot protocol and the Authenticode hash, against OpenSSL's SHA-384
// over the bytes that must count.
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/evp.h>

#include "core/measure/measure.h"

#define S(text) span_of(text, sizeof text - 1)
enum { PE = 0x80, OPT = PE + 24, SIZE = 0x1203, HEADERS = 0x400 };
static const uint64_t GIB = 1ull << 30;

static uint8_t k[SIZE];

static void put16(size_t at, uint32_t v)
{
	k[at] = (uint8_t)v;
	k[at + 1] = (uint8_t)(v >> 8);
}

static void put32(size_t at, uint32_t v)
{
	put16(at, v & 0xffff);
	put16(at + 2, v >> 16);
}

static uint32_t get32(size_t at)
{
	return (uint32_t)(k[at] | k[at + 1] << 8 | k[at + 2] << 16) | (uint32_t)k[at + 3] << 24;
}

// Three sections, the second empty, out of order; `opt_size` decides where the table lies.
static void make(bool plus, uint32_t dirs, uint32_t protocol)
{
	size_t opt_size = plus ? 160 : 144, table = OPT + opt_size;

	for (size_t i = 0; i < SIZE; i++)
		k[i] = (uint8_t)(i * 7);
	put32(0x3c, PE);
	put32(PE, 0x4550);
	put16(PE + 6, 3);
	put16(PE + 20, (uint32_t)opt_size);
	put16(OPT, plus ? 0x20b : 0x10b);
	put32(OPT + 60, HEADERS);
	put32(OPT + (plus ? 108 : 92), dirs);
	memset(k + OPT + (plus ? 112 : 96), 0, 48);
	put32(table + 16, 0x800);
	put32(table + 20, 0x800);
	put32(table + 40 + 16, 0);
	put32(table + 40 + 20, 0xffffffff);
	put32(table + 80 + 16, 0x400);
	put32(table + 80 + 20, 0x400);
	put32(0x202, 0x53726448);
	put16(0x206, protocol);
	k[0x211] = 1;
	put32(0x22c, 0x7fffffff);
	put16(0x236, 0);
}

static int measure(uint8_t out[48], uint64_t initrd, uint64_t memory, struct fault *f)
{
	uint8_t *exact = malloc(SIZE);

	assert_non_null(exact);
	memcpy(exact, k, SIZE);
	int r = measure_kernel(out, span_of(exact, SIZE), initrd, memory, f);
	free(exact);
	return r;
}

// Hash of k as it is now, without the checksum, the certificate entry and the last `cert` bytes.
static void hash_of(uint8_t out[48], bool plus, bool has_cert, size_t cert)
{
	static const uint8_t zeros[8];
	size_t checksum = OPT + 64, entry = OPT + (plus ? 112 : 96) + 32;
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	EVP_DigestInit_ex(md, EVP_sha384(), NULL);
	EVP_DigestUpdate(md, k, checksum);
	if (has_cert) {
		EVP_DigestUpdate(md, k + checksum + 4, entry - checksum - 4);
		EVP_DigestUpdate(md, k + entry + 8, HEADERS - entry - 8);
	} else {
		EVP_DigestUpdate(md, k + checksum + 4, HEADERS - checksum - 4);
	}
	EVP_DigestUpdate(md, k + HEADERS, SIZE - HEADERS - cert);
	EVP_DigestUpdate(md, zeros, (8 - SIZE % 8) % 8);
	assert_int_equal(EVP_DigestFinal_ex(md, out, NULL), 1);
	EVP_MD_CTX_free(md);
}

static void what_counts(void **state)
{
	static const struct {
		bool plus;
		uint32_t dirs, cert;
	} cases[] = { { true, 6, 0 }, { true, 6, 3 }, { true, 4, 0 }, { false, 6, 0 }, { false, 5, 11 } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t got[48], want[48];
		struct fault f = { 0 };

		make(cases[i].plus, cases[i].dirs, 0x20f);
		if (cases[i].cert)
			put32(OPT + (cases[i].plus ? 112 : 96) + 36, cases[i].cert);
		if (measure(got, 0, GIB, &f))
			fail_msg("case %zu: %s", i, f.text);
		k[0x210] = 0xb0;
		k[0x211] |= 0x80;
		put16(0x224, 0x20000 - 0x10000 - 0x200);
		put32(0x228, 0x20000);
		hash_of(want, cases[i].plus, cases[i].dirs > 4, cases[i].cert);
		assert_memory_equal(got, want, 48);
	}
}

// Documentation/arch/x86/boot.rst; what QEMU's x86_load_linux writes for each protocol.
static void boot_protocols(void **state)
{
	static const struct {
		uint32_t protocol, loadflags, xlf, initrd_max;
		uint64_t initrd, memory;
		uint32_t want_addr; // of the initrd, 0: refused
	} cases[] = {
		{ 0x20f, 1, 0, 0x7fffffff, 5000, GIB, 0x3ffd6000 },
		{ 0x20f, 1, 0, 0x7fffffff, 5000, 2 * GIB, 0x7ffd6000 },
		{ 0x20f, 1, 0, 0x7fffffff, 5000, 8 * GIB, 0x7ffd6000 },      // split at 2 GiB
		{ 0x20f, 1, 0, 0x7fffffff, 5000, 0xa0000000, 0x7fffe000 },   // its own limit
		{ 0x20f, 1, 0x40, 0x1000000, 5000, 0xa0000000, 0x9ffd6000 }, // may lie anywhere below 4 GiB
		{ 0x20b, 1, 0x40, 0x1000000, 5000, GIB, 0xffe000 },          // not before 2.12
		{ 0x203, 1, 0, 0, 5000, GIB, 0x37ffe000 },
		{ 0x202, 1, 0, 0x1000000, 5000, GIB, 0x37ffe000 }, // no limit before 2.03
		{ 0x201, 1, 0, 0, 5000, GIB, 0x37ffe000 },
		{ 0x200, 0, 0, 0, 5000, GIB, 0x37ffe000 },
		{ 0x200, 1, 0, 0, 4096, 64 << 20, 0x3fd6000 },
		{ 0x20f, 1, 0, 0x1000000, 0x1000001, GIB, 0 }, // too large
		{ 0x20f, 1, 0, 0x1000000, 5000, 0x28000, 0 },  // no memory
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t got[48], want[48];
		struct fault f = { 0 };
		uint32_t protocol = cases[i].protocol;
		bool high = cases[i].loadflags & 1;

		make(true, 6, protocol);
		k[0x211] = (uint8_t)cases[i].loadflags;
		put16(0x236, cases[i].xlf);
		put32(0x22c, cases[i].initrd_max);
		int r = measure(got, cases[i].initrd, cases[i].memory, &f);
		if (r != (cases[i].want_addr ? 0 : -1))
			fail_msg("case %zu: %s", i, r ? f.text : "accepted");
		if (r) {
			assert_string_equal(f.code, "measure.kernel");
			continue;
		}
		k[0x210] = 0xb0;
		if (protocol >= 0x201) {
			k[0x211] |= 0x80;
			put16(0x224, high ? 0xfe00 : 0x9a000 - 0x90000 - 0x200);
		}
		if (protocol >= 0x202) {
			put32(0x228, high ? 0x20000 : 0x9a000);
		} else {
			put16(0x20, 0xa33f);
			put16(0x22, high ? 0x20000 - 0x10000 : 0x9a000 - 0x90000);
		}
		put32(0x218, cases[i].want_addr);
		put32(0x21c, (uint32_t)cases[i].initrd);
		hash_of(want, true, true, 0);
		if (memcmp(got, want, 48))
			fail_msg("case %zu: another hash", i);
	}
}

static void kernels_older_than_initrds(void **state)
{
	uint8_t got[48], want[48];
	struct fault f = { 0 };

	(void)state;
	make(true, 6, 0x20f);
	put32(0x202, 0); // no "HdrS"
	assert_int_equal(measure(got, 1, GIB, &f), -1);
	assert_string_equal(f.text, "kernel is too old to take an initrd");
	assert_int_equal(measure(got, 0, GIB, &f), 0);
	put16(0x20, 0xa33f);
	put16(0x22, 0x9a000 - 0x90000);
	hash_of(want, true, true, 0);
	assert_memory_equal(got, want, 48);
}

static void malformed_images_are_refused(void **state)
{
	static const struct {
		size_t at;
		uint32_t value;
		const char *text;
	} cases[] = {
		{ 0x3c, 0x3e9, "kernel is not a PE image (no EFI stub)" },
		{ 0x3c, 0xffffffff, "kernel is not a PE image (no EFI stub)" },
		{ PE, 0x4551, "kernel is not a PE image (no EFI stub)" },
		{ PE + 4, 97 << 16, "PE header does not fit" }, // sections
		{ PE + 20, 0xffff, "PE header does not fit" },  // size of the optional header
		{ OPT + 60, SIZE + 1, "PE header has an impossible size" },
		{ OPT + 60, OPT + 112 + 39,
		  "PE header has an impossible size" }, // ends in the certificate entry
		{ OPT + 112 + 36, 0x204, "PE certificate table lies outside the file" },
		{ OPT + 160 + 20, SIZE + 1, "PE sections overlap or lie outside the file" },
		{ OPT + 160 + 16, SIZE, "PE sections overlap or lie outside the file" },
		{ OPT + 160 + 20, 0x7ff, "PE sections overlap or lie outside the file" },
		{ OPT + 240 + 20, 0x3ff, "PE sections overlap or lie outside the file" }, // in the header
	};
	struct fault f = { 0 };
	uint8_t d[48];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		make(true, 6, 0x20f);
		put32(cases[i].at, cases[i].value);
		if (!measure(d, 0, GIB, &f))
			fail_msg("case %zu", i);
		assert_string_equal(f.code, "measure.kernel");
		assert_string_equal(f.text, cases[i].text);
	}
	make(true, 4, 0x20f); // without certificates the header may end earlier, but behind the checksum
	put32(OPT + 60, OPT + 67);
	assert_int_equal(measure(d, 0, GIB, &f), -1);
	assert_int_equal(measure_kernel(d, span_of(k, 0x3ff), 0, GIB, &f), -1);
	assert_string_equal(f.text, "kernel is too small");
	// A PE header as late as it may begin, but its optional header lies behind the first KiB.
	make(true, 6, 0x20f);
	put32(0x3c, 0x3e8);
	put32(0x3e8, 0x4550);
	assert_int_equal(measure(d, 0, GIB, &f), -1);
	assert_string_equal(f.text, "PE header does not fit");
	// A directory entry that lies in the section table is none.
	make(true, 6, 0x20f);
	uint32_t sections = get32(PE + 4);
	put16(PE + 20, 151);
	put32(PE + 4, (uint32_t)(sections & 0xffff));
	assert_int_equal(measure(d, 0, GIB, &f), 0);
}

static void command_lines(void **state)
{
	static const char text[] = "q\0 \0i\0n\0i\0t\0r\0d\0=\0i\0n\0i\0t\0r\0d\0\0\0";
	uint8_t got[48], want[48];

	(void)state;
	measure_cmdline(got, S("q"));
	assert_int_equal(EVP_Digest(text, sizeof text - 1, want, NULL, EVP_sha384(), NULL), 1);
	assert_memory_equal(got, want, 48);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_counts),
		cmocka_unit_test(boot_protocols),
		cmocka_unit_test(kernels_older_than_initrds),
		cmocka_unit_test(malformed_images_are_refused),
		cmocka_unit_test(command_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
