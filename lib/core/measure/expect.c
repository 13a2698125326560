// The extends that an image must cause, register by register, and where a log departs from them.
#include "core/hash/sha2.h"
#include "core/measure/measure.h"

static const uint8_t
	cfv_digest[MEASURE_LEN] = { // of the empty variable store, as the firmware measures it in a TD
		0x34, 0x4b, 0xc5, 0x1c, 0x98, 0x0b, 0xa6, 0x21, 0xaa, 0xa0, 0x0d, 0xa3,
		0xed, 0x74, 0x36, 0xf7, 0xd6, 0xe5, 0x49, 0x19, 0x7d, 0xfe, 0x69, 0x95,
		0x15, 0xdf, 0xa2, 0xc6, 0x58, 0x3d, 0x95, 0xe6, 0x41, 0x2a, 0xf2, 0x1c,
		0x09, 0x7d, 0x47, 0x31, 0x55, 0x87, 0x5f, 0xfd, 0x56, 0x1d, 0x67, 0x90
	};
static const uint8_t boot0000_digest[MEASURE_LEN] = { // the UiApp entry
	0x23, 0xad, 0xa0, 0x7f, 0x52, 0x61, 0xf1, 0x2f, 0x34, 0xa0, 0xbd, 0x8e, 0x46, 0x76, 0x09, 0x62,
	0xd6, 0xb4, 0xd5, 0x76, 0xa4, 0x16, 0xf1, 0xfe, 0xa1, 0xc6, 0x4b, 0xc6, 0x56, 0xb1, 0xd2, 0x8e,
	0xac, 0xf7, 0x04, 0x7a, 0xe6, 0xe9, 0x67, 0xc5, 0x8f, 0xd2, 0xa9, 0x8b, 0xfa, 0x74, 0xc2, 0x98
};

// What an event is of: its type in a TCG log, what changes it as a stable word and in words.
struct origin {
	uint32_t type;
	const char *cause, *hint;
};

static const struct origin
	from_memory = { 0x8000000b, "memory_size",
			"the memory size differs from vm_config, or the firmware from the image" },
	from_store = { 0x8000000a, "firmware", "the firmware's variable store is not empty" },
	from_variable = { 0x80000001, "secure_boot",
			  "secure boot variables are set, or a firmware other than the image's" },
	from_boot_variable = { 0x80000002, "boot_path",
			       "another firmware or boot path than that of the image" },
	from_path = { 0x80000007, "boot_path", "another firmware or boot path than that of the image" },
	from_separator = { 4, "boot_path", "another firmware or boot path than that of the image" },
	from_log = { 10, "acpi_tables", "taken from the log itself" },
	from_tpm_area = { 10, "acpi_tables", "the machine's TPM log area is not 64 KiB of zeros" },
	from_kernel = { 0x80000003, "kernel",
			"another kernel, initrd size, memory size or QEMU header patch than expected" },
	from_cmdline = { 6, "command_line", "another kernel command line than the image's" },
	from_initrd = { 6, "initrd", "another initrd than the image's" };

static void put(struct expect *x, const char *name, const struct origin *o, const uint8_t digest[MEASURE_LEN])
{
	struct expect_event *e = &x->e[x->n++]; // the longest register has 14

	*e = (struct expect_event){ .name = name, .cause = o->cause, .hint = o->hint, .type = o->type };
	for (size_t i = 0; i < MEASURE_LEN; i++)
		e->digest[i] = digest[i];
	register_extend(x->value, digest);
}

static void put_hash(struct expect *x, const char *name, const struct origin *o, const void *p, size_t n)
{
	uint8_t d[MEASURE_LEN];

	sha384(p, n, d);
	put(x, name, o, d);
}

static void put_text(struct expect *x, const char *name, const char *text)
{
	put_hash(x, name, &from_path, text, span_str(text).n);
}

static void put_separator(struct expect *x)
{
	static const uint8_t zeros[4];

	put_hash(x, "separator", &from_separator, zeros, sizeof zeros);
}

// An absent variable: GUID, u64 characters of the name, u64 0, name in UTF-16LE.
static void put_variable(struct expect *x, const char *name, const uint8_t guid[16])
{
	uint8_t data[64];
	struct wr w = wr_to(data, sizeof data);

	wr_put(&w, guid, 16);
	wr_le64(&w, span_str(name).n);
	wr_le64(&w, 0);
	for (const char *c = name; *c; c++)
		wr_le16(&w, (uint8_t)*c);
	put_hash(x, name, &from_variable, data, w.n);
}

static void put_variables(struct expect *x)
{
	static const uint8_t global[16] = { 0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11,
					    0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c };
	static const uint8_t security[16] = { 0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45,
					      0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f };

	put_variable(x, "SecureBoot", global);
	put_variable(x, "PK", global);
	put_variable(x, "KEK", global);
	put_variable(x, "db", security);
	put_variable(x, "dbx", security);
	put_separator(x);
}

// ACPI digests come from the log: exactly as many as the machine has blobs.
static int put_acpi(struct expect *x, const struct eventlog *log, bool tpm, struct fault *f)
{
	static const char *const names[] = { "acpi-loader", "acpi-rsdp", "acpi-tpmlog", "acpi-tables" };
	static const uint8_t blank[MEASURE_LEN] = {
		// SHA-384 of 64 KiB of zeros
		0x69, 0xfc, 0xa4, 0x69, 0x43, 0x11, 0x8a, 0x95, 0x2e, 0x4f, 0x16, 0x5e,
		0x12, 0x2a, 0x47, 0xf2, 0xb7, 0xb5, 0x33, 0x6f, 0xa8, 0xfa, 0x16, 0x74,
		0xa2, 0x64, 0x37, 0xd1, 0x83, 0xa7, 0xe9, 0x47, 0xf1, 0x5a, 0x4a, 0x0a,
		0xfa, 0xbe, 0xce, 0x6d, 0x6b, 0x28, 0xe3, 0xc8, 0x4f, 0x60, 0xfa, 0xc2
	};
	size_t seen = 0, want = tpm ? 4 : 3;

	for (size_t i = 0; i < log->n; i++) {
		const struct event *e = &log->e[i];

		if (!event_is_acpi(e))
			continue;
		if (seen == want || e->digest.n != MEASURE_LEN)
			return fault_set(f, "measure.acpi",
					 "log has more ACPI events than the machine has tables", i);
		size_t k = tpm || seen < 2 ? seen : 3;

		if (k == 2) // the firmware's TPM log area, still empty when it is measured
			put(x, names[k], &from_tpm_area, blank);
		else
			put(x, names[k], &from_log, e->digest.p);
		seen++;
	}
	if (seen != want)
		return fault_set(f, "measure.acpi", "log has fewer ACPI events than the machine has tables",
				 seen);
	return 0;
}

static int expect_rtmr0(struct expect *x, const struct measurement_tdx *m, const struct vm_config *c,
			const struct eventlog *log, struct fault *f)
{
	static const uint8_t zeros[2];
	uint8_t hob[MEASURE_LEN];
	bool soft = c->profile == MEASURE_SOFT;

	if (!soft) {
		if (measure_td_hob(hob, &m->hob, c->memory_size, f))
			return -1;
		put(x, "TD HOB", &from_memory, hob);
		put(x, "CFV", &from_store, cfv_digest);
	}
	put_variables(x);
	if (put_acpi(x, log, soft, f))
		return -1;
	put_hash(x, "BootOrder", &from_boot_variable, zeros, sizeof zeros);
	put(x, "Boot0000", &from_boot_variable, boot0000_digest);
	if (soft)
		put_separator(x);
	return 0;
}

static void expect_rtmr1(struct expect *x, const uint8_t kernel[MEASURE_LEN], bool soft)
{
	put(x, "kernel", &from_kernel, kernel);
	put_text(x, "boot option", "Calling EFI Application from Boot Option");
	for (int i = 0; i < (soft ? 5 : 1); i++)
		put_separator(x);
	put_text(x, "exit boot services", "Exit Boot Services Invocation");
	put_text(x, "boot services ended", "Exit Boot Services Returned with Success");
}

int measure_expect(struct measured *out, const struct measurement_tdx *m, const uint8_t kernel[MEASURE_LEN],
		   const struct vm_config *c, const struct eventlog *log, struct fault *f)
{
	bool two_pass;

	*out = (struct measured){ 0 };
	if (measure_two_pass(&two_pass, c, f))
		return -1;
	for (size_t i = 0; i < MEASURE_LEN; i++)
		out->mrtd[i] = two_pass ? m->mrtd_two[i] : m->mrtd_single[i];
	if (expect_rtmr0(&out->rtmr[0], m, c, log, f))
		return -1;
	expect_rtmr1(&out->rtmr[1], kernel, c->profile == MEASURE_SOFT);
	put(&out->rtmr[2], "command line", &from_cmdline, m->cmdline);
	put(&out->rtmr[2], "initrd", &from_initrd, m->initrd);
	return 0;
}

bool measure_memory_ok(const struct vm_config *c)
{
	return c->memory_size == 0x80000000 || c->memory_size >= 0xB0000000;
}
