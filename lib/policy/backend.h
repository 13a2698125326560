// backend - what a policy back end provides. Private to lib/policy.
#pragma once
#include "core/verify/bootinfo.h"
#include "policy/policy.h"

struct policy {
	int (*allow)(struct policy *p, const struct boot_info *b, enum policy_kind kind, struct err *e);
	void (*gateway_app_id)(struct policy *p, char out[static POLICY_GATEWAY_MAX]);
	void (*free)(struct policy *p);
};
