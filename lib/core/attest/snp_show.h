// snp_show - every field of an SEV-SNP report, decoded for people or as JSON. Shows, proves nothing.
#pragma once
#include "core/attest/snp.h"

enum { SNP_SHOW_MAX = 8 * SNP_REPORT }; // room that is always enough

// 0, or why the bytes are no report; `arg` as for wr_reason.
MUST_USE enum reason snp_show(struct wr *out, struct span report, bool json, uint32_t arg[static 2]);
