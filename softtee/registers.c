#include "registers.h"

#include <string.h>

#include "core/attest/eventlog.h"

void registers_reset(struct registers *r)
{
	memset(r->body.rtmr, 0, sizeof r->body.rtmr);
	r->extends = 0;
}

void registers_extend(struct registers *r, int index, const uint8_t digest[static MR])
{
	register_extend(r->body.rtmr[index], digest);
}

static int rtmr_of(uint32_t pcr)
{
	if (pcr == 1 || pcr == 7)
		return 0;
	if (pcr >= 2 && pcr <= 6)
		return 1;
	return pcr >= 8 && pcr <= 15 && pcr != 10 ? 2 : -1;
}

void registers_watch(struct registers *r, struct span command, struct span answer)
{
	struct tpm_extend seen;
	enum tpm_seen what = tpm_watch(command, answer, &seen);

	if (what == TPM_UNREADABLE)
		r->broken = true;
	if (what != TPM_EXTEND)
		return;
	r->extends++;
	int index = rtmr_of(seen.pcr);
	if (index >= 0)
		registers_extend(r, index, seen.digest);
}
