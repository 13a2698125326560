// reason_more - explanations of the codes beyond enum reason, in groups. Private to verdict/reason*.c.
//
// A code that any program reports has an entry in one of them: tests/unit/core/codes.py compares.
#pragma once
#include "core/verdict/reason.h"

struct reason_group {
	const struct reason_text *text;
	size_t n;
};

extern const struct reason_group reason_snp; // of enum reason, from REASON_SNP on
extern const struct reason_group reason_evidence;
extern const struct reason_group reason_verdict;
extern const struct reason_group reason_keys;
extern const struct reason_group reason_guest;
extern const struct reason_group reason_env;
extern const struct reason_group reason_host;
extern const struct reason_group reason_release;
extern const struct reason_group reason_lint;
