// Firmware made here, byte by byte: TDVF metadata, MRTD against OpenSSL's SHA-384 over the blocks that the
// TDX module would hash, the TD HOB, its witness, and measurement.tdx.cbor.
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/evp.h>

#include "core/codec/cbor.h"
#include "core/measure/measure.h"

#define S(text) span_of(text, sizeof text - 1)
enum { PAGE = 4096, BFV_AT = 64, CODE = 300, SECTIONS_AT = BFV_AT + CODE + 16 };

static const uint8_t footer[16] = { 0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45,
				    0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d };
static const uint8_t metadata[16] = { 0x35, 0x65, 0x7a, 0xe4, 0x4a, 0x98, 0x98, 0x47,
				      0x86, 0x5e, 0x46, 0x85, 0xa7, 0xbf, 0x8e, 0xc2 };
static const uint8_t other[16] = { 1, 2, 3 };

static uint8_t file[4096];

// A code section of 300 bytes in one page, a TD HOB, temporary memory; an entry that is not ours before the
// one that is.
static struct span firmware(const struct tdvf_section *s, uint32_t n)
{
	struct wr w = wr_to(file, sizeof file);

	for (size_t i = 0; i < BFV_AT + CODE; i++)
		wr_u8(&w, (uint8_t)(i * 11));
	wr_str(&w, "TDVF");
	wr_le32(&w, 16 + 32 * n);
	wr_le32(&w, 1);
	wr_le32(&w, n);
	for (uint32_t i = 0; i < n; i++) {
		wr_le32(&w, s[i].offset);
		wr_le32(&w, s[i].raw_size);
		wr_le64(&w, s[i].address);
		wr_le64(&w, s[i].size);
		wr_le32(&w, s[i].type);
		wr_le32(&w, s[i].attributes);
	}
	size_t end = w.n + 22 + 20 + 18 + 32;

	wr_le32(&w, (uint32_t)(end - BFV_AT - CODE));
	wr_le16(&w, 22);
	wr_put(&w, metadata, 16);
	wr_le16(&w, 0xabcd);
	wr_le16(&w, 20);
	wr_put(&w, other, 16);
	wr_le16(&w, 22 + 20 + 18);
	wr_put(&w, footer, 16);
	for (int i = 0; i < 32; i++)
		wr_u8(&w, 0);
	assert_false(w.bad);
	return span_of(file, w.n);
}

static const struct tdvf_section good[] = {
	{ BFV_AT, CODE, TDVF_BFV, 1, 0xffffe000, 2 * PAGE }, { BFV_AT, 0, TDVF_CFV, 0, 0xffffd000, PAGE },
	{ 0, 0, TDVF_TEMP_MEM, 0, 0x80b000, 2 * PAGE },      { 0, 0, TDVF_TD_HOB, 0, 0x809000, 2 * PAGE },
	{ 0, 0, TDVF_TEMP_MEM, 2, 0x900000, PAGE },
};
enum { GOOD = sizeof good / sizeof *good };

// Read from memory that ends where the file ends.
static int read_exact(struct tdvf *t, struct span s, struct fault *f)
{
	uint8_t *exact = malloc(s.n ? s.n : 1);

	assert_non_null(exact);
	memcpy(exact, s.p, s.n);
	int r = tdvf_read(t, span_of(exact, s.n), f);
	free(exact);
	return r;
}

static void metadata_is_found(void **state)
{
	struct tdvf t;
	struct fault f;

	(void)state;
	if (read_exact(&t, firmware(good, GOOD), &f))
		fail_msg("%s", f.text);
	assert_int_equal(t.n, GOOD);
	for (size_t i = 0; i < GOOD; i++) {
		assert_true(t.s[i].address == good[i].address && t.s[i].size == good[i].size);
		assert_int_equal(t.s[i].offset, good[i].offset);
		assert_int_equal(t.s[i].raw_size, good[i].raw_size);
		assert_int_equal(t.s[i].type, good[i].type);
		assert_int_equal(t.s[i].attributes, good[i].attributes);
	}
}

static void refused(struct span s, const char *text)
{
	struct tdvf t;
	struct fault f = { 0 };

	assert_int_equal(read_exact(&t, s, &f), -1);
	assert_string_equal(f.code, "measure.firmware");
	assert_string_equal(f.text, text);
	assert_int_equal(t.n, 0);
}

static void section_refused(struct tdvf_section bad, const char *text)
{
	struct tdvf_section s[GOOD];

	memcpy(s, good, sizeof s);
	s[1] = bad;
	refused(firmware(s, GOOD), text);
}

static void malformed_metadata_is_refused(void **state)
{
	static const char range[] = "TDVF section has an impossible memory range";
	static const char outside[] = "TDVF section lies outside the file";
	static const char known[] = "TDVF descriptor is not of the known form";
	struct span s = firmware(good, GOOD);
	uint32_t n = (uint32_t)s.n;

	(void)state;
	refused(span_of(file, 49), "firmware is too small");
	refused(span_of(file, n - 1), "firmware has no footer table, so no TDVF metadata");
	file[n - 50] = 17; // the table's size
	refused(s, "footer table does not fit");
	file[n - 50] = 0xff, file[n - 49] = 0xff;
	refused(s, "footer table does not fit");
	file[n - 50] = 22 + 20 + 18, file[n - 49] = 0;
	file[n - 68] = 17; // the other entry's size
	refused(s, "footer table is malformed");
	file[n - 68] = 43;
	refused(s, "footer table is malformed");
	file[n - 68] = 20;
	file[n - 50] = 20 + 18; // ends before ours
	refused(s, "firmware has no TDVF metadata");
	file[n - 50] = 22 + 20 + 18;
	file[n - 88] = 18; // ours has no room for an offset
	refused(s, "TDVF descriptor has no offset");
	file[n - 88] = 22;
	file[n - 92 + 2] = 1; // 64 KiB back
	refused(s, "TDVF descriptor lies outside the file");
	s = firmware(good, GOOD);
	file[BFV_AT + CODE] ^= 1;
	refused(s, known);
	s = firmware(good, GOOD);
	file[BFV_AT + CODE + 8] = 2;
	refused(s, known);
	refused(firmware(good, 0), known);
	s = firmware(good, GOOD);
	file[BFV_AT + CODE + 12] = 17;
	refused(s, known);
	memcpy(file + n - 20, "TDVF\0\0\0\0\1\0\0\0\1", 13); // one section, at the end of the file
	memcpy(file + n - 92, "\x14\0\0", 4);
	refused(s, "TDVF section table is cut short");
	section_refused((struct tdvf_section){ 0, 0, TDVF_CFV, 0, 1, PAGE }, range);
	section_refused((struct tdvf_section){ 0, 0, TDVF_CFV, 0, PAGE, 1 }, range);
	section_refused((struct tdvf_section){ 0, PAGE + 1, TDVF_CFV, 0, PAGE, PAGE }, range);
	section_refused((struct tdvf_section){ 0, 0, TDVF_CFV, 0, PAGE, (1ull << 28) + PAGE }, range);
	section_refused((struct tdvf_section){ 0, 0, TDVF_CFV, 0, UINT64_MAX - PAGE + 1, PAGE }, range);
	section_refused((struct tdvf_section){ 1 << 20, 0, TDVF_CFV, 0, PAGE, PAGE }, outside);
	section_refused((struct tdvf_section){ 100, 600, TDVF_CFV, 0, PAGE, PAGE }, outside);
}

// The table fills the file from its first byte: the offset that the entry lacks would lie before it.
static void entry_at_the_very_beginning(void **state)
{
	struct wr w = wr_to(file, sizeof file);

	(void)state;
	wr_le16(&w, 18);
	wr_put(&w, metadata, 16);
	wr_le16(&w, 18 + 18);
	wr_put(&w, footer, 16);
	for (int i = 0; i < 32; i++)
		wr_u8(&w, 0);
	refused(span_of(file, w.n), "TDVF descriptor has no offset");
}

// ---- MRTD

static void md_block(EVP_MD_CTX *md, const char *name, uint64_t gpa)
{
	uint8_t b[128] = { 0 };

	strcpy((char *)b, name);
	for (int i = 0; i < 8; i++)
		b[16 + i] = (uint8_t)(gpa >> 8 * i);
	assert_int_equal(EVP_DigestUpdate(md, b, sizeof b), 1);
}

static void md_page(EVP_MD_CTX *md, uint64_t gpa, const uint8_t page[PAGE])
{
	for (unsigned at = 0; at < PAGE; at += 256) {
		md_block(md, "MR.EXTEND", gpa + at);
		assert_int_equal(EVP_DigestUpdate(md, page + at, 256), 1);
	}
}

static void mrtd_is_the_hash_of_its_blocks(void **state)
{
	struct span s = firmware(good, GOOD);
	uint8_t pages[2][PAGE] = { { 0 } }, got[2][48], want[48];
	struct fault f;

	(void)state;
	memcpy(pages[0], s.p + BFV_AT, CODE);
	for (int two = 0; two < 2; two++) {
		EVP_MD_CTX *md = EVP_MD_CTX_new();

		assert_int_equal(EVP_DigestInit_ex(md, EVP_sha384(), NULL), 1);
		for (size_t i = 0; i < GOOD; i++) {
			uint64_t at = good[i].address;

			for (uint64_t p = 0; p < good[i].size / PAGE; p++) {
				if (good[i].attributes != 2)
					md_block(md, "MEM.PAGE.ADD", at + p * PAGE);
				if (i == 0 && !two)
					md_page(md, at + p * PAGE, pages[p]);
			}
			for (uint64_t p = 0; two && i == 0 && p < 2; p++)
				md_page(md, at + p * PAGE, pages[p]);
		}
		assert_int_equal(EVP_DigestFinal_ex(md, want, NULL), 1);
		EVP_MD_CTX_free(md);
		assert_int_equal(measure_mrtd(got[two], s, two, &f), 0);
		assert_memory_equal(got[two], want, 48);
	}
	assert_memory_not_equal(got[0], got[1], 48);
	assert_int_equal(measure_mrtd(want, span_sub(s, 0, s.n - 1), false, &f), -1);
}

static void passes_follow_the_version(void **state)
{
	static const struct {
		struct vm_config c;
		int want; // -1: refused
	} cases[] = {
		{ { .two_pass = -1 }, 0 }, // nothing said: today's QEMU
		{ { .two_pass = -1, .qemu = { 8, 2, 2 } }, 1 },
		{ { .two_pass = -1, .qemu = { 9, 1, 0 } }, 0 },
		{ { .two_pass = 1, .qemu = { 9, 1, 0 } }, 1 },
		{ { .two_pass = 0, .qemu = { 8, 2, 2 } }, 0 },
		{ { .two_pass = 1 }, 1 },
		{ { .two_pass = -1, .qemu = { 7, 2, 22 } }, -1 },
		{ { .two_pass = -1, .qemu = { 0, 2, 0 } }, -1 },
		{ { .two_pass = -1, .qemu = { 0, 0, 2 } }, -1 },
		{ { .two_pass = 1, .qemu = { 7, 2, 22 }, .profile = MEASURE_SOFT }, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fault f = { 0 };
		bool two;

		assert_int_equal(measure_two_pass(&two, &cases[i].c, &f), cases[i].want < 0 ? -1 : 0);
		if (cases[i].want < 0)
			assert_string_equal(f.code, "measure.qemu");
		else
			assert_int_equal(two, cases[i].want);
	}
}

// ---- TD HOB

static void put_resource(struct wr *w, uint32_t type, uint64_t from, uint64_t to)
{
	wr_le16(w, 3);
	wr_le16(w, 0x30);
	wr_le32(w, 0);
	wr_le64(w, 0);
	wr_le64(w, 0);
	wr_le32(w, type);
	wr_le32(w, 7);
	wr_le64(w, from);
	wr_le64(w, to - from);
}

// PI specification volume 3, section 5: a handoff table, then the memory, range by range.
static void hob_is(const struct tdvf *t, uint64_t memory, const uint64_t ranges[][3], size_t n)
{
	uint8_t text[2048], want[48], got[48];
	struct wr w = wr_to(text, sizeof text);
	struct fault f = { 0 };

	wr_le16(&w, 1);
	wr_le16(&w, 0x38);
	wr_le32(&w, 0);
	wr_le32(&w, 9);
	wr_le32(&w, 0);
	for (int i = 0; i < 4; i++)
		wr_le64(&w, 0);
	wr_le64(&w, 0x809000 + 0x38 + 0x30 * n + 8);
	for (size_t i = 0; i < n; i++)
		put_resource(&w, (uint32_t)ranges[i][0], ranges[i][1], ranges[i][2]);
	assert_int_equal(EVP_Digest(text, w.n, want, NULL, EVP_sha384(), NULL), 1);
	assert_int_equal(measure_td_hob(got, t, memory, &f), 0);
	assert_memory_equal(got, want, 48);
}

static void hob_lists_the_memory(void **state)
{
	static const uint64_t small[][3] = { { 7, 0, 0x809000 },        { 0, 0x809000, 0x80b000 },
					     { 0, 0x80b000, 0x80d000 }, { 7, 0x80d000, 0x900000 },
					     { 0, 0x900000, 0x901000 }, { 7, 0x901000, 2ull << 30 } };
	static const uint64_t large[][3] = { { 7, 0, 0x809000 },
					     { 0, 0x809000, 0x80b000 },
					     { 0, 0x80b000, 0x80d000 },
					     { 7, 0x80d000, 0x900000 },
					     { 0, 0x900000, 0x901000 },
					     { 7, 0x901000, 2ull << 30 },
					     { 7, 4ull << 30, (4ull << 30) + (6ull << 30) } };
	static const uint64_t high[][3] = { { 7, 0, 0x7ffff000 },
					    { 0, 0x7ffff000, 2ull << 30 },
					    { 7, 4ull << 30, 5ull << 30 } };
	struct tdvf t, at_split = { .n = 1,
				    .s = { { .type = TDVF_TEMP_MEM, .address = 0x7ffff000, .size = PAGE } } };
	struct fault f;

	(void)state;
	assert_int_equal(tdvf_read(&t, firmware(good, GOOD), &f), 0);
	hob_is(&t, 2ull << 30, small, 6);
	hob_is(&t, 8ull << 30, large, 7);
	hob_is(&at_split, 3ull << 30, high, 3);
}

static void hob_refuses_ranges_that_collide(void **state)
{
	struct tdvf t = { .n = 2,
			  .s = { { .type = TDVF_TD_HOB, .address = 0x809000, .size = 0x2000 },
				 { .type = TDVF_TEMP_MEM, .address = 0x80a000, .size = 0x1000 } } };
	struct fault f = { 0 };
	uint8_t d[48];

	(void)state;
	assert_int_equal(measure_td_hob(d, &t, 1 << 30, &f), -1);
	assert_string_equal(f.code, "measure.firmware");
	t.s[1].address = 0x80b000;
	assert_int_equal(measure_td_hob(d, &t, 1 << 30, &f), 0);
	assert_int_equal(measure_td_hob(d, &t, 0x80c000, &f), -1); // ends just there
	assert_int_equal(measure_td_hob(d, &t, 0x80b000, &f), -1);
	assert_int_equal(measure_td_hob(d, &t, 0x1000, &f), -1);
}

static void witness_refusals(void **state)
{
	static const struct span bad[] = {
#define W(text) { (const uint8_t *)text, sizeof text - 1 }
		W(""),
		W("\x80\x10\x09\x00"),                             // no range, so no HOB
		W("\x80\x10\x09\x01\x00\x06"),                     // the HOB is not among them
		W("\x80\x10\x09\x01\x09\x02\x00"),                 // and one byte more
		W("\x80\x10\x09\x02\x09\x02\x00"),                 // cut
		W("\x80\x00\x09\x01\x09\x02"),                     // a number in two forms
		W("\x80\x10\x09\x11"),                             // 17 ranges
		W("\xff\xff\xff\xff\xff\xff\xff\xff\x01\x09\x00"), // longer than any address
		W("\xff\xff\xff\xff\x7f\x00\x01\x00\x02"),         // base above 2^32 pages
		W("\x00\xff\xff\xff\xff\x7f\x01\x00\x02"),         // so the offset
		W("\x00\x09\x01\xff\xff\xff\xff\x7f\x02"),         // so a range
		W("\xff\xff\xff\xff\x0f\x00\x02\x00\x02\x01\x02"), // or their sum
		W("\x00\x09\x01\x09\x81\x80\x04"),                 // 65537 pages
	};
	struct tdvf t = { .n = 1, .s = { { .type = TDVF_BFV, .size = PAGE } } };
	struct fault f = { 0 };
	uint8_t out[64];
	struct wr w = wr_to(out, sizeof out);

	(void)state;
	assert_int_equal(td_hob_witness_read(&t, S("\x80\x10\x09\x01\x09\x02"), &f), 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (!td_hob_witness_read(&t, bad[i], &f))
			fail_msg("case %zu", i);
		assert_string_equal(f.code, "measure.measurement");
	}
	t = (struct tdvf){ .n = 1, .s = { { .type = TDVF_BFV, .size = PAGE } } };
	assert_int_equal(td_hob_witness_write(&w, &t), -1); // nothing to witness
}

// ---- measurement.tdx.cbor

static void d48(struct wr *w, const char *key, uint8_t fill)
{
	uint8_t d[48];

	memset(d, fill, sizeof d);
	cbor_wr_text(w, key);
	cbor_wr_bytes(w, span_of(d, sizeof d));
}

struct change {
	const char *version, *image_extra, *image_name, *ovmf, *tdvf_extra, *twice;
	uint32_t form;
	bool short_digest, tail;
};

static struct span measurement(const struct change *c)
{
	struct wr w = wr_to(file, sizeof file);

	cbor_wr_map(&w, 3 + (c->twice != NULL));
	cbor_wr_text(&w, c->version);
	cbor_wr_uint(&w, c->form);
	if (c->twice) {
		cbor_wr_text(&w, c->twice);
		cbor_wr_uint(&w, 3);
	}
	cbor_wr_text(&w, "image");
	cbor_wr_map(&w, 3 + (c->image_extra != NULL));
	if (c->image_extra)
		d48(&w, c->image_extra, 9);
	d48(&w, c->image_name, 1);
	d48(&w, "kernel_authenticode", 2);
	cbor_wr_text(&w, "initrd_sha384");
	cbor_wr_bytes(&w, span_of(file, c->short_digest ? 47 : 48));
	cbor_wr_text(&w, "tdvf");
	cbor_wr_map(&w, 3 + (c->tdvf_extra != NULL));
	if (c->tdvf_extra) {
		cbor_wr_text(&w, c->tdvf_extra);
		cbor_wr_text(&w, "pre202505");
	}
	cbor_wr_text(&w, "ovmf");
	cbor_wr_text(&w, c->ovmf);
	cbor_wr_text(&w, "mrtd");
	cbor_wr_map(&w, 2);
	d48(&w, "single_pass", 4);
	d48(&w, "two_pass", 5);
	cbor_wr_text(&w, "td_hob");
	cbor_wr_bytes(&w, S("\x80\x10\x09\x01\x09\x02"));
	if (c->tail)
		wr_u8(&w, 0);
	assert_false(w.bad);
	return span_of(file, w.n);
}

static const struct change plain = {
	.version = "version", .image_name = "cmdline_sha384", .ovmf = "pre202505", .form = 3
};

static void measurement_file_has_each_member_once(void **state)
{
	struct measurement_tdx m;
	struct fault f = { 0 };
	struct change c;

	(void)state;
	assert_int_equal(measurement_tdx_read(&m, measurement(&plain), &f), 0);
	assert_true(m.cmdline[0] == 1 && m.kernel[47] == 2 && m.mrtd_single[0] == 4 && m.mrtd_two[0] == 5);
	assert_true(m.hob.n == 1 && m.hob.s[0].address == 0x809000);
	// Members that we do not know are stepped over.
	c = plain;
	c.image_extra = c.tdvf_extra = c.twice = "later";
	assert_int_equal(measurement_tdx_read(&m, measurement(&c), &f), 0);
#define REFUSED(member, value)                                                                               \
	do {                                                                                                 \
		c = plain;                                                                                   \
		c.member = value;                                                                            \
		assert_int_equal(measurement_tdx_read(&m, measurement(&c), &f), -1);                         \
		assert_string_equal(f.code, "measure.measurement");                                          \
	} while (0)
	REFUSED(version, "Version"); // missing
	REFUSED(form, 2);
	REFUSED(twice, "version");
	REFUSED(image_name, "other");
	REFUSED(image_extra, "cmdline_sha384"); // twice
	REFUSED(tdvf_extra, "ovmf");
	REFUSED(ovmf, "pre202506");
	REFUSED(short_digest, true);
	REFUSED(tail, true);
}

static void measurement_of_files(void **state)
{
	struct span fw = firmware(good, GOOD);
	struct measurement_tdx m;
	struct fault f = { 0 };
	uint8_t d[48], small[8];
	struct wr w = wr_to(small, sizeof small);

	(void)state;
	// Without a kernel there is no measurement; everything before it was measured.
	assert_int_equal(measurement_tdx_make(&m, fw, S("no kernel"), S("initrd"), S("quiet"), &f), -1);
	assert_string_equal(f.code, "measure.kernel");
	assert_int_equal(measure_mrtd(d, fw, true, &f), 0);
	assert_memory_equal(m.mrtd_two, d, 48);
	assert_int_equal(measurement_tdx_make(&m, S("no firmware"), S(""), S(""), S(""), &f), -1);
	assert_string_equal(f.code, "measure.firmware");
	assert_int_equal(measurement_tdx_read(&m, measurement(&plain), &f), 0);
	assert_int_equal(measurement_tdx_write(&w, &m), -1); // no room
	m.hob.n = 0;
	w = wr_to(file, sizeof file);
	assert_int_equal(measurement_tdx_write(&w, &m), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metadata_is_found),
		cmocka_unit_test(malformed_metadata_is_refused),
		cmocka_unit_test(entry_at_the_very_beginning),
		cmocka_unit_test(mrtd_is_the_hash_of_its_blocks),
		cmocka_unit_test(passes_follow_the_version),
		cmocka_unit_test(hob_lists_the_memory),
		cmocka_unit_test(hob_refuses_ranges_that_collide),
		cmocka_unit_test(witness_refusals),
		cmocka_unit_test(measurement_file_has_each_member_once),
		cmocka_unit_test(measurement_of_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
