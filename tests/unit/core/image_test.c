// What describes an image and a machine: checksum file, metadata.json, vm_config; the values derived from
// registers.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/hash/keccak.h"
#include "core/hash/sha2.h"
#include "core/measure/measure.h"
#include "core/measure/mrconfig.h"

#define S(text) span_of(text, sizeof text - 1)
#define HASH    "8c9e955f0b577cc8945a891a34ccfa5b8e08bb5e5d249992603e64dd14870e3c"
static uint8_t room[4096];

static int checksum(struct span text, const char *name, struct fault *f)
{
	uint8_t out[32];

	return image_checksum(out, text, name, f);
}

static void checksum_lines(void **state)
{
	static const char *const bad[] = {
		HASH "  ",
		HASH "  a b",
		HASH "  a\\b",
		HASH "  a\x7f",
		HASH "  \xc3\xa9",
		HASH "  -rf",
		HASH "  a/b",
		HASH "  a\tb",
		HASH "   a",
		HASH " \ta",
		HASH "\t a",
		HASH,
		"8C"
		"9e955f0b577cc8945a891a34ccfa5b8e08bb5e5d249992603e64dd14870e3c  a", // upper case
		"8@"
		"9e955f0b577cc8945a891a34ccfa5b8e08bb5e5d249992603e64dd14870e3c  a",
		"8g"
		"9e955f0b577cc8945a891a34ccfa5b8e08bb5e5d249992603e64dd14870e3c  a",
		HASH "  a\n\n",
		HASH "  a\nx",
		HASH "  a\n" HASH "  b\n" HASH "  a",
	};
	static char text[65 * 200 + 1];
	struct fault f = { 0 };
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (!checksum(span_str(bad[i]), "a", &f))
			fail_msg("accepted: %s", bad[i]);
		assert_string_equal(f.code, "image.manifest");
	}
	assert_int_equal(checksum(S(""), "a", &f), -1);
	assert_string_equal(f.code, "image.unlisted");
	for (int i = 0; i < 64; i++)
		n += (size_t)sprintf(text + n, HASH "  file%d\n", i);
	assert_int_equal(checksum(span_of(text, n), "file63", &f), 0);
	n += (size_t)sprintf(text + n, HASH "  file64\n");
	assert_int_equal(checksum(span_of(text, n), "file63", &f), -1); // one line too many
	assert_string_equal(f.code, "image.manifest");
	memset(text, 'x', sizeof text);
	assert_int_equal(checksum(span_of(text, sizeof text), "a", &f), -1);
	assert_string_equal(f.text, "checksum file is too long");
	n = (size_t)sprintf(text, HASH "  %0128d", 1);
	assert_int_equal(checksum(span_of(text, n), text + 66, &f), 0);
	n = (size_t)sprintf(text, HASH "  %0129d", 1);
	assert_int_equal(checksum(span_of(text, n), text + 66, &f), -1);
}

static void measurement_is_bound_to_the_image(void **state)
{
	uint8_t os[32];
	struct fault f = { 0 };

	(void)state;
	sha256(HASH "  metadata.json\n", sizeof HASH "  metadata.json\n" - 1, os);
	assert_int_equal(measurement_bound(os, S(HASH "  metadata.json\n"), S("x"), &f), -1);
	assert_string_equal(f.code, "image.unlisted");
}

#define META "\"bios\":\"ovmf.fd\",\"kernel\":\"bzImage\",\"initrd\":\"i\",\"cmdline\":\"c\""

static void metadata(void **state)
{
	static const struct {
		const char *json, *code;
	} cases[] = {
		{ "{" META "}", NULL },
		{ "{" META
		  ",\"rootfs\":\"r\",\"version\":\"0.5.4\",\"is_dev\":true,\"ovmf_variant\":\"pre202505\"}",
		  NULL },
		{ "{" META ",\"rootfs\":null,\"more\":[1]}", NULL },
		{ "", "image.metadata" },
		{ "[]", "image.metadata" },
		{ "{}", "image.metadata" },
		{ "{\"bios\":1}", "image.metadata" },
		{ "{\"kernel\":1}", "image.metadata" },
		{ "{\"initrd\":[]}", "image.metadata" },
		{ "{\"cmdline\":{}}", "image.metadata" },
		{ "{\"rootfs\":true}", "image.metadata" },
		{ "{\"version\":5}", "image.metadata" },
		{ "{\"ovmf_variant\":0}", "image.metadata" },
		{ "{" META ",\"is_dev\":\"no\"}", "image.metadata" },
		{ "{" META ",\"bios\":\"twice\"}", "image.metadata" },
		{ "{\"bios\":\"../ovmf.fd\",\"kernel\":\"k\",\"initrd\":\"i\",\"cmdline\":\"c\"}",
		  "image.metadata" },
		{ "{\"bios\":\"o\",\"kernel\":\"/k\",\"initrd\":\"i\",\"cmdline\":\"c\"}", "image.metadata" },
		{ "{\"bios\":\"o\",\"kernel\":\"k\",\"initrd\":\"\",\"cmdline\":\"c\"}", "image.metadata" },
		{ "{\"bios\":\"o\",\"kernel\":\"k\",\"initrd\":\"i\",\"cmdline\":\"\"}", "image.metadata" },
		{ "{" META ",\"ovmf_variant\":\"202505\"}", "measure.firmware" },
	};
	struct image_metadata m;
	struct fault f = { 0 };
	struct wr scratch;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		scratch = wr_to(room, sizeof room);
		int r = image_metadata_read(&m, &scratch, span_str(cases[i].json), &f);
		if (r != (cases[i].code ? -1 : 0))
			fail_msg("%s", cases[i].json);
		if (r)
			assert_string_equal(f.code, cases[i].code);
		else
			assert_true(span_is(m.bios, "ovmf.fd") && span_is(m.cmdline, "c") &&
				    m.is_dev == (i == 1));
	}
	scratch = wr_to(room, 10); // no room for the names
	assert_int_equal(image_metadata_read(&m, &scratch, S("{" META "}"), &f), -1);
	scratch.bad = true;
	assert_int_equal(image_metadata_read(&m, &scratch, S("{" META "}"), &f), -1);
}

static void machine_description(void **state)
{
	static const char all[] =
		"{\"cpu_count\":4,\"memory_size\":4294967296,\"num_nics\":2,\"num_gpus\":8,\"num_"
		"nvswitches\":4,"
		"\"num_verity_volumes\":1,\"pci_hole64_size\":17179869184,\"hugepages\":true,\"hotplug_off\":"
		"true,"
		"\"swtpm\":true,\"qemu_single_pass_add_pages\":true,\"pic\":false,\"qemu_version\":\"10.2."
		"12345\","
		"\"image\":\"dstack-0.5.4\",\"ovmf_variant\":\"pre202505\",\"tee\":null,"
		"\"tdx_attestation_variant\":\"legacy\",\"tdx_measurement\":{\"checksum_file\":\"Zm9v\","
		"\"measurement\":\"Zm9vYg==\"},\"other\":{\"x\":[]}}";
	// Each in place of "wrong": a string where a number or a boolean belongs, or the other way round.
	static const char *const bad[] = {
		"",
		"[]",
		"{\"cpu_count\":4294967296}",
		"{\"memory_size\":\"1G\"}",
		"{\"num_nics\":-1}",
		"{\"num_gpus\":1.5}",
		"{\"num_nvswitches\":\"2\"}",
		"{\"num_verity_volumes\":true}",
		"{\"pci_hole64_size\":18446744073709551616}",
		"{\"hugepages\":1}",
		"{\"hotplug_off\":\"yes\"}",
		"{\"swtpm\":0}",
		"{\"qemu_single_pass_add_pages\":\"true\"}",
		"{\"pic\":2}",
		"{\"qemu_version\":9}",
		"{\"qemu_version\":\"9\"}",
		"{\"qemu_version\":\"9..1\"}",
		"{\"qemu_version\":\".9.1\"}",
		"{\"qemu_version\":\"9.1.\"}",
		"{\"qemu_version\":\"9.1.0-rc1\"}",
		"{\"qemu_version\":\"v9.1.0\"}",
		"{\"qemu_version\":\"9.1.123456\"}",
		"{\"qemu_version\":\"9:1:0\"}",
		"{\"qemu_version\":\"9.1.0 \"}",
		"{\"image\":1}",
		"{\"ovmf_variant\":1}",
		"{\"tee\":1}",
		"{\"tdx_attestation_variant\":1}",
		"{\"tdx_attestation_variant\":\"full\"}",
		"{\"os_image_hash\":5}",
		"{\"os_image_hash\":\"zz\"}",
		"{\"mr_config\":5}",
		"{\"tdx_measurement\":\"Zm9v\"}",
		"{\"tdx_measurement\":{\"checksum_file\":\"Zm9v\"}}",
		"{\"tdx_measurement\":{\"checksum_file\":\"Zm9v\",\"measurement\":\"Zm9\"}}",
		"{\"tdx_measurement\":{\"checksum_file\":\"Zm9\\u0076\",\"measurement\":\"Zm9v\"}}",
	};
	struct wr scratch = wr_to(room, sizeof room);
	struct vm_config c;
	struct fault f = { 0 };

	(void)state;
	if (vm_config_read(&c, &scratch, S(all), &f))
		fail_msg("%s", f.text);
	assert_true(c.cpu_count == 4 && c.memory_size == 4ull << 30 && c.num_nics == 2 && c.num_gpus == 8);
	assert_true(c.num_nvswitches == 4 && c.num_verity_volumes == 1 && c.pci_hole64_size == 16ull << 30);
	assert_true(c.hugepages && c.hotplug_off && c.swtpm && c.two_pass == 1 && c.pic == 0 && !c.lite);
	assert_true(c.qemu[0] == 10 && c.qemu[1] == 2 && c.qemu[2] == 12345 && c.profile == MEASURE_TDX);
	assert_true(span_is(c.tdx_checksum_file, "foo") && span_is(c.tdx_measurement, "foob"));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		scratch = wr_to(room, sizeof room);
		if (!vm_config_read(&c, &scratch, span_str(bad[i]), &f))
			fail_msg("accepted: %s", bad[i]);
		assert_string_equal(f.code, "vm_config.format");
	}
	scratch = wr_to(room, 3);
	assert_int_equal(vm_config_read(&c, &scratch, S("{\"image\":\"long\"}"), &f), -1);
	scratch.bad = true;
	assert_int_equal(vm_config_read(&c, &scratch, S("{\"image\":\"\"}"), &f), -1);
	static const struct {
		uint64_t size;
		bool ok;
	} memory[] = { { 0x7fffffff, false }, { 0x80000000, true }, { 0x80000001, false },
		       { 0xafffffff, false }, { 0xb0000000, true }, { 1ull << 40, true } };
	for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
		assert_int_equal(measure_memory_ok(&(struct vm_config){ .memory_size = memory[i].size }),
				 memory[i].ok);
}

// ---- expected registers and logs

static struct event store[64];
static uint8_t digest_of[64][48];

static void add(struct eventlog *log, uint32_t imr, const char *payload)
{
	struct event *e = &log->e[log->n];

	memset(digest_of[log->n], (int)log->n + 1, 48);
	*e = (struct event){ .imr = imr, .type = payload ? 10 : 7, .digest = span_of(digest_of[log->n], 48) };
	if (payload)
		e->payload = span_str(payload);
	log->n++;
}

static void acpi_events_are_counted(void **state)
{
	struct eventlog log = { store, 0, 64 };
	struct measurement_tdx m = {
		.hob = { .n = 1, .s = { { .type = TDVF_TD_HOB, .address = 0x809000, .size = 0x2000 } } }
	};
	struct vm_config c = { .memory_size = 2ull << 30, .two_pass = -1 };
	struct measured out;
	struct fault f = { 0 };

	(void)state;
	add(&log, 0, "ACPI DATA");
	add(&log, 0, "ACPI DATA");
	assert_int_equal(measure_expect(&out, &m, m.kernel, &c, &log, &f), -1);
	assert_string_equal(f.text, "log has fewer ACPI events than the machine has tables");
	add(&log, 0, "ACPI DATA");
	assert_int_equal(measure_expect(&out, &m, m.kernel, &c, &log, &f), 0);
	log.e[2].digest.n = 32;
	assert_int_equal(measure_expect(&out, &m, m.kernel, &c, &log, &f), -1);
	assert_string_equal(f.code, "measure.acpi");
	log.e[2].digest.n = 48;
	c.memory_size = 0x80a000; // ends inside the firmware's ranges
	assert_int_equal(measure_expect(&out, &m, m.kernel, &c, &log, &f), -1);
	assert_string_equal(f.code, "measure.firmware");
	c = (struct vm_config){ .memory_size = 2ull << 30, .two_pass = -1, .qemu = { 7, 2, 0 } };
	assert_int_equal(measure_expect(&out, &m, m.kernel, &c, &log, &f), -1);
	assert_string_equal(f.code, "measure.qemu");
}

// ---- derived values

static void aggregate_covers_the_owner(void **state)
{
	uint8_t td[48], regs[4][48], part[3][48], all[10 * 48], want[32], got[32];

	(void)state;
	memset(td, 1, sizeof td);
	for (int i = 0; i < 4; i++)
		memset(regs[i], 2 + i, 48);
	memcpy(all, td, 48);
	memcpy(all + 48, regs, 4 * 48);
	for (int set = -1; set < 3; set++) { // with zeros only they are left out; one set brings all three in
		memset(part, 0, sizeof part);
		if (set >= 0)
			part[set][47] = 9;
		memcpy(all + 5 * 48, part, sizeof part);
		sha256(all, set < 0 ? 5 * 48 : 8 * 48, want);
		measure_mr_aggregated(got, td, (const uint8_t(*)[48])regs, regs[3], part[0], part[1],
				      part[2]);
		assert_memory_equal(got, want, 32);
	}
	memset(all + 4 * 48, 0, 32);
	sha256(all, 4 * 48 + 32, want);
	measure_mr_system(got, td, (const uint8_t(*)[48])regs, S(""));
	assert_memory_equal(got, want, 32);
	sha256("{}", 2, all + 4 * 48);
	sha256(all, 4 * 48 + 32, want);
	measure_mr_system(got, td, (const uint8_t(*)[48])regs, S("{}"));
	assert_memory_equal(got, want, 32);
}

static void config_id_of_form_2(void **state)
{
	uint8_t compose[32], app[20], text[32 + 20 + 1 + 4], want[48] = { 2 }, got[48];
	static const uint8_t long_id[MR_CONFIG_PROVIDER_ID_MAX + 1];

	(void)state;
	memset(compose, 0xc0, sizeof compose);
	memset(app, 0xa0, sizeof app);
	memcpy(text, compose, 32);
	memcpy(text + 32, app, 20);
	memcpy(text + 53, "\1\2\3\4", 4);
	for (int kind = KEY_PROVIDER_NONE; kind <= KEY_PROVIDER_TPM; kind++) {
		text[52] = (uint8_t)kind;
		keccak256(text, sizeof text, want + 1);
		mr_config_id_v2(got, compose, app, (enum key_provider_kind)kind, S("\1\2\3\4"));
		assert_memory_equal(got, want, 48);
	}
	mr_config_id_v2(got, compose, app, KEY_PROVIDER_KMS, span_of(long_id, sizeof long_id - 1));
	assert_int_equal(got[0], 2);
	mr_config_id_v2(got, compose, app, KEY_PROVIDER_KMS, span_of(long_id, sizeof long_id));
	assert_int_equal(got[0], 0xff); // matches nothing
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksum_lines),
		cmocka_unit_test(measurement_is_bound_to_the_image),
		cmocka_unit_test(metadata),
		cmocka_unit_test(machine_description),
		cmocka_unit_test(acpi_events_are_counted),
		cmocka_unit_test(aggregate_covers_the_owner),
		cmocka_unit_test(config_id_of_form_2),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
