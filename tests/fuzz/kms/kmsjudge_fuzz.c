// Any bytes as a judge's answer: what is called well-formed can be written out, and never says yes twice
// over.
#include <stdlib.h>
#include <string.h>

#include "ratls/judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	static struct judge_answer a;
	static char text[256 * 1024];
	struct wr out = wr_to(text, sizeof text);

	// Patches of (place, byte) over an answer that is good as it is.
	memset(&a, 0, sizeof a);
	verdict_init(&a.result.verdict);
	(void)verdict_pass(&a.result.verdict, "quote", span_str("x"), ANCHOR_INTEL);
	(void)verdict_close(&a.result.verdict, (const char *const[]){ "quote", NULL });
	a.result.has_quote = true;
	if (!judge_well_formed(&a))
		abort();
	for (; n >= 4; d += 4, n -= 4) {
		size_t at = ((size_t)d[0] << 16 | (size_t)d[1] << 8 | d[2]) % sizeof a;
		((uint8_t *)&a)[at] = d[3];
	}
	if (!judge_well_formed(&a))
		return 0;
	trust_json(&out, &a.result);
	boot_info_write_json(&out, &a.result.boot);
	if (!a.rc != a.result.verdict.ok || strlen(a.err.text) >= sizeof a.err.text)
		abort();
	return 0;
}
