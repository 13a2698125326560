// Extension payloads and signing requests. The first byte chooses.
#include "core/attest/certext.h"
#include "core/codec/msgpack.h"

#include <stdlib.h>
#include <string.h>

static void requests(const uint8_t *data, size_t n, int version)
{
	uint8_t *out = malloc(n + 64);
	struct wr w = wr_to(out, n + 64);
	struct csr csr;
	struct fault f;

	if (!csr_read(&csr, span_of(data, n), version, &f) && csr.confirmed) { // only those can be written
		csr_write(&w, &csr);
		if (w.bad || w.n != n || memcmp(out, data, n) != 0)
			__builtin_trap();
	}
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct app_info info;
	struct span payload;
	struct fault f;

	if (!n)
		return 0;
	if (data[0] % 4 < 2) {
		requests(data + 1, n - 1, 1 + data[0] % 4);
	} else if (data[0] % 4 == 2) {
		uint8_t *text = malloc(n);
		struct wr s = wr_to(text, n);

		(void)!app_info_read(&info, &s, span_of(data + 1, n - 1), &f);
		free(text);
	} else {
		struct rd r = rd_from(data + 1, n - 1);

		(void)!octet_string_read(&payload, span_of(data + 1, n - 1), &f);
		mp_skip(&r);
	}
	return 0;
}
