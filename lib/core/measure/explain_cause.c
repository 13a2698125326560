// Why a difference is there: what is known is tried until it gives the digest that the log has.
#include "core/measure/explain.h"

static const uint64_t MIB = 1 << 20;

static struct explain_diff *find(struct explain *x, unsigned imr, const char *name)
{
	for (size_t i = 0; i < x->n && i < EXPLAIN_MAX; i++)
		if (x->d[i].imr == imr && span_is(span_str(x->d[i].name), name))
			return &x->d[i];
	return NULL;
}

static void cause(struct explain_diff *d, const char *word, const char *text)
{
	struct wr w = wr_to(d->text, sizeof d->text - 1);

	d->cause = word;
	wr_str(&w, text);
	d->text[w.bad ? 0 : w.n] = 0;
}

// "head<n>mid<m>tail"
static void cause_numbers(struct explain_diff *d, const char *word, const char *head, uint64_t n,
			  const char *mid, uint64_t m, const char *tail)
{
	struct wr w = wr_to(d->text, sizeof d->text - 1);

	d->cause = word;
	wr_str(&w, head);
	wr_dec(&w, n);
	wr_str(&w, mid);
	wr_dec(&w, m);
	wr_str(&w, tail);
	d->text[w.bad ? 0 : w.n] = 0;
}

static void other_memory(struct explain_diff *d, uint64_t expected, uint64_t found)
{
	cause_numbers(d, "memory_size", "the machine has ", found / MIB, " MiB of memory, expected were ",
		      expected / MIB, " MiB");
}

// Sizes that machines have: steps of 64 MiB up to 64 GiB, of 1 GiB up to 4 TiB.
static uint64_t next_size(uint64_t size)
{
	return size + (size < 65536 * MIB ? 64 : 1024) * MIB;
}

// 0 when no size gives this TD HOB.
static uint64_t memory_of_hob(const struct measurement_tdx *m, struct span got)
{
	uint8_t digest[MEASURE_LEN];
	struct fault f;

	for (uint64_t size = 128 * MIB; size <= 4096 * 1024 * MIB; size = next_size(size))
		if (!measure_td_hob(digest, &m->hob, size, &f) &&
		    span_eq(got, span_of(digest, sizeof digest)))
			return size;
	return 0;
}

// Below 2.75 GiB the initrd's address, which QEMU writes into the header, depends on the memory.
static uint64_t memory_of_kernel(const struct explain_facts *x, struct span got)
{
	uint8_t digest[MEASURE_LEN];
	struct fault f;

	for (uint64_t size = 256 * MIB; size <= 3072 * MIB; size += 128 * MIB)
		if (!measure_kernel(digest, x->kernel, x->initrd_size, size, &f) &&
		    span_eq(got, span_of(digest, sizeof digest)))
			return size;
	return 0;
}

static void cause_hob(struct explain_diff *d, const struct explain_facts *x)
{
	uint64_t found = x->m ? memory_of_hob(x->m, d->got) : 0;

	if (found)
		other_memory(d, x->expected->memory_size, found);
	else if (x->m)
		cause(d, "firmware",
		      "no memory size gives this TD HOB with the image's firmware: another firmware, or a "
		      "machine of "
		      "another kind");
	else
		cause(d, "memory_size", "another memory size, or another firmware");
}

static void cause_mrtd(struct explain_diff *d, const struct explain_facts *x)
{
	bool other = span_eq(d->got, span_of(x->m->mrtd_single, MEASURE_LEN)) ||
		     span_eq(d->got, span_of(x->m->mrtd_two, MEASURE_LEN));

	if (other)
		cause(d, "page_order",
		      "the firmware is the image's, but QEMU added its pages in the other order: "
		      "qemu_version of "
		      "vm_config is not that of the machine (8.x takes two passes, 9 and later one)");
	else
		cause(d, "firmware", "the machine started another firmware than the image's");
}

static bool differs(const struct vm_config *a, const struct vm_config *b)
{
	return a->num_gpus != b->num_gpus || a->num_nvswitches != b->num_nvswitches ||
	       a->num_nics != b->num_nics || a->num_verity_volumes != b->num_verity_volumes ||
	       a->pci_hole64_size != b->pci_hole64_size || a->hugepages != b->hugepages ||
	       a->hotplug_off != b->hotplug_off;
}

static bool other_qemu(const struct explain_facts *x)
{
	const struct vm_config *a = x->expected, *b = x->actual;

	return a && b && (a->qemu[0] != b->qemu[0] || a->qemu[1] != b->qemu[1] || a->qemu[2] != b->qemu[2]);
}

// What the two descriptions of the machine say; true when they tell the cause.
static bool cause_configs(struct explain_diff *d, const struct explain_facts *x)
{
	const struct vm_config *a = x->expected, *b = x->actual;

	if (!a || !b)
		return false;
	if (a->memory_size != b->memory_size)
		other_memory(d, a->memory_size, b->memory_size);
	else if (a->cpu_count != b->cpu_count)
		cause_numbers(d, "cpu_count", "the machine has ", b->cpu_count, " CPUs, expected were ",
			      a->cpu_count, "");
	else if (differs(a, b))
		cause(d, "devices", "the machine has other devices or PCI settings than expected");
	else if (other_qemu(x))
		cause(d, "qemu_version", "another QEMU version made the ACPI tables");
	else
		return false;
	return true;
}

// Sizes of tables change with CPUs and devices and show in the loader's commands; a change of memory does
// not.
static void cause_acpi(struct explain_diff *d, struct explain *x, const struct explain_facts *facts)
{
	const struct explain_diff *kernel = find(x, 1, "kernel");
	bool sizes = find(x, 0, "acpi-loader") != NULL;

	if (cause_configs(d, facts))
		return;
	if (sizes)
		cause(d, "acpi_tables",
		      "the ACPI tables have other sizes: another CPU count, other devices or another QEMU "
		      "version");
	else if (kernel && !find(x, 2, "initrd"))
		cause(d, "memory_size",
		      "the ACPI tables have the same sizes and other contents, and the kernel was loaded "
		      "differently: another memory size");
	else
		cause(d, "acpi_tables",
		      "the ACPI tables differ: another memory size, CPU count or QEMU version");
}

// At 2 GiB and from 2.75 GiB on the digest is one and the same.
static void kernel_memory(struct explain_diff *d, uint64_t expected, uint64_t found)
{
	if (!measure_memory_ok(&(struct vm_config){ .memory_size = found }))
		other_memory(d, expected, found);
	else
		cause_numbers(d, "memory_size", "the machine has ", 2048,
			      " MiB of memory, or 2816 or more; expected were ", expected / MIB, " MiB");
}

static void cause_kernel(struct explain_diff *d, struct explain *x, const struct explain_facts *facts)
{
	const struct explain_diff *hob = find(x, 0, "TD HOB"), *initrd = find(x, 2, "initrd");
	const struct explain_diff *acpi = find(x, 0, "acpi-tables");
	uint8_t plain[MEASURE_LEN];
	struct fault f;
	uint64_t found = facts->kernel.n ? memory_of_kernel(facts, d->got) : 0;

	if (found && facts->expected && found != facts->expected->memory_size)
		kernel_memory(d, facts->expected->memory_size, found);
	else if (facts->kernel.n && !measure_pe(plain, facts->kernel, &f) &&
		 span_eq(d->got, span_of(plain, sizeof plain)))
		cause(d, "header_patch",
		      "the kernel is the image's, but without what QEMU writes into its setup header: it was "
		      "loaded "
		      "by something else");
	else if (initrd && initrd->kind == EXPLAIN_CHANGED)
		cause(d, "initrd",
		      "the initrd is another one, and its size stands in the kernel's header (a kernel that "
		      "differs, "
		      "too, cannot be told apart)");
	else if ((hob && span_is(span_str(hob->cause), "memory_size")) ||
		 (acpi && span_is(span_str(acpi->cause), "memory_size")))
		cause(d, "memory_size",
		      "below 2.75 GiB the initrd's address, which QEMU writes into the kernel's header, "
		      "follows from "
		      "the memory size, which differs");
	else if (other_qemu(facts))
		cause(d, "header_patch",
		      "another QEMU version, which writes other values into the kernel's header");
	else
		cause(d, "kernel",
		      "another kernel than the image's (or a QEMU that writes other values into its setup "
		      "header)");
}

// The digest that is missing here stands elsewhere in the register and the other way round: events changed
// places.
static bool moved(const struct explain *x, const struct explain_diff *d)
{
	bool lost = !d->want.n, found = !d->got.n;

	for (size_t i = 0; i < x->n && i < EXPLAIN_MAX; i++) {
		const struct explain_diff *o = &x->d[i];

		if (o == d || o->imr != d->imr ||
		    (o->kind == EXPLAIN_CHANGED) != (d->kind == EXPLAIN_CHANGED))
			continue;
		lost |= span_eq(d->want, o->got);
		found |= span_eq(d->got, o->want);
	}
	return lost && found;
}

static void cause_extra(struct explain_diff *d)
{
	if (span_is(span_str(d->name), "another image"))
		cause(d, "boot_path",
		      "something else was started besides the image's kernel: a boot loader or another EFI "
		      "image");
	else if (d->imr == 0)
		cause(d, "firmware",
		      "the firmware measured something that the image's does not: another or newer firmware");
	else
		cause(d, "boot_path", "something was measured that the image's boot does not do");
}

static void cause_plain(struct explain_diff *d, const struct measured *want)
{
	const struct expect_event *e = &want->rtmr[d->imr].e[d->want_at - 1];

	cause(d, e->cause, e->hint);
}

void explain_causes(struct explain *x, const struct measured *want, const struct explain_facts *facts)
{
	for (size_t i = 0; i < x->n && i < EXPLAIN_MAX; i++) {
		struct explain_diff *d = &x->d[i];
		struct span name = span_str(d->name);

		if (d->imr == EXPLAIN_MRTD)
			cause_mrtd(d, facts);
		else if (moved(x, d))
			cause(d, "order", "the same events in another order");
		else if (d->kind == EXPLAIN_EXTRA)
			cause_extra(d);
		else if (d->kind == EXPLAIN_MISSING)
			cause(d, "missing",
			      "the log does not have this event: it was cut, or another firmware booted");
		else if (span_is(name, "TD HOB"))
			cause_hob(d, facts);
		else if (span_is(name, "kernel"))
			cause_kernel(d, x, facts);
		else if (span_is(name, "acpi-loader") || span_is(name, "acpi-rsdp") ||
			 span_is(name, "acpi-tables"))
			cause_acpi(d, x, facts);
		else
			cause_plain(d, want);
	}
}
