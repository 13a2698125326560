// The expected side: computed from an image for a machine, or taken from the log of a good one.
#include "core/measure/explain.h"

enum { ACPI_MAX = 4 };

int explain_expect(struct measured *out, const struct measurement_tdx *m, const uint8_t kernel[MEASURE_LEN],
		   const struct vm_config *c, const struct eventlog *log, struct fault *f)
{
	static const uint8_t zeros[MEASURE_LEN];
	struct event acpi[ACPI_MAX];
	size_t want = c->profile == MEASURE_SOFT ? 4 : 3, n = 0;
	struct eventlog some = { acpi, want, ACPI_MAX };

	for (size_t i = 0; i < log->n && n < want; i++)
		if (event_is_acpi(&log->e[i]) && log->e[i].digest.n == MEASURE_LEN)
			acpi[n++] = log->e[i];
	for (; n < want; n++) // a digest that no event has: shown as missing
		acpi[n] = (struct event){ .type = 10,
					  .version = 1,
					  .payload = span_str("ACPI DATA"),
					  .digest = span_of(zeros, sizeof zeros) };
	return measure_expect(out, m, kernel, c, &some, f);
}

// Event types of the TCG log that a boot is known to have, by register.
static const struct expect_event kinds[] = {
	{ .type = 0x8000000b, .name = "TD HOB", .cause = "memory_size" },
	{ .type = 0x8000000a, .name = "CFV", .cause = "firmware" },
	{ .type = 0x80000001, .name = "EFI variable", .cause = "secure_boot" },
	{ .type = 0x80000002, .name = "boot variable", .cause = "boot_path" },
	{ .type = 0x80000003, .name = "kernel", .cause = "kernel" },
	{ .type = 0x80000007, .name = "EFI action", .cause = "boot_path" },
	{ .type = 0x800000e0, .name = "secure boot authority", .cause = "secure_boot" },
	{ .type = 4, .name = "separator", .cause = "boot_path" },
	{ .type = 13, .name = "boot loader command", .cause = "command_line" },
};

static void describe(struct expect_event *x, const struct event *e, size_t nth_acpi, size_t acpi,
		     size_t nth_tag)
{
	static const char *const plain[] = { "acpi-loader", "acpi-rsdp", "acpi-tables" };
	static const char *const with_tpm[] = { "acpi-loader", "acpi-rsdp", "acpi-tpmlog", "acpi-tables" };

	x->name = "event";
	x->cause = "boot_path";
	x->hint = "measured differently than on the machine of the expected log";
	x->type = e->type;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (kinds[i].type == e->type) {
			x->name = kinds[i].name;
			x->cause = kinds[i].cause;
		}
	if (event_is_acpi(e)) {
		x->cause = "acpi_tables";
		x->name = acpi == 4 && nth_acpi < 4 ? with_tpm[nth_acpi]
			  : nth_acpi < 3            ? plain[nth_acpi]
						    : "acpi";
	} else if (e->imr == 0 && e->type == 10) {
		x->name = "firmware setting";
		x->cause = "firmware";
	} else if (e->imr == 2 &&
		   e->type == 6) { // the kernel's EFI stub: first the command line, then the initrd
		x->name = nth_tag ? "initrd" : "command line";
		x->cause = nth_tag ? "initrd" : "command_line";
		x->hint = nth_tag ? "another initrd" : "another kernel command line";
	}
}

int explain_reference(struct measured *out, const struct eventlog *log, struct fault *f)
{
	size_t acpi = 0, nth_acpi = 0, tags = 0;

	*out = (struct measured){ 0 };
	for (size_t i = 0; i < log->n; i++)
		acpi += event_is_acpi(&log->e[i]);
	for (size_t i = 0; i < log->n; i++) {
		const struct event *e = &log->e[i];
		struct expect *x = &out->rtmr[e->imr < 3 ? e->imr : 0];

		if (e->imr > 2)
			continue;
		if (x->n == EXPECT_MAX)
			return fault_set(f, "events.limit",
					 "expected log has more events than can be aligned", i);
		if (e->digest.n != MEASURE_LEN)
			return fault_set(f, "events.digest", "boot event has no SHA-384 digest", i);
		struct expect_event *to = &x->e[x->n++];

		*to = (struct expect_event){ 0 };
		describe(to, e, nth_acpi, acpi, tags);
		nth_acpi += event_is_acpi(e);
		tags += e->imr == 2 && e->type == 6;
		for (size_t k = 0; k < MEASURE_LEN; k++)
			to->digest[k] = e->digest.p[k];
		register_extend(x->value, to->digest);
	}
	return 0;
}
