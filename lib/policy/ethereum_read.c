#include "policy/ethereum_read.h"

#include <string.h>

#include "base/strings.h"
#include "policy/abi.h"
#include "policy/webhook_reply.h"

enum { CLOCK_SLACK_S = 60, DATA_MAX = ABI_TEXT_MAX + 4 * ABI_WORD };

static int malformed(struct err *e, const char *what)
{
	return err_code(e, ERR_AGAIN, "policy.chain_reply", "the node's answer %s", what);
}

int eth_block_read(struct json v, struct eth_block *out)
{
	static const char *const names[] = { "number", "timestamp", "hash" };
	struct json m[3];

	if (json_kind(v) != JSON_OBJECT)
		return -1;
	json_pick(v, names, m, 3);
	return jsonrpc_quantity(m[0], &out->number) || jsonrpc_quantity(m[1], &out->time) ||
			       jsonrpc_hash(m[2], out->hash)
		       ? -1
		       : 0;
}

static int no_error(const struct jsonrpc_reply *r, const char *what, struct err *e)
{
	return *r->error
		       ? err_code(e, ERR_AGAIN, "policy.chain_reply", "the node cannot say %s: error %lld %s",
				  what, (long long)r->code, r->error)
		       : 0;
}

int eth_head_read(struct span body, uint64_t chain_id, uint64_t max_age, uint64_t now, struct eth_block *head,
		  struct err *e)
{
	struct jsonrpc_reply r[2];
	const char *wrong = jsonrpc_read(r, 2, body);
	uint64_t id;

	if (wrong)
		return malformed(e, wrong);
	if (no_error(&r[0], "its chain", e) || no_error(&r[1], "its head", e))
		return -1;
	if (jsonrpc_quantity(r[0].result, &id) || eth_block_read(r[1].result, head))
		return malformed(e, "has no chain id or no block");
	if (id != chain_id)
		return err_code(e, ERR_AGAIN, "policy.chain_id",
				"the node is on chain %llu, not on chain %llu", (unsigned long long)id,
				(unsigned long long)chain_id);
	if (head->time > now + CLOCK_SLACK_S)
		return err_code(e, ERR_AGAIN, "policy.chain_stale",
				"the chain's head is %llu s ahead of this clock",
				(unsigned long long)(head->time - now));
	if (head->time < now && now - head->time > max_age)
		return err_code(e, ERR_AGAIN, "policy.chain_stale",
				"the chain's head is %llu s old; head_max_age is %llu s",
				(unsigned long long)(now - head->time), (unsigned long long)max_age);
	return 0;
}

// What a call returned: bytes, or why there are none.
static int call_data(const struct jsonrpc_reply *r, uint8_t *out, size_t *n, struct err *e)
{
	if (*r->error)
		return err_code(e, ERR_DENIED, "policy.chain_revert",
				"the contract did not answer: error %lld %s", (long long)r->code, r->error);
	if (jsonrpc_data(r->result, out, DATA_MAX, n))
		return malformed(e, "to a call is no data, or too much");
	return 0;
}

static int read_verdict(const struct jsonrpc_reply *r, const char *when, struct err *e)
{
	char text[ABI_TEXT_MAX + 1];
	uint8_t data[DATA_MAX];
	bool allowed = false;
	size_t n = 0;

	if (call_data(r, data, &n, e))
		return -1;
	if (abi_read_verdict(span_of(data, n), &allowed, text))
		return malformed(e, "to a call is not (bool, string)");
	return allowed ? 0
		       : err_code(e, ERR_DENIED, "policy.denied", "%s (%s)",
				  str_quote((char[300]){ 0 }, 300, text, strlen(text)), when);
}

static int read_gateway(const struct jsonrpc_reply *r, char out[static POLICY_GATEWAY_MAX], struct err *e)
{
	char text[ABI_TEXT_MAX + 1];
	uint8_t data[DATA_MAX];
	size_t n = 0;

	if (call_data(r, data, &n, e))
		return -1;
	if (abi_read_text(span_of(data, n), text))
		return malformed(e, "to gatewayAppId is no string");
	return policy_gateway_read(text, out) ? malformed(e, "names a gateway that is no app id") : 0;
}

// Code is at least one byte; how much of it does not matter.
static int read_code(const struct jsonrpc_reply *r, struct err *e)
{
	struct span text;

	if (no_error(r, "the contract's code", e))
		return -1;
	if (json_plain(r->result, &text) || text.n < 2 || memcmp(text.p, "0x", 2))
		return malformed(e, "about code is none");
	return text.n >= 4
		       ? 0
		       : err_code(e, ERR_AGAIN, "policy.chain_code", "there is no contract at the address");
}

static int read_all(struct policy_answer *a, const struct jsonrpc_reply *r, const struct eth_slots *s,
		    struct eth_block *block, struct eth_block *known)
{
	struct err *e = &a->err;

	if (no_error(&r[s->block], "a block", e))
		return -1;
	if (eth_block_read(r[s->block].result, block))
		return malformed(e, "has no block");
	// A block that is not there any more is another block.
	if (s->known >= 0 && eth_block_read(r[s->known].result, known))
		memset(known, 0, sizeof *known);
	if (read_code(&r[s->code], e) || read_verdict(&r[s->then], "in the confirmed block", e) ||
	    read_gateway(&r[s->gateway], a->gateway, e))
		return -1;
	return s->now >= 0 ? read_verdict(&r[s->now], "at the head", e) : 0;
}

void eth_verdict_read(struct policy_answer *a, struct span body, unsigned n, const struct eth_slots *s,
		      struct eth_block *block, struct eth_block *known)
{
	struct jsonrpc_reply r[JSONRPC_MAX];
	const char *wrong = jsonrpc_read(r, n, body);

	a->rc = wrong ? malformed(&a->err, wrong) : read_all(a, r, s, block, known);
}
