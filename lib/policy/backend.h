// backend - what a policy back end provides. Private to lib/policy.
#pragma once
#include "core/verify/bootinfo.h"
#include "policy/policy.h"

struct policy {
	void (*ask)(struct policy *p, const struct boot_info *b, enum policy_kind kind, policy_done *done,
		    void *arg);
	void (*info)(struct policy *p, struct policy_info *out);
	void (*stop)(struct policy *p); // may be NULL
	void (*free)(struct policy *p);
};
