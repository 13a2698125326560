#include "chain.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/strings.h"
#include "base/time.h"
#include "core/hash/keccak.h"
#include "policy/channel.h"
#include "policy/jsonrpc.h"
#include "rpc/client.h"

enum { KEY_FILE_MAX = 256, REPLY_MAX = 1 << 20, TIP_WEI = 1000000000, POLL_MS = 200 };

struct chain {
	struct rpc_client *http;
	struct arena *arena;
	struct secret *key; // 32 bytes; NULL: only to read
	uint8_t sender[ETH_ADDRESS];
	uint64_t id;
	int wait_s;
};

static int rpc_error(struct err *e, const char *method, const char *text)
{
	return err_code(e, ERR_INPUT, "chain.rpc", "%s: the node says %s", method, text);
}

// One request in a batch of one.
static int ask(struct chain *c, const char *method, const char *params, struct json *out, struct err *e)
{
	struct jsonrpc_reply r;
	struct span body;
	unsigned n = 0;
	int status;
	auto_sb b = { 0 };

	jsonrpc_add(&b, &n, method, params);
	jsonrpc_end(&b);
	if (b.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (rpc_client_post(c->http, "", "application/json", span_of(b.p, b.n), c->arena, &status, &body, e))
		return err_wrap(e, "%s", method);
	if (status != 200)
		return err_code(e, ERR_AGAIN, "chain.rpc", "%s: HTTP status %d", method, status);
	const char *wrong = jsonrpc_read(&r, 1, body);
	if (wrong)
		return err_code(e, ERR_AGAIN, "chain.rpc", "%s: the node's answer %s", method, wrong);
	if (*r.error)
		return rpc_error(e, method, r.error);
	*out = r.result;
	return 0;
}

static int ask_number(struct chain *c, const char *method, const char *params, uint64_t *out, struct err *e)
{
	struct json v;

	if (ask(c, method, params, &v, e))
		return -1;
	return jsonrpc_quantity(v, out)
		       ? err_code(e, ERR_AGAIN, "chain.rpc", "%s: no number below 2^64", method)
		       : 0;
}

static int read_key(struct chain *c, const char *path, struct err *e)
{
	auto_secret *text = NULL;

	if (file_read_secret(path, KEY_FILE_MAX, &text, e))
		return -1;
	size_t n = text->n, from = 0;
	while (n && strchr("\r\n \t", text->b[n - 1]))
		n--;
	if (n > 2 && text->b[0] == '0' && text->b[1] == 'x')
		from = 2;
	c->key = secret_new(32);
	size_t len = 0;
	if (!c->key)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (hex_read(c->key->b, 32, (const char *)text->b + from, n - from, &len) || len != 32)
		return err_code(e, ERR_INPUT, "chain.key", "%s is not 64 hex digits", path);
	return eth_address(c->key->b, c->sender, e);
}

struct chain *chain_open(const struct chain_opts *o, struct err *e)
{
	struct rpc_client_opts http = {
		.connect_s = 5, .timeout_s = 20, .reply_max = REPLY_MAX, .ca_file = o->ca_file
	};
	struct policy_webhook_opts way = { .url = o->url, .ca_file = o->ca_file, .one_sided_tls = true };
	struct chain *c = calloc(1, sizeof *c);
	uint64_t id = 0;

	if (!c || !(c->arena = arena_new(0))) {
		err_set(e, ERR_SYSTEM, "out of memory");
		free(c);
		return NULL;
	}
	c->id = o->chain_id;
	c->wait_s = o->wait_s;
	if (policy_channel_check(&way, e) || !(c->http = rpc_client_new(o->url, &http, e)) ||
	    (o->key_file && read_key(c, o->key_file, e)) || ask_number(c, "eth_chainId", "[]", &id, e)) {
		chain_close(c);
		return NULL;
	}
	if (id == o->chain_id)
		return c;
	err_code(e, ERR_DENIED, "policy.chain_id", "the node is on chain %llu, not on chain %llu",
		 (unsigned long long)id, (unsigned long long)o->chain_id);
	chain_close(c);
	return NULL;
}

void chain_close(struct chain *c)
{
	if (!c)
		return;
	rpc_client_free(c->http);
	arena_free(c->arena);
	secret_free(c->key);
	free(c);
}

const uint8_t *chain_sender(const struct chain *c)
{
	return c->sender;
}

static char *call_params(struct chain *c, const uint8_t *from, const uint8_t *to, struct span data,
			 const char *at)
{
	auto_sb b = { 0 };

	sb_str(&b, "[{\"data\":\"0x");
	sb_hex(&b, data.p, data.n);
	if (to) {
		sb_str(&b, "\",\"to\":\"0x");
		sb_hex(&b, to, ETH_ADDRESS);
	}
	if (from) {
		sb_str(&b, "\",\"from\":\"0x");
		sb_hex(&b, from, ETH_ADDRESS);
	}
	sb_fmt(&b, "\"}%s]", at);
	return b.bad ? NULL : arena_str(c->arena, b.p);
}

int chain_call(struct chain *c, const uint8_t to[static ETH_ADDRESS], struct span data, uint8_t *out,
	       size_t cap, size_t *n, struct err *e)
{
	const char *params = call_params(c, NULL, to, data, ",\"latest\"");
	struct json v;

	if (!params)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (ask(c, "eth_call", params, &v, e))
		return -1;
	return jsonrpc_data(v, out, cap, n)
		       ? err_code(e, ERR_AGAIN, "chain.rpc", "eth_call: no data, or too much")
		       : 0;
}

static int fill_in(struct chain *c, struct eth_tx *t, struct err *e)
{
	const char *call = call_params(c, c->sender, t->to, t->data, "");
	struct json block, base;
	char params[64];
	uint64_t price;

	snprintf(params, sizeof params, "[\"0x%s\",\"pending\"]", STR_HEX(c->sender, ETH_ADDRESS));
	if (!call)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (ask_number(c, "eth_getTransactionCount", params, &t->nonce, e) ||
	    ask_number(c, "eth_estimateGas", call, &t->gas, e) ||
	    ask(c, "eth_getBlockByNumber", "[\"latest\",false]", &block, e))
		return -1;
	if (!json_get(block, "baseFeePerGas", &base) || jsonrpc_quantity(base, &price) ||
	    price > UINT64_MAX / 4)
		return err_code(e, ERR_AGAIN, "chain.rpc", "the head names no base fee");
	t->tip = TIP_WEI;
	t->fee = 2 * price + t->tip;
	t->gas += t->gas / 5; // the state may have changed when it is mined
	return 0;
}

static int read_receipt(struct json v, struct chain_receipt *r, struct err *e)
{
	static const char *const names[] = { "status", "blockNumber", "gasUsed", "contractAddress", "logs" };
	struct json m[5];
	uint64_t status;
	size_t n;

	json_pick(v, names, m, 5);
	if (jsonrpc_quantity(m[0], &status) || jsonrpc_quantity(m[1], &r->block) ||
	    jsonrpc_quantity(m[2], &r->gas) || json_kind(m[4]) != JSON_ARRAY)
		return err_code(e, ERR_AGAIN, "chain.rpc", "the receipt is malformed");
	if (json_kind(m[3]) == JSON_STRING &&
	    (jsonrpc_data(m[3], r->contract, ETH_ADDRESS, &n) || n != ETH_ADDRESS))
		return err_code(e, ERR_AGAIN, "chain.rpc", "the receipt is malformed");
	r->logs = m[4];
	if (status != 1)
		return err_code(e, ERR_DENIED, "chain.reverted", "transaction 0x%s was reverted",
				STR_HEX(r->hash, 32));
	return 0;
}

static int wait_receipt(struct chain *c, struct chain_receipt *r, struct err *e)
{
	uint64_t end = time_mono_ms() + (uint64_t)c->wait_s * 1000;
	struct json v;
	char params[80];

	snprintf(params, sizeof params, "[\"0x%s\"]", STR_HEX(r->hash, 32));
	for (;;) {
		if (ask(c, "eth_getTransactionReceipt", params, &v, e))
			return -1;
		if (json_kind(v) == JSON_OBJECT)
			return read_receipt(v, r, e);
		if (time_mono_ms() > end)
			return err_code(e, ERR_AGAIN, "chain.no_receipt",
					"transaction 0x%s is in no block after %d s", STR_HEX(r->hash, 32),
					c->wait_s);
		time_sleep_ms(POLL_MS);
	}
}

int chain_send(struct chain *c, const uint8_t *to, struct span data, struct chain_receipt *r, struct err *e)
{
	struct eth_tx t = { .chain_id = c->id, .to = to, .data = data };
	auto_free uint8_t *raw = malloc(ETH_TX_MAX);
	auto_sb params = { 0 };
	struct json v;

	*r = (struct chain_receipt){ 0 };
	if (!raw || !c->key)
		return err_set(e, ERR_BUG, "no key, or out of memory");
	struct wr w = wr_to(raw, ETH_TX_MAX);
	if (fill_in(c, &t, e) || eth_tx_sign(&w, &t, c->key->b, e))
		return -1;
	keccak256(raw, w.n, r->hash);
	sb_str(&params, "[\"0x");
	sb_hex(&params, raw, w.n);
	sb_str(&params, "\"]");
	if (params.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	return ask(c, "eth_sendRawTransaction", params.p, &v, e) || wait_receipt(c, r, e) ? -1 : 0;
}

int chain_event(const struct chain_receipt *r, const uint8_t of[static ETH_ADDRESS], const char *signature,
		unsigned topic, uint8_t out[static 32])
{
	static const char *const names[] = { "address", "topics" };
	struct json key, log, m[2], t;
	uint8_t want[32], address[ETH_ADDRESS], first[32];
	size_t n;

	keccak256(signature, strlen(signature), want);
	for (struct json_iter it = json_iter(r->logs); json_next(&it, &key, &log);) {
		unsigned i = 0;
		bool same = false;
		if (json_pick(log, names, m, 2) != 2 || jsonrpc_data(m[0], address, sizeof address, &n) ||
		    n != sizeof address || memcmp(address, of, sizeof address))
			continue;
		for (struct json_iter ti = json_iter(m[1]); json_next(&ti, &key, &t); i++) {
			if (jsonrpc_hash(t, first))
				break;
			same |= !i && !memcmp(first, want, sizeof want);
			if (same && i == topic) {
				memcpy(out, first, sizeof first);
				return 0;
			}
		}
	}
	return -1;
}
