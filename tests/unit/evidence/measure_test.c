// Expected registers against real ones: a TD's quote with its measurement.tdx.cbor, and TPM logs recorded
// from QEMU 7.2 with Debian 13's OVMF (tests/evidence/soft: 1024 MiB; 2560 MiB; 3072 MiB, 2 CPUs and one more
// device).
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/attest/envelope.h"
#include "core/hash/sha2.h"
#include "core/measure/measure.h"
#include "load.h"

static struct event store[512];
static uint8_t scratch[1 << 20];
static const char lite[] = "real/dstack/verifier/tdx-lite-getquote.json";

struct lite {
	struct vm_config config;
	struct measurement_tdx m;
	struct eventlog log;
	struct span quote;
};

static void read_lite(struct lite *l)
{
	struct wr s = wr_to(scratch, sizeof scratch);
	struct fault f = { 0 };

	l->quote = load_hex_member(lite, "quote");
	l->log = (struct eventlog){ store, 0, 512 };
	if (vm_config_read(&l->config, &s, load_text_member(lite, "vm_config"), &f) ||
	    eventlog_read_json(&l->log, &s, load_text_member(lite, "event_log"), &f) ||
	    measurement_bound(l->config.os_image_hash, l->config.tdx_checksum_file, l->config.tdx_measurement,
			      &f) ||
	    measurement_tdx_read(&l->m, l->config.tdx_measurement, &f))
		fail_msg("%s %s", f.code, f.text);
}

static void registers_of_a_td_equal_its_quote(void **state)
{
	struct lite l;
	struct measured got;
	struct fault f = { 0 };

	(void)state;
	read_lite(&l);
	assert_true(l.config.lite && measure_memory_ok(&l.config));
	assert_int_equal(measure_expect(&got, &l.m, l.m.kernel, &l.config, &l.log, &f), 0);
	assert_memory_equal(got.mrtd, l.quote.p + 48 + 136, 48);
	for (int i = 0; i < 3; i++)
		assert_memory_equal(got.rtmr[i].value, l.quote.p + 376 + 48 * i, 48);
}

static void measurement_file_is_written_as_it_was_read(void **state)
{
	struct lite l;
	uint8_t out[1024];
	struct wr w = wr_to(out, sizeof out);
	struct fault f = { 0 };

	(void)state;
	read_lite(&l);
	assert_int_equal(measurement_tdx_write(&w, &l.m), 0);
	assert_int_equal(w.n, l.config.tdx_measurement.n);
	assert_memory_equal(out, l.config.tdx_measurement.p, w.n);
	for (size_t n = 0; n < w.n; n++)
		assert_int_equal(measurement_tdx_read(&l.m, span_of(out, n), &f), -1);
	l.config.os_image_hash[0] ^= 1;
	assert_int_equal(
		measurement_bound(l.config.os_image_hash, l.config.tdx_checksum_file, span_of(out, w.n), &f),
		-1);
	assert_string_equal(f.code, "image.hash");
	l.config.os_image_hash[0] ^= 1;
	out[w.n - 1] ^= 1;
	assert_int_equal(
		measurement_bound(l.config.os_image_hash, l.config.tdx_checksum_file, span_of(out, w.n), &f),
		-1);
	assert_string_equal(f.code, "image.file");
}

static void first_difference_is_named(void **state)
{
	struct lite l;
	struct measured got;
	struct fault f = { 0 };
	char text[300] = { 0 };
	struct wr w = wr_to(text, sizeof text - 1);

	(void)state;
	read_lite(&l);
	assert_int_equal(measure_expect(&got, &l.m, l.m.kernel, &l.config, &l.log, &f), 0);
	for (uint32_t i = 0; i < 3; i++)
		measure_explain(&w, &got.rtmr[i], i, &l.log);
	assert_int_equal(w.n, 0);
	l.config.memory_size = 4ull << 30;
	assert_int_equal(measure_expect(&got, &l.m, l.m.kernel, &l.config, &l.log, &f), 0);
	measure_explain(&w, &got.rtmr[0], 0, &l.log);
	assert_non_null(strstr(text, "event 1 (TD HOB)"));
	assert_non_null(strstr(text, "memory size"));
	memset(text, 0, sizeof text);
	w = wr_to(text, sizeof text - 1);
	measure_cmdline(l.m.cmdline, span_str("console=ttyS0"));
	assert_int_equal(measure_expect(&got, &l.m, l.m.kernel, &l.config, &l.log, &f), 0);
	measure_explain(&w, &got.rtmr[2], 2, &l.log);
	assert_non_null(strstr(text, "command line"));
}

static void witness_has_the_known_bytes(void **state)
{
	struct tdvf t = { .n = 4,
			  .s = { { .type = TDVF_TEMP_MEM, .address = 0x810000, .size = 0x10000 },
				 { .type = TDVF_TEMP_MEM, .address = 0x80b000, .size = 0x2000 },
				 { .type = TDVF_TD_HOB, .address = 0x809000, .size = 0x2000 },
				 { .type = TDVF_TEMP_MEM, .address = 0x800000, .size = 0x6000 } } },
		    back;
	struct span want = hex("80100904000609020b021010");
	uint8_t out[64], a[48], b[48];
	struct wr w = wr_to(out, sizeof out);
	struct fault f = { 0 };

	(void)state;
	assert_int_equal(td_hob_witness_write(&w, &t), 0);
	assert_int_equal(w.n, want.n);
	assert_memory_equal(out, want.p, w.n);
	assert_int_equal(td_hob_witness_read(&back, want, &f), 0);
	assert_int_equal(measure_td_hob(a, &t, 2ull << 30, &f), 0);
	assert_int_equal(measure_td_hob(b, &back, 2ull << 30, &f), 0);
	assert_memory_equal(a, b, 48);
	assert_int_equal(measure_td_hob(a, &t, 0x810000, &f), -1);
}

static void derived_values_have_the_known_values(void **state)
{
	struct span mrtd = hex("f06dfda6dce1cf904d4e2bab1dc370634cf95cefa2ceb2de2eee127c9382698090d7a4a13e14c"
			       "536ec6c9c3c8fa87077");
	struct span regs = hex("68102e7b524af310f7b7d426ce75481e36c40f5d513a9009c046e9d37e31551f0134d954b496a"
			       "3357fd61d03f07ffe96"
			       "a7b523278d4f914ee8df0ec80cd1c3d498cbf1152b0c5eaf65bad9425072874a3fcf891e8b017"
			       "13d3d9937e3e0d26c15"
			       "dbf4924c07f5066f3dc6859844184344306aa3263817153dcaee85af97d23e0c0b96efe0731d8"
			       "865a8747e51b9e351ac"
			       "5e7d8d84317343d28d73031d0be3c75f25facb1b20c9835a44582b8b0115de1acfe2d19350437"
			       "dbd63846bcc5d7bf328");
	struct span want = hex("52f6d7ccbee1bfa870709e8ff489e016e2e5c25a157b7e22ef1ea68fce763694");
	uint8_t rtmr[4][48], zero[48] = { 0 }, config[48], out[32];

	(void)state;
	memcpy(rtmr, regs.p, sizeof rtmr);
	mr_config_id_v1(config, hex("e631a04a5d068c0e5ffd8ca60d6574ac99a18bdaf0417d129d0c4ac52244d40f").p);
	measure_mr_aggregated(out, mrtd.p, (const uint8_t(*)[48])rtmr, rtmr[3], config, zero, zero);
	assert_memory_equal(out, want.p, 32);
	// the key provider of that machine: the one of the envelope in sdk-simulator
	static struct event runtime[64];
	struct envelope env = { .log = { store, 0, 512 }, .runtime = { runtime, 0, 64 } };
	struct wr s = wr_to(scratch, sizeof scratch);
	struct app_events app;
	struct fault f = { 0 };

	assert_int_equal(envelope_read(&env, &s, load("real/dstack/sdk-simulator/attestation.bin"), &f), 0);
	assert_int_equal(app_events_read(&app, &env.runtime, &f), 0);
	want = hex("145010fa227e6c2537ad957c64e4a8486fcbfd8265ddfb359168b59afcff1d05");
	measure_mr_system(out, mrtd.p, (const uint8_t(*)[48])rtmr, app.key_provider);
	assert_memory_equal(out, want.p, 32);
	measure_mr_system(out, mrtd.p, (const uint8_t(*)[48])rtmr, (struct span){ 0 });
	assert_memory_not_equal(out, want.p, 32);
}

struct soft {
	const char *file;
	uint64_t memory;
	const char *kernel; // Authenticode digest computed from Debian's kernel file for this memory size
};

static const struct soft recorded[] = {
	{ "soft/tpm-1024.bin", 1024ull << 20,
	  "0c88d8e3e588a662390b597981b40c59c2c3ab1272720613431a13a889aca79b2773ef4c17a9d5e8d46d7264d4c9214"
	  "a" },
	{ "soft/tpm-2560.bin", 2560ull << 20,
	  "cc4462ee784c11445b9f23b02175bf0829a0a35e703fdad594d302af6ae12419d0f068d0bbf1a19368fc7a4c6c5cf5d"
	  "a" },
	{ "soft/tpm-3072-2cpu.bin", 3072ull << 20,
	  "7ecdb6cc60c09d19a787dc73e2aedb56ac4233946fbdedb60c2623afff61f3d7f717d8c91937c41114de1e6ac5fc7a7"
	  "8" },
};

static void registers_of_the_software_tee_equal_its_logs(void **state)
{
	struct span initrd = hex("4dd8178e00e0b6d4170a7bb4f1ee10e1eaf090c542d0ef8154bb1cc094414bff"
				 "0a04fcc61bb8015c1bca8a14d33971be");
	struct fault f = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof recorded / sizeof *recorded; i++) {
		struct vm_config c = { .profile = MEASURE_SOFT, .memory_size = recorded[i].memory };
		struct eventlog log = { store, 0, 512 };
		struct measurement_tdx m = { 0 };
		struct measured want;
		uint8_t rtmr[4][48];
		char text[300] = { 0 };
		struct wr w = wr_to(text, sizeof text - 1);

		measure_cmdline(m.cmdline, span_str("console=ttyS0 panic=-1 quiet"));
		memcpy(m.initrd, initrd.p, 48);
		assert_int_equal(eventlog_read_tpm(&log, load(recorded[i].file), &f), 0);
		eventlog_name_acpi(&log, true);
		assert_int_equal(eventlog_replay(rtmr, &log, &f), 0);
		assert_int_equal(measure_expect(&want, &m, hex(recorded[i].kernel).p, &c, &log, &f), 0);
		for (uint32_t k = 0; k < 3; k++) {
			measure_explain(&w, &want.rtmr[k], k, &log);
			if (memcmp(want.rtmr[k].value, rtmr[k], 48))
				fail_msg("register %u: %s", k, text);
		}
		// The same events in a TD have other counts: the profiles cannot be mistaken for each other.
		c.profile = MEASURE_TDX;
		assert_int_equal(measure_expect(&want, &m, m.kernel, &c, &log, &f), -1);
		assert_string_equal(f.code, "measure.acpi");
	}
}

static void manifests_that_read_two_ways_are_refused(void **state)
{
	static const char hash[] = "8c9e955f0b577cc8945a891a34ccfa5b8e08bb5e5d249992603e64dd14870e3c";
	static const char *const bad[] = {
		"%s  a\n%s  a\n", "%s  ../a\n", "%s  /a\n", "%s  a\r\n", "%s a\n",
		"%s *a\n",        "\n",         "%s  \n",   "X%s  a\n",  "%s  .a\n",
	};
	char text[400];
	uint8_t out[32];
	struct fault f = { 0 };

	(void)state;
	snprintf(text, sizeof text, "%s  a\n%s  b", hash, hash);
	assert_int_equal(image_checksum(out, span_str(text), "b", &f), 0);
	assert_int_equal(image_checksum(out, span_str(text), "c", &f), -1);
	assert_string_equal(f.code, "image.unlisted");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) { // EL-14
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, sizeof text, bad[i], hash, hash);
#pragma GCC diagnostic pop
		assert_int_equal(image_checksum(out, span_str(text), "a", &f), -1);
		assert_string_equal(f.code, "image.manifest");
	}
	assert_int_equal(image_checksum(out, span_of("a\0b", 3), "a", &f), -1);
}

static void put32(uint8_t *p, uint32_t v)
{
	struct wr w = wr_to(p, 4);

	wr_le32(&w, v);
}

// A small bzImage with two sections out of order, an odd size and no certificates.
static void kernel_hash_covers_what_it_must(void **state)
{
	static uint8_t k[0x1203];
	uint8_t a[48], b[48];
	struct fault f = { 0 };
	struct span s = span_of(k, sizeof k);

	(void)state;
	for (size_t i = 0; i < sizeof k; i++)
		k[i] = (uint8_t)(i * 7);
	put32(k + 0x3c, 0x80);
	put32(k + 0x80, 0x4550);
	put32(k + 0x84, 2 << 16 | 0x8664);
	put32(k + 0x94, 0xa0);
	put32(k + 0x98, 0x20b);
	put32(k + 0x98 + 60, 0x400);
	put32(k + 0x98 + 108, 6);
	memset(k + 0x98 + 112, 0, 48);
	put32(k + 0x138 + 16, 0x800);
	put32(k + 0x138 + 20, 0x800);
	put32(k + 0x160 + 16, 0x400);
	put32(k + 0x160 + 20, 0x400);
	put32(k + 0x202, 0x53726448);
	put32(k + 0x206, 0x20f);
	k[0x211] = 1;
	put32(k + 0x22c, 0x7fffffff);
	k[0x236] = 0;
	if (measure_kernel(a, s, 5000, 1ull << 30, &f))
		fail_msg("%s", f.text);
	assert_int_equal(measure_kernel(b, s, 5000, 2ull << 30, &f), 0);
	assert_memory_not_equal(a, b, 48); // the initrd moves
	k[0x98 + 64] ^= 1;                 // checksum: not covered
	k[0x98 + 112 + 32] ^= 0;
	assert_int_equal(measure_kernel(b, s, 5000, 1ull << 30, &f), 0);
	assert_memory_equal(a, b, 48);
	k[sizeof k - 1] ^= 1; // trailing data: covered
	assert_int_equal(measure_kernel(b, s, 5000, 1ull << 30, &f), 0);
	assert_memory_not_equal(a, b, 48);
	assert_int_equal(measure_kernel(b, s, 1u << 31, 1ull << 30, &f), -1);
	for (size_t n = 0; n < sizeof k; n += 13)
		(void)measure_kernel(b, span_of(k, n), 1, 1ull << 30, &f);
}

static void machine_descriptions_are_checked(void **state)
{
	struct vm_config c;
	struct fault f = { 0 };
	bool two;

	(void)state;
	static const struct {
		const char *json;
		int ok;
	} cases[] = {
		{ "{}", 0 },
		{ "[]", -1 },
		{ "{\"qemu_version\":\"8.2\"}", -1 },
		{ "{\"qemu_version\":\"8.2.2.1\"}", -1 },
		{ "{\"memory_size\":-1}", -1 },
		{ "{\"os_image_hash\":\"00\"}", -1 },
		{ "{\"os_image_hash\":\"\"}", 0 },
		{ "{\"ovmf_variant\":\"other\"}", -1 },
		{ "{\"tdx_measurement\":{\"checksum_file\":\"=\"}}", -1 },
		{ "{\"memory_size\":1,\"memory_size\":2}", -1 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct wr s = wr_to(scratch, sizeof scratch);

		assert_int_equal(vm_config_read(&c, &s, span_str(cases[i].json), &f), cases[i].ok);
	}
	struct wr s = wr_to(scratch, sizeof scratch);

	assert_int_equal(
		vm_config_read(&c, &s, span_str("{\"qemu_version\":\"7.2.22\",\"tee\":\"soft\"}"), &f), 0);
	assert_int_equal(c.profile, MEASURE_SOFT);
	assert_int_equal(measure_two_pass(&two, &c, &f), 0);
	c.profile = MEASURE_TDX;
	assert_int_equal(measure_two_pass(&two, &c, &f), -1);
	c.qemu[0] = 8;
	assert_int_equal(measure_two_pass(&two, &c, &f), 0);
	assert_true(two);
	c.qemu[0] = 9;
	assert_int_equal(measure_two_pass(&two, &c, &f), 0);
	assert_false(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_of_a_td_equal_its_quote),
		cmocka_unit_test(measurement_file_is_written_as_it_was_read),
		cmocka_unit_test(first_difference_is_named),
		cmocka_unit_test(witness_has_the_known_bytes),
		cmocka_unit_test(derived_values_have_the_known_values),
		cmocka_unit_test(registers_of_the_software_tee_equal_its_logs),
		cmocka_unit_test(manifests_that_read_two_ways_are_refused),
		cmocka_unit_test(kernel_hash_covers_what_it_must),
		cmocka_unit_test(machine_descriptions_are_checked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
