// Upstream's auth-config.json: whatever parses can be judged, an empty boot info is never allowed.
#include <string.h>

#include "policy/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct boot_info nobody;
	struct policy_info info = { 0 };
	struct err e;
	struct policy_rules *r = policy_rules_parse((const char *)data, size, "fuzz.json", &e);

	if (!r)
		return 0;
	if (!policy_rules_judge(r, &nobody, POLICY_APP, &e) || !*e.code ||
	    !policy_rules_judge(r, &nobody, POLICY_KMS, &e) || !*e.code)
		__builtin_trap();
	policy_rules_info(r, &info);
	size_t n = strlen(info.gateway);
	if (n && n != 40)
		__builtin_trap();
	policy_rules_free(r);
	return 0;
}
