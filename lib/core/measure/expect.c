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

static const char hint_fixed[] = "another firmware or boot path than that of the image";

static void put(struct expect *x, const char *name, const char *hint, const uint8_t digest[MEASURE_LEN])
{
	struct expect_event *e = &x->e[x->n++]; // the longest register has 14

	e->name = name;
	e->hint = hint;
	for (size_t i = 0; i < MEASURE_LEN; i++)
		e->digest[i] = digest[i];
	register_extend(x->value, digest);
}

static void put_hash(struct expect *x, const char *name, const char *hint, const void *p, size_t n)
{
	uint8_t d[MEASURE_LEN];

	sha384(p, n, d);
	put(x, name, hint, d);
}

static void put_text(struct expect *x, const char *name, const char *text)
{
	put_hash(x, name, hint_fixed, text, span_str(text).n);
}

static void put_separator(struct expect *x)
{
	static const uint8_t zeros[4];

	put_hash(x, "separator", hint_fixed, zeros, sizeof zeros);
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
	put_hash(x, name, "secure boot variables are set, or a firmware other than the image's", data, w.n);
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
	static const char hint[] = "taken from the log itself";
	static const char *const names[] = { "acpi-loader", "acpi-rsdp", "acpi-tpmlog", "acpi-tables" };
	static const uint8_t zeros[1024];
	uint8_t blank[MEASURE_LEN];
	struct sha512 h;
	size_t seen = 0, want = tpm ? 4 : 3;

	sha384_init(&h);
	for (int i = 0; i < 64; i++)
		sha512_add(&h, zeros, sizeof zeros);
	sha384_end(&h, blank);
	for (size_t i = 0; i < log->n; i++) {
		const struct event *e = &log->e[i];

		if (!event_is_acpi(e))
			continue;
		if (seen == want || e->digest.n != MEASURE_LEN)
			return fault_set(f, "measure.acpi",
					 "log has more ACPI events than the machine has tables", i);
		size_t k = tpm || seen < 2 ? seen : 3;

		if (k == 2) // the firmware's TPM log area, still empty when it is measured
			put(x, names[k], "the machine's TPM log area is not 64 KiB of zeros", blank);
		else
			put(x, names[k], hint, e->digest.p);
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
		put(x, "TD HOB", "the memory size differs from vm_config, or the firmware from the image",
		    hob);
		put(x, "CFV", "the firmware's variable store is not empty", cfv_digest);
	}
	put_variables(x);
	if (put_acpi(x, log, soft, f))
		return -1;
	put_hash(x, "BootOrder", hint_fixed, zeros, sizeof zeros);
	put(x, "Boot0000", hint_fixed, boot0000_digest);
	if (soft)
		put_separator(x);
	return 0;
}

static void expect_rtmr1(struct expect *x, const uint8_t kernel[MEASURE_LEN], bool soft)
{
	put(x, "kernel", "another kernel, initrd size, memory size or QEMU header patch than expected",
	    kernel);
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
	put(&out->rtmr[2], "command line", "another kernel command line than the image's", m->cmdline);
	put(&out->rtmr[2], "initrd", "another initrd than the image's", m->initrd);
	return 0;
}

bool measure_memory_ok(const struct vm_config *c)
{
	return c->memory_size == 0x80000000 || c->memory_size >= 0xB0000000;
}

static void say(struct wr *out, const struct expect_event *want, size_t i, const struct event *got)
{
	wr_str(out, "event ");
	wr_dec(out, i + 1);
	wr_str(out, " (");
	wr_str(out, want->name);
	wr_str(out, ") expected ");
	wr_hex(out, want->digest, 8);
	wr_str(out, ".. got ");
	if (got)
		wr_hex(out, got->digest.p, got->digest.n < 8 ? got->digest.n : 8);
	else
		wr_str(out, "nothing");
	wr_str(out, got ? "..: " : ": ");
	wr_str(out, got ? want->hint : "the log ends early");
}

// A stripped log has no boot events but the ACPI ones: there is nothing to align then.
static bool has_boot_events(const struct eventlog *log, uint32_t imr)
{
	for (size_t k = 0; k < log->n; k++)
		if (log->e[k].imr == imr && !event_is_acpi(&log->e[k]))
			return true;
	return false;
}

void measure_explain(struct wr *out, const struct expect *want, uint32_t imr, const struct eventlog *log)
{
	size_t i = 0;

	for (size_t k = 0; has_boot_events(log, imr) && k < log->n; k++) {
		const struct event *e = &log->e[k];

		if (e->imr != imr)
			continue;
		if (i == want->n) {
			wr_str(out, "an event more than expected, of type ");
			wr_dec(out, e->type);
			return;
		}
		if (!span_eq(e->digest, span_of(want->e[i].digest, MEASURE_LEN))) {
			say(out, &want->e[i], i, e);
			return;
		}
		i++;
	}
	if (i && i < want->n)
		say(out, &want->e[i], i, NULL);
}
