// What measuring reads: vm_config, manifest, metadata, measurement.tdx.cbor, firmware, kernel. The first byte
// chooses.
#include "core/measure/measure.h"

#include <stdlib.h>
#include <string.h>

static void cbor(struct span s)
{
	uint8_t out[2048], d[MEASURE_LEN];
	struct wr w = wr_to(out, sizeof out);
	struct measurement_tdx m, back;
	struct fault f;

	if (measurement_tdx_read(&m, s, &f))
		return;
	(void)!measure_td_hob(d, &m.hob, 2ull << 30, &f);
	if (!measurement_tdx_write(&w, &m) && measurement_tdx_read(&back, span_of(out, w.n), &f))
		__builtin_trap();
}

static void json(struct span s, bool config)
{
	uint8_t *text = malloc(s.n + 1);
	struct wr scratch = wr_to(text, s.n);
	struct image_metadata meta;
	struct vm_config c;
	struct fault f;

	if (config)
		(void)!vm_config_read(&c, &scratch, s, &f);
	else
		(void)!image_metadata_read(&meta, &scratch, s, &f);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t d[MEASURE_LEN];
	struct tdvf t;
	struct fault f;
	struct span s = span_of(data + 1, n ? n - 1 : 0);

	if (!n)
		return 0;
	switch (data[0] % 6) {
	case 0:
		cbor(s);
		break;
	case 1:
		json(s, true);
		break;
	case 2:
		json(s, false);
		break;
	case 3:
		(void)!image_checksum(d, s, "metadata.json", &f);
		break;
	case 4:
		(void)!tdvf_read(&t, s, &f);
		(void)!td_hob_witness_read(&t, s, &f);
		break;
	default:
		(void)!measure_kernel(d, s, 1 << 20, 1ull << 30, &f);
	}
	return 0;
}
