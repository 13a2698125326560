// measurement.tdx.cbor: the digests of an image that do not depend on the machine, so that a verifier needs
// no image.
#include "core/codec/cbor.h"
#include "core/hash/sha2.h"
#include "core/measure/measure.h"

enum { FORM = 3 };
static const uint64_t HIGH_MEMORY =
	0x80000000; // at and above it the kernel's patch no longer depends on the memory

int measurement_tdx_make(struct measurement_tdx *m, struct span firmware, struct span kernel,
			 struct span initrd, struct span cmdline, struct fault *f)
{
	if (tdvf_read(&m->hob, firmware, f) || measure_mrtd(m->mrtd_single, firmware, false, f) ||
	    measure_mrtd(m->mrtd_two, firmware, true, f) ||
	    measure_kernel(m->kernel, kernel, initrd.n, HIGH_MEMORY, f))
		return -1;
	measure_cmdline(m->cmdline, cmdline);
	sha384(initrd.p, initrd.n, m->initrd);
	return 0;
}

static void digest_out(struct wr *out, const char *key, const uint8_t d[MEASURE_LEN])
{
	cbor_wr_text(out, key);
	cbor_wr_bytes(out, span_of(d, MEASURE_LEN));
}

int measurement_tdx_write(struct wr *out, const struct measurement_tdx *m)
{
	uint8_t witness[256];
	struct wr w = wr_to(witness, sizeof witness);

	if (td_hob_witness_write(&w, &m->hob) || w.bad)
		return -1;
	cbor_wr_map(out, 3);
	cbor_wr_text(out, "version");
	cbor_wr_uint(out, FORM);
	cbor_wr_text(out, "image");
	cbor_wr_map(out, 3);
	digest_out(out, "cmdline_sha384", m->cmdline);
	digest_out(out, "kernel_authenticode", m->kernel);
	digest_out(out, "initrd_sha384", m->initrd);
	cbor_wr_text(out, "tdvf");
	cbor_wr_map(out, 3);
	cbor_wr_text(out, "ovmf");
	cbor_wr_text(out, "pre202505");
	cbor_wr_text(out, "mrtd");
	cbor_wr_map(out, 2);
	digest_out(out, "single_pass", m->mrtd_single);
	digest_out(out, "two_pass", m->mrtd_two);
	cbor_wr_text(out, "td_hob");
	cbor_wr_bytes(out, span_of(witness, w.n));
	return out->bad ? -1 : 0;
}

static void digest_in(struct rd *in, uint8_t d[MEASURE_LEN])
{
	struct span s = cbor_rd_bytes(in);

	if (s.n != MEASURE_LEN)
		in->bad = true;
	for (size_t i = 0; !in->bad && i < MEASURE_LEN; i++)
		d[i] = s.p[i];
}

// Digests under the given names, each exactly once; other members are skipped.
static void digests_in(struct rd *in, const char *const *names, uint8_t *const *to, size_t n)
{
	uint32_t pairs = cbor_rd_map(in), seen = 0;

	for (uint32_t i = 0; i < pairs && !in->bad; i++) {
		struct span key = cbor_rd_text(in);
		size_t k = 0;

		while (k < n && !span_is(key, names[k]))
			k++;
		if (k == n) {
			cbor_skip(in);
			continue;
		}
		if (seen & 1u << k)
			in->bad = true;
		seen |= 1u << k;
		digest_in(in, to[k]);
	}
	if (seen != (1u << n) - 1)
		in->bad = true;
}

static void tdvf_in(struct rd *in, struct measurement_tdx *m, struct fault *f)
{
	static const char *const mrtd[] = { "single_pass", "two_pass" };
	uint8_t *const to[] = { m->mrtd_single, m->mrtd_two };
	uint32_t pairs = cbor_rd_map(in), seen = 0;

	for (uint32_t i = 0; i < pairs && !in->bad; i++) {
		struct span key = cbor_rd_text(in);
		uint32_t bit = span_is(key, "ovmf")     ? 1
			       : span_is(key, "mrtd")   ? 2
			       : span_is(key, "td_hob") ? 4
							: 0;

		if (seen & bit)
			in->bad = true;
		seen |= bit;
		if (bit == 1 && !span_is(cbor_rd_text(in), "pre202505"))
			in->bad = true;
		else if (bit == 2)
			digests_in(in, mrtd, to, 2);
		else if (bit == 4 && td_hob_witness_read(&m->hob, cbor_rd_bytes(in), f))
			in->bad = true;
		else if (!bit)
			cbor_skip(in);
	}
	if (seen != 7)
		in->bad = true;
}

int measurement_tdx_read(struct measurement_tdx *m, struct span cbor, struct fault *f)
{
	static const char *const image[] = { "cmdline_sha384", "kernel_authenticode", "initrd_sha384" };
	uint8_t *const to[] = { m->cmdline, m->kernel, m->initrd };
	struct rd in = rd_span(cbor);
	uint32_t pairs = cbor_rd_map(&in), seen = 0;

	for (uint32_t i = 0; i < pairs && !in.bad; i++) {
		struct span key = cbor_rd_text(&in);
		uint32_t bit = span_is(key, "version") ? 1
			       : span_is(key, "image") ? 2
			       : span_is(key, "tdvf")  ? 4
						       : 0;

		if (seen & bit)
			in.bad = true;
		seen |= bit;
		if (bit == 1 && cbor_rd_uint(&in) != FORM)
			in.bad = true;
		else if (bit == 2)
			digests_in(&in, image, to, 3);
		else if (bit == 4)
			tdvf_in(&in, m, f);
		else if (!bit)
			cbor_skip(&in);
	}
	if (in.bad || seen != 7 || rd_left(&in))
		return fault_set(f, "measure.measurement", "malformed measurement.tdx.cbor",
				 cbor.n - rd_left(&in));
	return 0;
}
