// TDVF metadata, MRTD and TD HOB (Intel TDX Virtual Firmware Design Guide; TDX module base spec,
// TDH.MEM.PAGE.ADD and TDH.MR.EXTEND).
#include "core/hash/sha2.h"
#include "core/measure/measure.h"

enum {
	PAGE = 4096,
	CHUNK = 256,
	ATTR_MR_EXTEND = 1,
	ATTR_PAGE_AUG = 2,
	TABLE_FROM_END = 32,        // the footer table ends here
	MEMORY_MAX_PAGES = 1 << 16, // of one section: 256 MiB
};

static const uint8_t guid_footer[16] = { 0xde, 0x82, 0xb5, 0x96, 0xb2, 0x1f, 0xf7, 0x45,
					 0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d };
static const uint8_t guid_metadata[16] = { 0x35, 0x65, 0x7a, 0xe4, 0x4a, 0x98, 0x98, 0x47,
					   0x86, 0x5e, 0x46, 0x85, 0xa7, 0xbf, 0x8e, 0xc2 };

static int bad(struct fault *f, const char *text, size_t at)
{
	return fault_set(f, "measure.firmware", text, at);
}

static uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

// Walk the footer table backwards: [data][u16 length][GUID].
static int find_descriptor(size_t *at, struct span fw, struct fault *f)
{
	if (fw.n < TABLE_FROM_END + 18)
		return bad(f, "firmware is too small", fw.n);
	size_t end = fw.n - TABLE_FROM_END - 16;

	if (!span_eq(span_of(fw.p + end, 16), span_of(guid_footer, 16)))
		return bad(f, "firmware has no footer table, so no TDVF metadata", end);
	size_t size = le16(fw.p + end - 2);

	if (size < 18 || size > end + 16)
		return bad(f, "footer table does not fit", end);
	size_t start = end + 16 - size;

	for (size_t e = end - 2; e >= start + 18;) {
		size_t len = le16(fw.p + e - 18);

		if (len < 18 || len > e - start)
			return bad(f, "footer table is malformed", e);
		if (span_eq(span_of(fw.p + e - 16, 16), span_of(guid_metadata, 16))) {
			if (len < 22)
				return bad(f, "TDVF descriptor has no offset", e);
			struct rd r = rd_from(fw.p + e - 22, 4);
			size_t back = rd_le32(&r);

			if (back > fw.n)
				return bad(f, "TDVF descriptor lies outside the file", e);
			*at = fw.n - back;
			return 0;
		}
		e -= len;
	}
	return bad(f, "firmware has no TDVF metadata", end);
}

static int read_section(struct tdvf_section *s, struct rd *in, size_t file, size_t i, struct fault *f)
{
	s->offset = rd_le32(in);
	s->raw_size = rd_le32(in);
	s->address = rd_le64(in);
	s->size = rd_le64(in);
	s->type = rd_le32(in);
	s->attributes = rd_le32(in);
	if (in->bad)
		return bad(f, "TDVF section table is cut short", i);
	if (s->address % PAGE || s->size % PAGE || s->size < s->raw_size ||
	    s->size / PAGE > MEMORY_MAX_PAGES || s->address > UINT64_MAX - s->size)
		return bad(f, "TDVF section has an impossible memory range", i);
	if (s->offset > file || s->raw_size > file - s->offset)
		return bad(f, "TDVF section lies outside the file", i);
	return 0;
}

int tdvf_read(struct tdvf *t, struct span fw, struct fault *f)
{
	size_t at = 0;

	t->n = 0;
	if (find_descriptor(&at, fw, f))
		return -1;
	struct rd in = rd_from(fw.p + at, fw.n - at);
	struct span magic = rd_bytes(&in, 4);

	rd_le32(&in);
	uint32_t version = rd_le32(&in), n = rd_le32(&in);

	if (in.bad || !span_is(magic, "TDVF") || version != 1 || n == 0 || n > TDVF_SECTIONS_MAX)
		return bad(f, "TDVF descriptor is not of the known form", at);
	for (size_t i = 0; i < n; i++)
		if (read_section(&t->s[i], &in, fw.n, i, f))
			return -1;
	t->n = n;
	return 0;
}

// One 128-byte block: the operation's name and the guest address.
static void block(struct sha512 *h, const char *name, uint64_t gpa)
{
	uint8_t b[128] = { 0 };
	struct wr w = wr_to(b, sizeof b);

	wr_str(&w, name);
	w.n = 16;
	wr_le64(&w, gpa);
	sha512_add(h, b, sizeof b);
}

static void extend_page(struct sha512 *h, const struct tdvf_section *s, struct span fw, uint64_t page)
{
	static const uint8_t zeros[CHUNK];

	for (uint64_t at = page * PAGE; at < (page + 1) * PAGE; at += CHUNK) {
		uint64_t have = at < s->raw_size ? s->raw_size - at : 0;

		block(h, "MR.EXTEND", s->address + at);
		if (have > CHUNK)
			have = CHUNK;
		sha512_add(h, fw.p + s->offset + at, (size_t)have);
		sha512_add(h, zeros, CHUNK - (size_t)have);
	}
}

int measure_mrtd(uint8_t out[MEASURE_LEN], struct span fw, bool two_pass, struct fault *f)
{
	struct sha512 h;
	struct tdvf t;

	if (tdvf_read(&t, fw, f))
		return -1;
	sha384_init(&h);
	for (size_t i = 0; i < t.n; i++) {
		const struct tdvf_section *s = &t.s[i];
		bool add = !(s->attributes & ATTR_PAGE_AUG), extend = s->attributes & ATTR_MR_EXTEND;

		for (uint64_t p = 0; p < s->size / PAGE; p++) {
			if (add)
				block(&h, "MEM.PAGE.ADD", s->address + p * PAGE);
			if (extend && !two_pass)
				extend_page(&h, s, fw, p);
		}
		for (uint64_t p = 0; extend && two_pass && p < s->size / PAGE; p++)
			extend_page(&h, s, fw, p);
	}
	sha384_end(&h, out);
	return 0;
}

int measure_two_pass(bool *two_pass, const struct vm_config *c, struct fault *f)
{
	bool said = c->qemu[0] || c->qemu[1] || c->qemu[2];

	*two_pass = false;
	if (c->profile == MEASURE_SOFT) // nothing launches a TD there: one definition is enough
		return 0;
	if (said && c->qemu[0] < 8)
		return fault_set(f, "measure.qemu", "QEMU before 8 cannot launch a TD", c->qemu[0]);
	*two_pass = c->two_pass >= 0 ? c->two_pass == 1 : said && c->qemu[0] == 8;
	return 0;
}

enum { HOB_ACCEPTED = 0, HOB_UNACCEPTED = 7 };
static const uint64_t HOB_BASE = 0x809000, LOW_MEM_LIMIT = 0xB0000000, LOW_MEM_SPLIT = 0x80000000;

static void resource_hob(struct wr *w, uint8_t type, uint64_t start, uint64_t length)
{
	static const uint8_t owner[16];

	wr_le16(w, 3);
	wr_le16(w, 48);
	wr_le32(w, 0);
	wr_put(w, owner, sizeof owner);
	wr_u8(w, type);
	wr_put(w, owner, 3);
	wr_le32(w, 7);
	wr_le64(w, start);
	wr_le64(w, length);
}

// The accepted ranges (TD_HOB and TEMP_MEM sections) in order of address; they must not overlap.
static size_t accepted(const struct tdvf_section **out, const struct tdvf *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (t->s[i].type != TDVF_TD_HOB && t->s[i].type != TDVF_TEMP_MEM)
			continue;
		size_t k = n++;

		for (; k && out[k - 1]->address > t->s[i].address; k--)
			out[k] = out[k - 1];
		out[k] = &t->s[i];
	}
	return n;
}

int measure_td_hob(uint8_t out[MEASURE_LEN], const struct tdvf *t, uint64_t memory, struct fault *f)
{
	const struct tdvf_section *a[TDVF_SECTIONS_MAX];
	size_t n = accepted(a, t);
	uint8_t hob[56 + 48 * (2 * TDVF_SECTIONS_MAX + 2)]; // each range, each gap, two at the end
	struct wr w = wr_to(hob, sizeof hob);
	uint64_t base = HOB_BASE, at = 0;

	wr_le16(&w, 1);
	wr_le16(&w, 56);
	wr_le32(&w, 0);
	wr_le32(&w, 9);
	for (int i = 0; i < 5; i++)
		i ? wr_le64(&w, 0) : wr_le32(&w, 0);
	size_t end_at = w.n;

	wr_le64(&w, 0);
	for (size_t i = 0; i < n; i++) {
		if (a[i]->address < at || a[i]->size > memory || a[i]->address > memory - a[i]->size)
			return fault_set(f, "measure.firmware",
					 "TDVF memory ranges overlap or exceed the memory", i);
		if (a[i]->type == TDVF_TD_HOB)
			base = a[i]->address;
		if (a[i]->address > at)
			resource_hob(&w, HOB_UNACCEPTED, at, a[i]->address - at);
		at = a[i]->address + a[i]->size;
		if (at == memory)
			return fault_set(f, "measure.firmware", "memory ends inside the firmware's ranges",
					 i);
		resource_hob(&w, HOB_ACCEPTED, a[i]->address, a[i]->size);
	}
	if (memory >= LOW_MEM_LIMIT) {
		if (at < LOW_MEM_SPLIT)
			resource_hob(&w, HOB_UNACCEPTED, at, LOW_MEM_SPLIT - at);
		resource_hob(&w, HOB_UNACCEPTED, 0x100000000, memory - LOW_MEM_SPLIT);
	} else {
		resource_hob(&w, HOB_UNACCEPTED, at, memory - at);
	}
	struct wr end = wr_to(hob + end_at, 8);

	wr_le64(&end, base + w.n + 8);
	sha384(hob, w.n, out);
	return 0;
}

static void leb128_write(struct wr *w, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		wr_u8(w, (uint8_t)(v | 0x80));
	wr_u8(w, (uint8_t)v);
}

static uint64_t leb128_read(struct rd *r)
{
	uint64_t v = 0;
	unsigned shift = 0;

	for (;; shift += 7) {
		uint8_t b = rd_u8(r);

		if (shift > 49 || (shift && !b))
			r->bad = true;
		if (r->bad)
			return 0;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
}

int td_hob_witness_write(struct wr *out, const struct tdvf *t)
{
	const struct tdvf_section *a[TDVF_SECTIONS_MAX];
	size_t n = accepted(a, t);
	uint64_t hob = HOB_BASE / PAGE;

	if (!n)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (a[i]->type == TDVF_TD_HOB)
			hob = a[i]->address / PAGE;
	uint64_t base = a[0]->address / PAGE;

	leb128_write(out, base);
	leb128_write(out, hob - base);
	leb128_write(out, n);
	for (size_t i = 0; i < n; i++) {
		leb128_write(out, a[i]->address / PAGE - base);
		leb128_write(out, a[i]->size / PAGE);
	}
	return 0;
}

int td_hob_witness_read(struct tdvf *t, struct span witness, struct fault *f)
{
	struct rd in = rd_span(witness);
	uint64_t base = leb128_read(&in), offset = leb128_read(&in), n = leb128_read(&in),
		 hob = base + offset;
	bool has_hob = false;

	t->n = 0;
	if (n > TDVF_SECTIONS_MAX || base > UINT32_MAX || offset > UINT32_MAX)
		in.bad = true;
	for (uint64_t i = 0; i < n && !in.bad; i++) {
		uint64_t from = leb128_read(&in), pages = leb128_read(&in), start = base + from;

		if (pages > MEMORY_MAX_PAGES || from > UINT32_MAX || start > UINT32_MAX)
			in.bad = true;
		has_hob |= start == hob;
		t->s[t->n++] = (struct tdvf_section){ .address = start * PAGE,
						      .size = pages * PAGE,
						      .type = start == hob ? TDVF_TD_HOB : TDVF_TEMP_MEM };
	}
	if (in.bad || rd_left(&in) || !has_hob)
		return fault_set(f, "measure.measurement", "malformed TD HOB witness", 0);
	return 0;
}
