#include "policy/policy.h"

#include "policy/backend.h"

int policy_allow(struct policy *p, const struct boot_info *b, enum policy_kind kind, struct err *e)
{
	return p->allow(p, b, kind, e);
}

void policy_gateway_app_id(struct policy *p, char out[static POLICY_GATEWAY_MAX])
{
	p->gateway_app_id(p, out);
}

void policy_free(struct policy *p)
{
	if (p)
		p->free(p);
}
