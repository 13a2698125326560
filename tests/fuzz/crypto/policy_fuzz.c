// Policy files: whatever parses can be judged, an empty boot info is never allowed, and the gateway is an id.
#include <string.h>

#include "policy/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct boot_info nobody;
	struct err e;
	struct policy_rules *r = policy_rules_parse((const char *)data, size, "fuzz", &e);

	if (!r)
		return 0;
	if (!policy_rules_judge(r, &nobody, POLICY_APP, &e) || !*e.code)
		__builtin_trap();
	if (!policy_rules_judge(r, &nobody, POLICY_KMS, &e) || !*e.code)
		__builtin_trap();
	size_t n = strlen(policy_rules_gateway(r));
	if (n && n != 40)
		__builtin_trap();
	policy_rules_free(r);
	return 0;
}
