// The document behind MRCONFIGID: what is read is written to the same bytes and agrees with itself; as the id
// of a machine it is bound to its own facts.
#include "core/measure/mrconfig.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t *text = malloc(n / 2 + 1), *text2 = malloc(n / 2 + 1);
	struct wr scratch = wr_to(text, n / 2), scratch2 = wr_to(text2, n / 2);
	uint8_t id[MR_CONFIG_LEN], want[MR_CONFIG_LEN];
	struct span document = span_of(data, n);
	struct mr_config c;
	struct fault f;

	if (!mr_config_read(&c, &scratch, document, &f)) {
		mr_config_id_v3(id, document);
		if (mr_config_judge(want, id, &c, document, &scratch2, &f) != MR_CONFIG_BOUND ||
		    mr_config_judge(want, id, &c, (struct span){ 0 }, &scratch2, &f) != MR_CONFIG_BOUND)
			__builtin_trap();
	}
	free(text);
	free(text2);
	return 0;
}
