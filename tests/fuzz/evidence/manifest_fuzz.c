// An image's metadata.json and sha256sum.txt, both from the same bytes.
#include <stdlib.h>
#include <string.h>

#include "core/measure/measure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t d[32], *text = malloc(n + 1);
	struct wr scratch = wr_to(text, n);
	struct image_metadata meta;
	struct fault f;

	if (!text)
		abort();
	if (!image_metadata_read(&meta, &scratch, span_of(data, n), &f)) {
		struct span names[] = { meta.bios, meta.kernel, meta.initrd };

		for (size_t i = 0; i < sizeof names / sizeof *names;
		     i++) // flat names, or the host's files are open
			if (names[i].n && (memchr(names[i].p, '/', names[i].n) || names[i].p[0] == '.'))
				abort();
	}
	(void)!image_checksum(d, span_of(data, n), "metadata.json", &f);
	free(text);
	return 0;
}
