// What a policy service answers: an allow is only ever what a second reader of the JSON also takes for one.
#include <string.h>

#include "core/codec/json.h"
#include "policy/webhook_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_answer a = { .rc = -1 };
	struct policy_info info;
	struct json doc, m;
	bool yes = false;

	webhook_reply_read(&a, span_of(data, size));
	if (a.rc && !*a.err.code)
		__builtin_trap();
	if (!a.rc && (json_parse(&doc, span_of(data, size), NULL) || !json_get(doc, "isAllowed", &m) ||
		      json_bool(m, &yes) || !yes))
		__builtin_trap();
	size_t n = strlen(a.gateway);
	if (n && n != 40)
		__builtin_trap();
	if (a.epochs.n_revoked > POLICY_REVOKED_MAX)
		__builtin_trap();
	if (!webhook_info_read(&info, span_of(data, size)) && strlen(info.contract) >= sizeof info.contract)
		__builtin_trap();
	return 0;
}
