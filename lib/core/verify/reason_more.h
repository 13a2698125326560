// reason_more - explanations of the codes beyond enum reason. Private to verify/reason*.c.
#pragma once
#include "core/verify/reason.h"

extern const struct reason_text reason_more[];
extern const size_t reason_more_count;
