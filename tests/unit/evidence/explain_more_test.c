// explain: its JSON and its sentences, bounds on hostile logs, the software TEE, references made from a log.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/codec/json.h"
#include "core/measure/explain.h"
#include "explain_fixture.h"
#include "load.h"

static struct event store[512], store2[512];
static const uint8_t other[MEASURE_LEN] = { 0xab, 0xcd };

static void both_forms_say_the_same(void **state)
{
	char text[16384] = { 0 };
	struct wr w = wr_to(text, sizeof text - 1);
	struct json root, v, first;
	struct explain x;
	struct td t;
	bool yes;

	(void)state;
	read_td(&t);
	explain_td(&x, &t);
	explain_json(&w, &x);
	assert_int_equal(json_parse(&root, span_of(text, w.n), NULL), 0);
	assert_true(json_get(root, "equal", &v) && !json_bool(v, &yes) && yes);
	t.log.e[0].digest = span_of(other, sizeof other);
	t.log.n = 10; // everything behind it is missing
	explain_td(&x, &t);
	assert_int_equal(x.n, 11);
	w = wr_to(text, sizeof text - 1);
	explain_json(&w, &x);
	assert_int_equal(json_parse(&root, span_of(text, w.n), NULL), 0);
	assert_true(json_get(root, "equal", &v) && !json_bool(v, &yes) && !yes);
	assert_true(json_get(root, "first", &first) && json_get(first, "event", &v) && json_is(v, "TD HOB"));
	assert_true(json_get(first, "cause", &v) && json_is(v, "firmware"));
	assert_true(json_get(root, "differences", &v));
	assert_int_equal(json_count(v), 11);
	w = wr_to(text, sizeof text - 1);
	explain_text(&w, &x);
	assert_false(w.bad);
	text[w.n] = 0;
	assert_non_null(strstr(text, "first  rtmr0 event 1 (TD HOB)"));
	assert_non_null(strstr(text, "cause: firmware"));
}

static void hostile_logs_are_bounded(void **state)
{
	static struct event many[EVENTLOG_MAX];
	struct explain x;
	struct measured want;
	struct td t;
	struct fault f = { 0 };

	(void)state;
	read_td(&t);
	for (size_t i = 0; i < EVENTLOG_MAX; i++)
		many[i] = (struct event){ .imr = (uint32_t)i % 4,
					  .type = (uint32_t)i % 7,
					  .version = 1,
					  .digest = span_of(other, i % 3 ? MEASURE_LEN : 0) };
	t.log = (struct eventlog){ many, EVENTLOG_MAX, EVENTLOG_MAX };
	explain_td(&x, &t);
	assert_true(x.n > EXPLAIN_MAX);
	assert_int_equal(explain_reference(&want, &t.log, &f), -1);
	t.log.n = 0;
	explain_td(&x, &t);
	assert_false(x.boot);
}

// Any difference of the two machines' descriptions that shows in ACPI tables alone.
static void every_device_setting_counts(void **state)
{
	static const char one[] = "soft/tpm-1024.bin", three[] = "soft/tpm-3072-2cpu.bin";
	const struct vm_config base = {
		.cpu_count = 1, .memory_size = 1ull << 30, .num_nics = 1, .qemu = { 9, 1, 0 }
	};
	const struct {
		struct vm_config c;
		const char *cause;
	} others[] = {
		{ { .num_gpus = 1 }, "devices" },
		{ { .num_nvswitches = 1 }, "devices" },
		{ { .num_verity_volumes = 1 }, "devices" },
		{ { .pci_hole64_size = 1 }, "devices" },
		{ { .hugepages = true }, "devices" },
		{ { .hotplug_off = true }, "devices" },
		{ { .qemu = { 9, 2, 0 } }, "qemu_version" },
		{ { .qemu = { 9, 1, 1 } }, "qemu_version" },
		{ { .num_gpus = 0 }, "acpi_tables" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		struct vm_config got = others[i].c;
		struct explain_facts facts = { .expected = &base, .actual = &got };
		struct explain x;

		got.cpu_count = base.cpu_count;
		got.memory_size = base.memory_size;
		got.num_nics = 1;
		if (!got.qemu[0])
			memcpy(got.qemu, base.qemu, sizeof got.qemu);
		explain_soft(&x, one, three, &facts);
		assert_string_equal(x.d[0].cause, others[i].cause);
	}
}

// Between two logs without more: what the ACPI events alone can say, and what an initrd hides.
static void acpi_tables_alone(void **state)
{
	struct explain_facts none = { 0 };
	struct eventlog a, b;
	struct measured want;
	struct explain x;
	struct fault f = { 0 };

	(void)state;
	read_soft(&a, store, "soft/tpm-1024.bin");
	read_soft(&b, store2, "soft/tpm-1024.bin");
	nth(&b, 0, 9)->digest = span_of(other, sizeof other); // acpi-tables
	assert_int_equal(explain_reference(&want, &a, &f), 0);
	explain_logs(&x, &want, &b, &none);
	assert_first(&x, "acpi_tables", 0, "acpi-tables", "memory size, CPU count");
	nth(&b, 1, 0)->digest = nth(&b, 2, 1)->digest = span_of(other, sizeof other); // kernel and initrd
	explain_logs(&x, &want, &b, &none);
	assert_first(&x, "acpi_tables", 0, "acpi-tables", "memory size, CPU count");
	assert_string_equal(x.d[1].cause, "initrd");
	nth(&b, 0, 8)->digest =
		span_of(other, sizeof other); // the TPM log area has nothing to do with the machine
	explain_logs(&x, &want, &b, &none);
	assert_string_equal(x.d[0].name, "acpi-tpmlog");
	assert_string_equal(x.d[0].cause, "acpi_tables");
}

static void the_software_tee_is_computed_too(void **state)
{
	struct vm_config c = { .profile = MEASURE_SOFT, .memory_size = 1ull << 30 };
	struct span kernel = hex("0c88d8e3e588a662390b597981b40c59c2c3ab1272720613431a13a889aca79b"
				 "2773ef4c17a9d5e8d46d7264d4c9214a");
	struct span initrd = hex("4dd8178e00e0b6d4170a7bb4f1ee10e1eaf090c542d0ef8154bb1cc094414bff"
				 "0a04fcc61bb8015c1bca8a14d33971be");
	struct measurement_tdx m = { 0 };
	struct explain_facts facts = { .m = &m, .expected = &c };
	struct measured want;
	struct eventlog log;
	struct explain x;
	struct fault f = { 0 };

	(void)state;
	measure_cmdline(m.cmdline, span_str("console=ttyS0 panic=-1 quiet"));
	memcpy(m.initrd, initrd.p, 48);
	read_soft(&log, store, "soft/tpm-1024.bin");
	assert_int_equal(explain_expect(&want, &m, kernel.p, &c, &log, &f), 0);
	explain_logs(&x, &want, &log, &facts);
	assert_int_equal(x.n, 0);
	assert_false(x.mrtd);
	nth(&log, 0, 7)->digest.n = 20; // an ACPI event of another bank does not count
	assert_int_equal(explain_expect(&want, &m, kernel.p, &c, &log, &f), 0);
	explain_logs(&x, &want, &log, &facts);
	assert_true(x.n > 0);
	c.profile = MEASURE_TDX; // what cannot be computed is said
	c.qemu[0] = 7;
	assert_int_equal(explain_expect(&want, &m, kernel.p, &c, &log, &f), -1);
	assert_string_equal(f.code, "measure.qemu");
}

static void names_of_a_reference(void **state)
{
	static uint8_t digest[48];
	struct event e[40];
	struct eventlog log = { e, 0, 40 };
	struct measured want;
	struct fault f = { 0 };
	const struct {
		uint32_t imr, type;
		const char *payload, *name;
	} known[] = {
		{ 0, 10, "BootMenu", "firmware setting" },
		{ 0, 10, "ACPI DATA", "acpi-loader" },
		{ 0, 10, "ACPI DATA", "acpi-rsdp" },
		{ 0, 10, "ACPI DATA", "acpi-tables" },
		{ 0, 0x800000e0, "", "secure boot authority" },
		{ 0, 99, "", "event" },
		{ 2, 6, "", "command line" },
		{ 2, 6, "", "initrd" },
		{ 2, 13, "", "boot loader command" },
		{ 1, 6, "", "event" },
	};

	(void)state;
	for (; log.n < sizeof known / sizeof *known; log.n++)
		e[log.n] = (struct event){ .imr = known[log.n].imr,
					   .type = known[log.n].type,
					   .version = 1,
					   .payload = span_str(known[log.n].payload),
					   .digest = span_of(digest, 48) };
	e[log.n++] = event_runtime(span_str("app-id"), span_str(""), 1); // not of the boot
	assert_int_equal(explain_reference(&want, &log, &f), 0);
	size_t at[3] = { 0 };

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		assert_string_equal(want.rtmr[known[i].imr].e[at[known[i].imr]++].name, known[i].name);
	for (size_t i = 0; i < 5; i++) // more blobs than any machine has
		e[i] = e[1];
	log.n = 5;
	assert_int_equal(explain_reference(&want, &log, &f), 0);
	assert_string_equal(want.rtmr[0].e[4].name, "acpi");
	e[2].digest.n = 20;
	assert_int_equal(explain_reference(&want, &log, &f), -1);
	assert_string_equal(f.code, "events.digest");
	for (log.n = 0; log.n < EXPECT_MAX + 1; log.n++)
		e[log.n] = e[0];
	assert_int_equal(explain_reference(&want, &log, &f), -1);
	assert_string_equal(f.code, "events.limit");
}

static void a_line_for_a_verdict(void **state)
{
	char text[300] = { 0 };
	struct wr w = wr_to(text, sizeof text - 1);
	struct measured want;
	struct fault f = { 0 };
	struct td t;

	(void)state;
	read_td(&t);
	assert_int_equal(explain_expect(&want, &t.m, t.m.kernel, &t.config, &t.log, &f), 0);
	nth(&t.log, 1, 0)->digest = span_of(other, 4); // shorter than what is shown of it
	measure_explain(&w, &want.rtmr[1], 1, &t.log);
	assert_non_null(
		strstr(text, "event 1 (kernel) expected ac7e632dcf5cd2a1.. got abcd0000..: another kernel"));
	memset(text, 0, sizeof text);
	w = wr_to(text, sizeof text - 1);
	memmove(t.log.e, t.log.e + 1, --t.log.n * sizeof *t.log.e); // the TD HOB is gone
	measure_explain(&w, &want.rtmr[0], 0, &t.log);
	assert_non_null(strstr(text, "event 1 (TD HOB)"));
	assert_non_null(strstr(text, "missing"));
	memset(text, 0, sizeof text);
	w = wr_to(text, sizeof text - 1);
	insert(&t.log, 0, (struct event){ .imr = 2, .type = 4, .version = 1, .digest = span_of(other, 48) });
	measure_explain(&w, &want.rtmr[2], 2, &t.log);
	assert_non_null(strstr(text, "event 1 (separator) is one more than expected: abcd0000"));
	memset(text, 0, sizeof text);
	w = wr_to(text, sizeof text - 1);
	t.log.n = 0;
	measure_explain(&w, &want.rtmr[2], 2, &t.log);
	assert_int_equal(w.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_forms_say_the_same),
		cmocka_unit_test(hostile_logs_are_bounded),
		cmocka_unit_test(every_device_setting_counts),
		cmocka_unit_test(acpi_tables_alone),
		cmocka_unit_test(the_software_tee_is_computed_too),
		cmocka_unit_test(names_of_a_reference),
		cmocka_unit_test(a_line_for_a_verdict),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
