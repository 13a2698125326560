// The kernel as the firmware hashes it: Authenticode SHA-384 (PE) after QEMU has written boot parameters into
// the setup header (Documentation/arch/x86/boot.rst; hw/i386/x86.c, protocol 2.00 and later).
#include "core/hash/sha2.h"
#include "core/measure/measure.h"

enum {
	HEAD = 0x400, // the patched copy: the setup header and the PE header lie in it
	REAL_ADDR = 0x10000,
	CMDLINE_ADDR = 0x20000,
	ACPI_DATA = 0x28000,
	XLF_ABOVE_4G = 0x40,
	SECTIONS_MAX = 96,
};

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint64_t v)
{
	put16(p, (uint32_t)v & 0xffff);
	put16(p + 2, (uint32_t)(v >> 16) & 0xffff);
}

static int bad(struct fault *f, const char *text, size_t at)
{
	return fault_set(f, "measure.kernel", text, at);
}

static int patch_initrd(uint8_t *h, uint32_t protocol, uint64_t size, uint64_t memory, struct fault *f)
{
	const uint64_t lowmem = memory < 0xB0000000 ? 0xB0000000 : 0x80000000;
	uint64_t below_4g = memory < lowmem ? memory : lowmem, max = 0x37ffffff;

	if (protocol >= 0x20c && get16(h + 0x236) & XLF_ABOVE_4G)
		max = 0xffffffff;
	else if (protocol >= 0x203 && get32(h + 0x22c))
		max = get32(h + 0x22c);
	if (below_4g <= ACPI_DATA)
		return bad(f, "memory is too small", 0);
	if (max >= below_4g - ACPI_DATA)
		max = below_4g - ACPI_DATA - 1;
	if (size > max)
		return bad(f, "initrd does not fit into the memory", (size_t)size);
	put32(h + 0x218, (max - size) & ~4095ull);
	put32(h + 0x21c, size);
	return 0;
}

static int patch(uint8_t *h, uint64_t initrd, uint64_t memory, struct fault *f)
{
	uint32_t protocol = get32(h + 0x202) == 0x53726448 ? get16(h + 0x206) : 0;
	uint32_t real = REAL_ADDR, cmdline = CMDLINE_ADDR;

	if (protocol < 0x200 || !(h[0x211] & 1)) {
		real = 0x90000;
		cmdline = 0x9a000;
	}
	if (protocol >= 0x200)
		h[0x210] = 0xb0;
	if (protocol >= 0x201) {
		h[0x211] |= 0x80;
		put16(h + 0x224, cmdline - real - 0x200);
	}
	if (protocol >= 0x202) {
		put32(h + 0x228, cmdline);
	} else {
		put16(h + 0x20, 0xa33f);
		put16(h + 0x22, cmdline - real);
	}
	if (!initrd)
		return 0;
	return protocol >= 0x200 ? patch_initrd(h, protocol, initrd, memory, f)
				 : bad(f, "kernel is too old to take an initrd", 0);
}

struct image {
	uint8_t head[HEAD];
	struct span file;
	struct sha512 h;
};

// Hash [from, to) of the file with the patched head in place of its own.
static void add(struct image *m, size_t from, size_t to)
{
	if (from < HEAD && from < to) {
		size_t end = to < HEAD ? to : HEAD;

		sha512_add(&m->h, m->head + from, end - from);
		from = end;
	}
	if (from < to)
		sha512_add(&m->h, m->file.p + from, to - from);
}

struct section {
	uint32_t at, size;
};

static size_t read_sections(struct section *s, const struct image *m, size_t at, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		const uint8_t *p = m->file.p + at + 40 * i;
		struct section one = { get32(p + 20), get32(p + 16) };
		size_t k = kept;

		if (!one.size)
			continue;
		for (; k && s[k - 1].at > one.at; k--)
			s[k] = s[k - 1];
		s[k] = one;
		kept++;
	}
	return kept;
}

static int authenticode(struct image *m, struct fault *f)
{
	const size_t n = m->file.n;
	size_t pe = get32(m->head + 0x3c);

	if (pe > HEAD - 0x18 || get32(m->head + pe) != 0x4550)
		return bad(f, "kernel is not a PE image (no EFI stub)", pe);
	size_t sections = get16(m->head + pe + 6), opt = pe + 24, opt_size = get16(m->head + pe + 20);
	size_t table = opt + opt_size;

	if (opt + 152 > HEAD || sections > SECTIONS_MAX || table + 40 * sections > n)
		return bad(f, "PE header does not fit", opt);
	bool plus = get16(m->head + opt) == 0x20b;
	size_t checksum = opt + 64, dirs = opt + (plus ? 112 : 96), cert = dirs + 4 * 8;
	uint32_t n_dirs = get32(m->head + dirs - 4), headers = get32(m->head + opt + 60);
	bool has_cert = n_dirs > 4 && cert + 8 <= table;

	if (headers > n || headers < (has_cert ? cert + 8 : checksum + 4))
		return bad(f, "PE header has an impossible size", headers);
	sha384_init(&m->h);
	add(m, 0, checksum);
	if (has_cert) {
		add(m, checksum + 4, cert);
		add(m, cert + 8, headers);
	} else {
		add(m, checksum + 4, headers);
	}

	struct section s[SECTIONS_MAX];
	size_t kept = read_sections(s, m, table, sections), hashed = headers;
	size_t cert_size = has_cert ? get32(m->head + cert + 4) : 0;

	for (size_t i = 0; i < kept; i++) {
		if (s[i].at > n || s[i].size > n - s[i].at || s[i].at < hashed)
			return bad(f, "PE sections overlap or lie outside the file", i);
		add(m, s[i].at, (size_t)s[i].at + s[i].size);
		hashed = (size_t)s[i].at + s[i].size;
	}
	if (cert_size > n - hashed)
		return bad(f, "PE certificate table lies outside the file", cert_size);
	add(m, hashed, n - cert_size);
	if (n % 8) {
		static const uint8_t zeros[8];

		sha512_add(&m->h, zeros, 8 - n % 8);
	}
	return 0;
}

int measure_kernel(uint8_t out[MEASURE_LEN], struct span kernel, uint64_t initrd_size, uint64_t memory,
		   struct fault *f)
{
	struct image m = { .file = kernel };

	if (kernel.n < HEAD)
		return bad(f, "kernel is too small", kernel.n);
	for (size_t i = 0; i < HEAD; i++)
		m.head[i] = kernel.p[i];
	if (patch(m.head, initrd_size, memory, f) || authenticode(&m, f))
		return -1;
	sha384_end(&m.h, out);
	return 0;
}

int measure_pe(uint8_t out[MEASURE_LEN], struct span file, struct fault *f)
{
	struct image m = { .file = file };

	if (file.n < HEAD)
		return bad(f, "image is too small", file.n);
	for (size_t i = 0; i < HEAD; i++)
		m.head[i] = file.p[i];
	if (authenticode(&m, f))
		return -1;
	sha384_end(&m.h, out);
	return 0;
}

void measure_cmdline(uint8_t out[MEASURE_LEN], struct span cmdline)
{
	static const char added[] = " initrd=initrd"; // by the firmware's loader, and a final zero
	struct sha512 h;

	sha384_init(&h);
	for (size_t i = 0; i < cmdline.n; i++)
		sha512_add(&h, (uint8_t[]){ cmdline.p[i], 0 }, 2);
	for (size_t i = 0; i < sizeof added; i++)
		sha512_add(&h, (uint8_t[]){ (uint8_t)added[i], 0 }, 2);
	sha384_end(&h, out);
}
