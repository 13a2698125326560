#include "policy/webhook_reply.h"

#include <stdio.h>
#include <string.h>

#include "base/strings.h"
#include "core/codec/json.h"
#include "policy/rules.h"

enum { REASON_MAX = 512 };

static void malformed(struct policy_answer *a, const char *what)
{
	a->rc = err_code(&a->err, ERR_AGAIN, "policy.reply", "the policy service's answer %s", what);
}

// The reason as it came, as upstream's KMS hands it on, but for what no log should hold.
static void deny(struct policy_answer *a, const char *reason, size_t n)
{
	char text[300];

	str_quote(text, sizeof text, reason, n);
	a->rc = err_code(&a->err, ERR_DENIED, "policy.denied", "%.*s", (int)strlen(text) - 2, text + 1);
}

int policy_gateway_read(const char *text, char out[static POLICY_GATEWAY_MAX])
{
	uint8_t id[20];

	out[0] = 0;
	if (!*text)
		return 0;
	if (policy_hex(text, id, sizeof id))
		return -1;
	str_hex(out, id, sizeof id);
	return 0;
}

static int get_gateway(struct json v, char out[static POLICY_GATEWAY_MAX])
{
	char text[64];

	return json_cstr(v, text, sizeof text) ? -1 : policy_gateway_read(text, out);
}

static int read_revoked(struct policy_epochs *p, struct json list)
{
	static const char *const names[] = { "epoch", "at" };
	struct json key, v, m[2];

	if (json_kind(list) == JSON_NONE)
		return 0;
	if (json_kind(list) != JSON_ARRAY || json_count(list) > POLICY_REVOKED_MAX)
		return -1;
	for (struct json_iter it = json_iter(list); json_next(&it, &key, &v); p->n_revoked++)
		if (json_kind(v) != JSON_OBJECT || json_pick(v, names, m, 2) != 2 ||
		    json_u64(m[0], UINT64_MAX, &p->revoked[p->n_revoked].epoch) ||
		    json_u64(m[1], UINT64_MAX, &p->revoked[p->n_revoked].at))
			return -1;
	return 0;
}

static int read_epochs(struct policy_epochs *p, struct json v)
{
	static const char *const names[] = { "current", "min", "legacy", "revocations" };
	uint64_t *const out[] = { &p->current, &p->min, &p->legacy };
	struct json m[4];

	if (json_kind(v) == JSON_NONE || json_kind(v) == JSON_NULL)
		return 0;
	if (json_kind(v) != JSON_OBJECT)
		return -1;
	json_pick(v, names, m, 4);
	for (size_t i = 0; i < 3; i++)
		if (json_kind(m[i]) != JSON_NONE && json_u64(m[i], UINT64_MAX, out[i]))
			return -1;
	p->given = true;
	return p->min > p->current || p->legacy > p->current ? -1 : read_revoked(p, m[3]);
}

void webhook_reply_read(struct policy_answer *a, struct span body)
{
	static const char *const names[] = { "isAllowed", "gatewayAppId", "reason", "keyEpoch" };
	struct json doc, m[4];
	char reason[REASON_MAX];
	size_t n = 0;
	bool allowed;

	if (json_parse(&doc, body, NULL) || json_kind(doc) != JSON_OBJECT) {
		malformed(a, "is not one JSON object");
		return;
	}
	json_pick(doc, names, m, 4);
	if (json_bool(m[0], &allowed))
		malformed(a, "has no isAllowed that is true or false");
	else if (json_kind(m[2]) != JSON_STRING)
		malformed(a, "has no reason");
	else if (get_gateway(m[1], a->gateway))
		malformed(a, "has no gatewayAppId that is empty or 40 hex digits");
	else if (read_epochs(&a->epochs, m[3]))
		malformed(a, "has a malformed keyEpoch");
	else if (allowed)
		a->rc = 0;
	else if (json_string(m[2], reason, sizeof reason, &n) || !n)
		a->rc = err_code(&a->err, ERR_DENIED, "policy.denied", "the policy service gives no reason");
	else
		deny(a, reason, n);
	if (a->rc)
		a->epochs = (struct policy_epochs){ 0 };
}

static int get_text(struct json v, char *out, size_t cap)
{
	if (json_cstr(v, out, cap))
		return -1;
	for (const char *p = out; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			return -1;
	return 0;
}

int webhook_info_read(struct policy_info *out, struct span body)
{
	static const char *const names[] = { "status",   "kmsContractAddr",   "gatewayAppId",
					     "chainId",  "appImplementation", "appAuthImplementation",
					     "ethRpcUrl" };
	struct policy_info i = { .has_chain = true };
	struct json doc, m[7];

	if (json_parse(&doc, body, NULL) || json_kind(doc) != JSON_OBJECT)
		return -1;
	json_pick(doc, names, m, 7);
	if (!json_is(m[0], "ok") || get_text(m[1], i.contract, sizeof i.contract) ||
	    get_gateway(m[2], i.gateway) || json_u64(m[3], UINT64_MAX, &i.chain_id))
		return -1;
	struct json impl = json_kind(m[4]) == JSON_NONE ? m[5] : m[4];
	if (get_text(impl, i.app_implementation, sizeof i.app_implementation))
		return -1;
	if (json_kind(m[6]) == JSON_STRING && get_text(m[6], i.rpc_url, sizeof i.rpc_url))
		return -1;
	*out = i;
	return 0;
}
