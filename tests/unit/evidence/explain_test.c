// explain: each cause is brought about on purpose, in a real TD's log and in recorded ones of the software
// TEE, and must be named; an inserted or missing event at any place is one difference, at that place.
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

static void nothing_differs_where_all_is_well(void **state)
{
	struct explain x;
	struct td t;

	(void)state;
	read_td(&t);
	explain_td(&x, &t);
	assert_int_equal(x.n, 0);
	assert_true(x.boot && x.mrtd && x.acpi_taken);
}

static void memory_size_is_named_with_its_value(void **state)
{
	static const uint64_t gib[] = { 3, 4, 8, 64, 768, 2048 };
	static uint8_t hob[MEASURE_LEN];
	struct explain x;
	struct td t;
	struct fault f;
	char want[64];

	(void)state;
	for (size_t i = 0; i < sizeof gib / sizeof *gib; i++) {
		read_td(&t); // the log's machine has 2 GiB, expected are others
		t.config.memory_size = gib[i] << 30;
		explain_td(&x, &t);
		snprintf(want, sizeof want, "has 2048 MiB of memory, expected were %llu MiB",
			 (unsigned long long)gib[i] << 10);
		assert_first(&x, "memory_size", 0, "TD HOB", want);
		assert_int_equal(x.n, 1);
		read_td(&t); // the log is of another machine
		assert_int_equal(measure_td_hob(hob, &t.m.hob, gib[i] << 30, &f), 0);
		nth(&t.log, 0, 0)->digest = span_of(hob, sizeof hob);
		explain_td(&x, &t);
		snprintf(want, sizeof want, "has %llu MiB of memory, expected were 2048 MiB",
			 (unsigned long long)gib[i] << 10);
		assert_first(&x, "memory_size", 0, "TD HOB", want);
	}
}

static const uint8_t other[MEASURE_LEN] = { 0xab, 0xcd };

// Put another digest in the place of the nth event of a register: that cause and that event are named.
static void altered(uint32_t imr, size_t n, const char *cause, const char *name)
{
	struct explain x;
	struct td t;

	read_td(&t);
	nth(&t.log, imr, n)->digest = span_of(other, sizeof other);
	explain_td(&x, &t);
	assert_first(&x, cause, imr, name, "");
	assert_int_equal(x.n, 1);
	assert_int_equal(x.d[0].kind, EXPLAIN_CHANGED);
	assert_int_equal(x.d[0].want_at, n + 1);
	assert_int_equal(x.d[0].got_at, n + 1);
	assert_true(strlen(x.d[0].text) > 10);
}

static void each_altered_event_names_its_cause(void **state)
{
	(void)state;
	altered(0, 0, "firmware", "TD HOB"); // no memory size gives it
	altered(0, 1, "firmware", "CFV");
	altered(0, 2, "secure_boot", "SecureBoot");
	altered(0, 5, "secure_boot", "db");
	altered(0, 11, "boot_path", "BootOrder");
	altered(1, 0, "kernel", "kernel");
	altered(1, 1, "boot_path", "boot option");
	altered(2, 0, "command_line", "command line");
	altered(2, 1, "initrd", "initrd");
}

// Below 2.75 GiB the kernel's digest goes with the memory, too.
static void memory_shows_in_the_kernels_header_too(void **state)
{
	static uint8_t hob[MEASURE_LEN];
	char text[4096] = { 0 };
	struct wr w = wr_to(text, sizeof text - 1);
	struct explain x;
	struct td t;
	struct fault f = { 0 };

	(void)state;
	read_td(&t);
	assert_int_equal(measure_td_hob(hob, &t.m.hob, 1ull << 30, &f), 0);
	nth(&t.log, 0, 0)->digest = span_of(hob, sizeof hob);
	nth(&t.log, 1, 0)->digest = span_of(other, sizeof other);
	memcpy(t.mrtd, other, MEASURE_LEN);
	explain_td(&x, &t);
	assert_int_equal(x.n, 3);
	assert_string_equal(x.d[1].cause, "memory_size");
	assert_string_equal(x.d[2].cause, "memory_size");
	explain_text(&w, &x);
	assert_non_null(strstr(text, "first  mrtd differs"));
	assert_non_null(strstr(text, "then   rtmr1 event 1 (kernel)"));
	t.m.hob.s[0].size = 0; // firmware that no TD HOB can be made of is no reason to give up
	t.m.hob.n = 0;
	struct explain_facts facts = { .m = &t.m, .expected = &t.config };
	struct measured want = { 0 };

	explain_logs(&x, &want, &t.log, &facts);
	assert_true(x.n > EXPLAIN_MAX);
}

static void an_initrd_shows_in_the_kernels_header_too(void **state)
{
	struct explain x;
	struct td t;

	(void)state;
	read_td(&t);
	nth(&t.log, 1, 0)->digest = nth(&t.log, 2, 1)->digest = span_of(other, sizeof other);
	explain_td(&x, &t);
	assert_int_equal(x.n, 2);
	assert_first(&x, "initrd", 1, "kernel", "initrd is another one");
	assert_string_equal(x.d[1].cause, "initrd");
}

static void firmware_and_page_order_show_in_mrtd(void **state)
{
	struct explain x;
	struct td t;

	(void)state;
	read_td(&t);
	memcpy(t.mrtd, t.m.mrtd_single, MEASURE_LEN);
	explain_td(&x, &t);
	assert_first(&x, "page_order", EXPLAIN_MRTD, "firmware", "qemu_version");
	t.config.qemu[0] = 9;
	memcpy(t.mrtd, t.m.mrtd_two, MEASURE_LEN);
	explain_td(&x, &t);
	assert_first(&x, "page_order", EXPLAIN_MRTD, "firmware", "qemu_version");
	memcpy(t.mrtd, other, MEASURE_LEN);
	explain_td(&x, &t);
	assert_first(&x, "firmware", EXPLAIN_MRTD, "firmware", "another firmware");
}

static size_t place(const struct eventlog *log, size_t at) // in its register, from 1
{
	size_t n = 1;

	for (size_t i = 0; i < at; i++)
		n += log->e[i].imr == log->e[at].imr;
	return n;
}

static void one_event_more_is_one_difference(void **state)
{
	struct explain x;
	struct td t;

	(void)state;
	read_td(&t);
	for (size_t at = 0; at <= 20; at++) // behind the boot events come those of register 3
		for (uint32_t imr = 0; imr < 3; imr++) {
			static const uint32_t types[] = { 10, 0x80000003, 6, 4, 0x80000007 };

			for (size_t k = 0; k < 5; k++) {
				read_td(&t);
				insert(&t.log, at,
				       (struct event){ .imr = imr,
						       .type = types[k],
						       .version = 1,
						       .digest = span_of(other, sizeof other) });
				explain_td(&x, &t);
				assert_int_equal(x.n, 1);
				assert_int_equal(x.d[0].imr, imr);
				assert_int_equal(x.d[0].kind, EXPLAIN_EXTRA);
				assert_int_equal(x.d[0].got_at, place(&t.log, at));
				assert_string_equal(x.d[0].cause, types[k] == 0x80000003 ? "boot_path"
								  : imr == 0             ? "firmware"
											 : "boot_path");
			}
		}
}

static void one_event_less_is_one_difference(void **state)
{
	struct explain x;
	struct td t;

	(void)state;
	for (size_t at = 0; at < 20; at++) {
		read_td(&t);
		uint32_t imr = t.log.e[at].imr;
		size_t was = place(&t.log, at);
		bool acpi = event_is_acpi(&t.log.e[at]);

		memmove(t.log.e + at, t.log.e + at + 1, (t.log.n - at - 1) * sizeof *t.log.e);
		t.log.n--;
		explain_td(&x, &t);
		assert_int_equal(x.n, 1);
		assert_int_equal(x.d[0].imr, imr);
		assert_int_equal(x.d[0].kind, EXPLAIN_MISSING);
		assert_string_equal(x.d[0].cause, "missing");
		if (!acpi) // the three have no expected digests of their own
			assert_int_equal(x.d[0].want_at, was);
	}
}

static void events_that_changed_places(void **state)
{
	struct explain x;
	struct td t;
	struct event e;

	(void)state;
	read_td(&t); // command line and initrd, of one type
	e = *nth(&t.log, 2, 0);
	*nth(&t.log, 2, 0) = *nth(&t.log, 2, 1);
	*nth(&t.log, 2, 1) = e;
	explain_td(&x, &t);
	assert_int_equal(x.n, 2);
	assert_first(&x, "order", 2, "command line", "another order");
	read_td(&t); // kernel and boot option, of two types
	e = *nth(&t.log, 1, 0);
	*nth(&t.log, 1, 0) = *nth(&t.log, 1, 1);
	*nth(&t.log, 1, 1) = e;
	explain_td(&x, &t);
	assert_int_equal(x.n, 2);
	assert_string_equal(x.d[0].cause, "order");
	assert_string_equal(x.d[1].cause, "order");
}

static void a_stripped_log_is_not_compared(void **state)
{
	struct explain x;
	struct td t;
	size_t n = 0;
	char text[512];
	struct wr w = wr_to(text, sizeof text);

	(void)state;
	read_td(&t);
	for (size_t i = 0; i < t.log.n; i++)
		if (t.log.e[i].imr == 3 || event_is_acpi(&t.log.e[i]))
			t.log.e[n++] = t.log.e[i];
	t.log.n = n;
	explain_td(&x, &t);
	assert_int_equal(x.n, 0);
	assert_false(x.boot);
	explain_text(&w, &x);
	assert_non_null(strstr((const char *)text, "lost its boot events"));
}

// Real logs of machines that differ in memory, CPUs and devices.
static void logs_of_two_machines(void **state)
{
	static const char one[] = "soft/tpm-1024.bin", two[] = "soft/tpm-2560.bin",
			  three[] = "soft/tpm-3072-2cpu.bin";
	struct vm_config a = { .cpu_count = 1, .memory_size = 1ull << 30, .num_nics = 1 }, b = a;
	struct explain_facts none = { 0 }, facts = { .expected = &a, .actual = &b };
	struct explain x;

	(void)state;
	explain_soft(&x, one, one, &none);
	assert_int_equal(x.n, 0);
	explain_soft(&x, one, two, &none);
	assert_first(&x, "memory_size", 0, "acpi-tables", "another memory size");
	assert_string_equal(x.d[1].cause, "memory_size");
	assert_int_equal(x.n, 2);
	explain_soft(&x, one, three, &none);
	assert_first(&x, "acpi_tables", 0, "acpi-loader", "CPU count");
	b.cpu_count = 2;
	explain_soft(&x, one, three, &facts);
	assert_first(&x, "cpu_count", 0, "acpi-loader", "has 2 CPUs, expected were 1");
	b.memory_size = 3ull << 30;
	explain_soft(&x, one, three, &facts);
	assert_first(&x, "memory_size", 0, "acpi-loader", "has 3072 MiB");
	b = a;
	b.num_nics = 2;
	explain_soft(&x, one, three, &facts);
	assert_first(&x, "devices", 0, "acpi-loader", "devices");
	b = a;
	b.qemu[0] = 8;
	explain_soft(&x, one, three, &facts);
	assert_first(&x, "qemu_version", 0, "acpi-loader", "QEMU");
	assert_string_equal(x.d[3].cause, "header_patch"); // the kernel's, by the same reason
}

// One machine booted again and again, each time with one thing changed (QEMU 7.2, Debian 13's OVMF and
// kernel).
static void recorded_boots_name_what_was_changed(void **state)
{
	static const struct {
		const char *file, *cause, *name;
		unsigned imr;
		size_t n;
	} boots[] = {
		{ "soft/boot-base.bin", NULL, NULL, 0, 0 },
		{ "soft/boot-cpu2.bin", "acpi_tables", "acpi-loader", 0, 3 },
		{ "soft/boot-net.bin", "acpi_tables", "acpi-loader", 0, 3 },
		{ "soft/boot-mem2048.bin", "memory_size", "acpi-tables", 0, 2 },
		{ "soft/boot-mem4096.bin", "memory_size", "acpi-tables", 0, 2 },
		{ "soft/boot-cmdline.bin", "command_line", "command line", 2, 1 },
		{ "soft/boot-initrd.bin", "initrd", "initrd", 2, 1 },
		{ "soft/boot-initrd-size.bin", "initrd", "kernel", 1, 2 },
	};
	struct vm_config a = { .cpu_count = 1, .memory_size = 1ull << 30, .num_nics = 1 }, b = a;
	struct explain_facts none = { 0 }, facts = { .expected = &a, .actual = &b };
	struct explain x;

	(void)state;
	for (size_t i = 0; i < sizeof boots / sizeof *boots; i++) {
		explain_soft(&x, "soft/boot-base.bin", boots[i].file, &none);
		assert_int_equal(x.n, boots[i].n);
		if (x.n)
			assert_first(&x, boots[i].cause, boots[i].imr, boots[i].name, "");
	}
	b.cpu_count = 2;
	explain_soft(&x, "soft/boot-base.bin", "soft/boot-cpu2.bin", &facts);
	assert_first(&x, "cpu_count", 0, "acpi-loader", "has 2 CPUs, expected were 1");
	b = a;
	b.num_nics = 2;
	explain_soft(&x, "soft/boot-base.bin", "soft/boot-net.bin", &facts);
	assert_first(&x, "devices", 0, "acpi-loader", "devices");
}

// Another boot path altogether: a boot loader between firmware and kernel.
static void a_boot_loader_is_seen(void **state)
{
	struct eventlog a = { store, 0, 512 }, b = { store2, 0, 512 };
	struct explain_facts none = { 0 };
	struct measured want;
	struct explain x;
	struct fault f = { 0 };

	(void)state;
	assert_int_equal(
		eventlog_read_ccel(&a, load("real/trustee/deps/eventlog/test_data/CCEL_data_ovmf"), &f), 0);
	assert_int_equal(
		eventlog_read_ccel(&b, load("real/trustee/deps/eventlog/test_data/CCEL_data_grub"), &f), 0);
	assert_int_equal(explain_reference(&want, &a, &f), 0);
	explain_logs(&x, &want, &b, &none);
	assert_first(&x, "memory_size", 0, "TD HOB", "memory");
	bool loader = false;

	for (size_t i = 0; i < x.n && i < EXPLAIN_MAX; i++)
		loader |= !strcmp(x.d[i].name, "another image") && !strcmp(x.d[i].cause, "boot_path");
	assert_true(x.n > 10);
	assert_true(loader || x.n > EXPLAIN_MAX);
}

static void put32(uint8_t *p, uint32_t v)
{
	struct wr w = wr_to(p, 4);

	wr_le32(&w, v);
}

// A small bzImage, for the hypotheses that need the file.
static struct span small_kernel(void)
{
	static uint8_t k[0x1200];

	put32(k + 0x3c, 0x80);
	put32(k + 0x80, 0x4550);
	put32(k + 0x84, 1 << 16 | 0x8664);
	put32(k + 0x94, 0xa0);
	put32(k + 0x98, 0x20b);
	put32(k + 0x98 + 60, 0x400);
	put32(k + 0x98 + 108, 6);
	put32(k + 0x138 + 16, 0x800);
	put32(k + 0x138 + 20, 0x400);
	put32(k + 0x202, 0x53726448);
	put32(k + 0x206, 0x20f);
	k[0x211] = 1;
	put32(k + 0x22c, 0x7fffffff);
	return span_of(k, sizeof k);
}

static void the_kernel_file_tells_more(void **state)
{
	static uint8_t got[MEASURE_LEN];
	uint8_t expected[MEASURE_LEN];
	struct explain_facts facts = { 0 };
	struct measured want;
	struct explain x;
	struct td t;
	struct fault f = { 0 };

	(void)state;
	read_td(&t);
	facts = (struct explain_facts){
		.m = &t.m, .expected = &t.config, .kernel = small_kernel(), .initrd_size = 5000
	};
	assert_int_equal(measure_kernel(expected, facts.kernel, 5000, t.config.memory_size, &f), 0);
	assert_int_equal(explain_expect(&want, &t.m, expected, &t.config, &t.log, &f), 0);
	nth(&t.log, 1, 0)->digest = span_of(got, sizeof got);
	assert_int_equal(measure_pe(got, facts.kernel, &f), 0);
	explain_logs(&x, &want, &t.log, &facts);
	assert_first(&x, "header_patch", 1, "kernel", "setup header");
	assert_int_equal(measure_kernel(got, facts.kernel, 5000, 1024ull << 20, &f), 0);
	explain_logs(&x, &want, &t.log, &facts);
	assert_first(&x, "memory_size", 1, "kernel", "has 1024 MiB of memory, expected were 2048 MiB");
	// At 2 GiB and from 2.75 GiB on it is one and the same; expected is that of 1 GiB.
	assert_int_equal(measure_kernel(expected, facts.kernel, 5000, 1ull << 30, &f), 0);
	assert_int_equal(explain_expect(&want, &t.m, expected, &t.config, &t.log, &f), 0);
	t.config.memory_size = 1ull << 30;
	assert_int_equal(measure_kernel(got, facts.kernel, 5000, 8ull << 30, &f), 0);
	explain_logs(&x, &want, &t.log, &facts);
	assert_first(&x, "memory_size", 1, "kernel",
		     "2048 MiB of memory, or 2816 or more; expected were 1024 MiB");
	got[0] ^= 1;
	explain_logs(&x, &want, &t.log, &facts);
	assert_first(&x, "kernel", 1, "kernel", "another kernel");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_differs_where_all_is_well),
		cmocka_unit_test(memory_size_is_named_with_its_value),
		cmocka_unit_test(each_altered_event_names_its_cause),
		cmocka_unit_test(memory_shows_in_the_kernels_header_too),
		cmocka_unit_test(an_initrd_shows_in_the_kernels_header_too),
		cmocka_unit_test(firmware_and_page_order_show_in_mrtd),
		cmocka_unit_test(one_event_more_is_one_difference),
		cmocka_unit_test(one_event_less_is_one_difference),
		cmocka_unit_test(events_that_changed_places),
		cmocka_unit_test(a_stripped_log_is_not_compared),
		cmocka_unit_test(logs_of_two_machines),
		cmocka_unit_test(recorded_boots_name_what_was_changed),
		cmocka_unit_test(a_boot_loader_is_seen),
		cmocka_unit_test(the_kernel_file_tells_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
