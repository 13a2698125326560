#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/sb.h"
#include "base/strings.h"
#include "base/time.h"
#include "policy/abi.h"
#include "policy/backend.h"
#include "policy/channel.h"
#include "policy/ethereum_read.h"
#include "policy/net.h"
#include "policy/rules.h"
#include "policy/webhook_reply.h"

enum { REPLY_MAX = 2 << 20, INFO_FRESH_MS = 30000, INFO_RETRY_MS = 2000 };

struct ethereum {
	struct policy base;
	char source[POLICY_SOURCE_MAX];
	uint8_t contract[20];
	uint64_t chain_id, confirmations, max_age;
	long total_ms;
	struct net *net;
	pthread_mutex_t lock; // guards the rest
	bool has_known;
	struct eth_block known; // the highest block that was confirmed when we looked
	uint64_t heals_at;      // a new branch is believed once it is confirmed up to here; 0: all is well
	struct policy_info info;
	uint64_t info_due;
	bool info_asked, info_heard;
};

struct question {
	struct ethereum *eth;
	policy_done *done;
	void *arg;
	uint64_t deadline;
	struct eth_block head, known; // known: the one compared with, if has_known
	bool has_known;
	uint64_t at; // height of the confirmed block
	unsigned n;
	struct eth_slots slots;
	struct wr call;
	uint8_t calldata[ABI_CALL_MAX];
};

static void answer(struct question *q, struct policy_answer *a)
{
	snprintf(a->source, sizeof a->source, "%s", q->eth->source);
	q->done(q->arg, a);
	free(q);
}

static void deny(struct question *q, const struct err *e)
{
	struct policy_answer a = { .rc = -1, .err = *e };

	answer(q, &a);
}

static void add_call(struct sb *b, unsigned *n, const uint8_t to[static 20], const uint8_t *data,
		     size_t data_n, uint64_t at)
{
	auto_sb p = { 0 };

	sb_str(&p, "[{\"to\":\"0x");
	sb_hex(&p, to, 20);
	sb_str(&p, "\",\"data\":\"0x");
	sb_hex(&p, data, data_n);
	sb_fmt(&p, "\"},\"0x%llx\"]", (unsigned long long)at);
	b->bad |= p.bad;
	jsonrpc_add(b, n, "eth_call", p.bad ? "[]" : p.p);
}

static void add_getter(struct sb *b, unsigned *n, const uint8_t to[static 20], const char *signature,
		       uint64_t at)
{
	uint8_t data[4];
	struct wr w = wr_to(data, sizeof data);

	abi_selector(&w, signature);
	add_call(b, n, to, data, sizeof data, at);
}

static void add_block(struct sb *b, unsigned *n, uint64_t at)
{
	char params[48];

	snprintf(params, sizeof params, "[\"0x%llx\",false]", (unsigned long long)at);
	jsonrpc_add(b, n, "eth_getBlockByNumber", params);
}

// A block that was confirmed is not in the chain: nothing is allowed until the branch that replaced it is as
// settled as the old one was. Under the lock.
static int judge_branch(struct ethereum *p, struct question *q, bool same, struct err *e)
{
	if (same || !q->has_known) {
		p->heals_at = 0;
		return 0;
	}
	if (!p->heals_at) {
		p->heals_at = q->at + (p->confirmations ? p->confirmations : 1);
		log_error("policy", "%s: block %llu, which was confirmed, is not in the chain any more",
			  p->source, (unsigned long long)q->known.number);
	}
	if (q->at >= p->heals_at) {
		log_warn("policy", "%s: the new branch is confirmed at block %llu", p->source,
			 (unsigned long long)q->at);
		p->heals_at = 0;
		p->has_known = false;
		return 0;
	}
	return err_code(
		e, ERR_AGAIN, "policy.chain_reorg",
		"block %llu, which was confirmed, is not in the chain any more; denied up to block %llu",
		(unsigned long long)q->known.number, (unsigned long long)p->heals_at);
}

static void remember(struct ethereum *p, const struct eth_block *block)
{
	if (!p->has_known || block->number >= p->known.number) {
		p->known = *block;
		p->has_known = true;
	}
}

static void on_verdict(void *arg, const struct net_reply *r)
{
	struct question *q = arg;
	struct ethereum *p = q->eth;
	struct policy_answer a = { .rc = r->rc, .err = r->err };
	struct eth_block block = { 0 }, known = q->known;

	if (r->rc) {
		answer(q, &a);
		return;
	}
	eth_verdict_read(&a, r->body, q->n, &q->slots, &block, &known);
	bool read = strcmp(a.err.code, "policy.chain_reply") != 0;
	if (read && block.number != q->at)
		a.rc = err_code(&a.err, ERR_AGAIN, "policy.chain_reply",
				"the node gave another block than was asked");
	else if (read) {
		struct err why;
		bool same = known.number == q->known.number &&
			    !memcmp(known.hash, q->known.hash, sizeof known.hash);
		pthread_mutex_lock(&p->lock);
		if (judge_branch(p, q, same, &why)) {
			a.rc = -1;
			a.err = why;
		} else {
			remember(p, &block);
		}
		pthread_mutex_unlock(&p->lock);
	}
	answer(q, &a);
}

static void ask_contract(struct question *q)
{
	struct ethereum *p = q->eth;
	char params[96];
	auto_sb b = { 0 };

	q->slots = (struct eth_slots){ .known = -1, .now = -1 };
	q->slots.block = (int)q->n;
	add_block(&b, &q->n, q->at);
	if (q->has_known) {
		q->slots.known = (int)q->n;
		add_block(&b, &q->n, q->known.number);
	}
	q->slots.code = (int)q->n;
	snprintf(params, sizeof params, "[\"0x%s\",\"0x%llx\"]", STR_HEX(p->contract, 20),
		 (unsigned long long)q->at);
	jsonrpc_add(&b, &q->n, "eth_getCode", params);
	q->slots.then = (int)q->n;
	add_call(&b, &q->n, p->contract, q->calldata, q->call.n, q->at);
	q->slots.gateway = (int)q->n;
	add_getter(&b, &q->n, p->contract, "gatewayAppId()", q->at);
	if (q->at != q->head.number) {
		q->slots.now = (int)q->n;
		add_call(&b, &q->n, p->contract, q->calldata, q->call.n, q->head.number);
	}
	jsonrpc_end(&b);
	net_ask(p->net, "", b.bad ? "" : b.p, b.n, q->deadline, on_verdict, q);
}

static int choose_block(struct question *q, struct err *e)
{
	struct ethereum *p = q->eth;

	if (q->head.number < p->confirmations)
		return err_code(e, ERR_AGAIN, "policy.chain_stale",
				"the chain has %llu blocks, %llu confirm one",
				(unsigned long long)q->head.number, (unsigned long long)p->confirmations);
	q->at = q->head.number - p->confirmations;
	pthread_mutex_lock(&p->lock);
	q->has_known = p->has_known;
	q->known = p->known;
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static void on_head(void *arg, const struct net_reply *r)
{
	struct question *q = arg;
	struct err e;

	if (r->rc)
		deny(q, &r->err);
	else if (eth_head_read(r->body, q->eth->chain_id, q->eth->max_age, time_now(), &q->head, &e) ||
		 choose_block(q, &e))
		deny(q, &e);
	else
		ask_contract(q);
}

static void ethereum_ask(struct policy *base, const struct boot_info *b, enum policy_kind kind,
			 policy_done *done, void *arg)
{
	struct ethereum *p = (struct ethereum *)base;
	struct question *q = calloc(1, sizeof *q);
	auto_sb text = { 0 };
	struct policy_answer a = { 0 };
	unsigned n = 0;

	if (!q) {
		a.rc = err_code(&a.err, ERR_SYSTEM, "policy.busy", "out of memory");
		done(arg, &a);
		return;
	}
	*q = (struct question){
		.eth = p, .done = done, .arg = arg, .deadline = time_mono_ms() + (uint64_t)p->total_ms
	};
	q->call = wr_to(q->calldata, sizeof q->calldata);
	abi_boot_call(&q->call, b, kind);
	jsonrpc_add(&text, &n, "eth_chainId", "[]");
	jsonrpc_add(&text, &n, "eth_getBlockByNumber", "[\"latest\",false]");
	jsonrpc_end(&text);
	if (q->call.bad || text.bad) {
		err_code(&a.err, ERR_SYSTEM, "policy.busy", "the question is too long, or out of memory");
		deny(q, &a.err);
		return;
	}
	net_ask(p->net, "", text.p, text.n, q->deadline, on_head, q);
}

static void read_info(struct ethereum *p, const struct jsonrpc_reply *r, struct policy_info *i)
{
	char text[ABI_TEXT_MAX + 1];
	uint8_t data[ABI_TEXT_MAX], impl[20];
	uint64_t id;
	size_t n;

	if (jsonrpc_quantity(r[0].result, &id) || id != p->chain_id)
		return;
	if (jsonrpc_data(r[1].result, data, sizeof data, &n) || abi_read_text(span_of(data, n), text) ||
	    policy_gateway_read(text, i->gateway))
		return;
	if (jsonrpc_data(r[2].result, data, sizeof data, &n) || abi_read_address(span_of(data, n), impl))
		return;
	snprintf(i->app_implementation, sizeof i->app_implementation, "0x%s", STR_HEX(impl, 20));
	i->has_chain = true;
}

static void on_info(void *arg, const struct net_reply *r)
{
	struct ethereum *p = arg;
	struct jsonrpc_reply replies[3];
	struct policy_info i = p->info; // contract, chain and url are there from the start

	if (!r->rc && !jsonrpc_read(replies, 3, r->body))
		read_info(p, replies, &i);
	pthread_mutex_lock(&p->lock);
	if (i.has_chain)
		p->info = i;
	p->info_asked = false;
	p->info_heard = true;
	p->info_due = time_mono_ms() + (i.has_chain ? INFO_FRESH_MS : INFO_RETRY_MS);
	pthread_mutex_unlock(&p->lock);
}

static void ask_info(struct ethereum *p)
{
	static const char *const getters[] = { "gatewayAppId()", "appImplementation()" };
	auto_sb b = { 0 };
	unsigned n = 0;

	jsonrpc_add(&b, &n, "eth_chainId", "[]");
	for (size_t i = 0; i < 2; i++) {
		uint8_t data[4];
		char params[128];
		struct wr w = wr_to(data, sizeof data);
		abi_selector(&w, getters[i]);
		snprintf(params, sizeof params, "[{\"to\":\"0x%s\",\"data\":\"0x%s\"},\"latest\"]",
			 STR_HEX(p->contract, 20), STR_HEX(data, 4));
		jsonrpc_add(&b, &n, "eth_call", params);
	}
	jsonrpc_end(&b);
	net_ask(p->net, "", b.bad ? "" : b.p, b.n, UINT64_MAX, on_info, p);
}

static void ethereum_info(struct policy *base, struct policy_info *out)
{
	struct ethereum *p = (struct ethereum *)base;

	pthread_mutex_lock(&p->lock);
	bool ask = !p->info_asked && time_mono_ms() >= p->info_due;
	p->info_asked |= ask;
	*out = p->info;
	out->pending = !p->info_heard;
	pthread_mutex_unlock(&p->lock);
	if (ask)
		ask_info(p);
}

static void ethereum_stop(struct policy *base)
{
	net_stop(((struct ethereum *)base)->net);
}

static void ethereum_free(struct policy *base)
{
	struct ethereum *p = (struct ethereum *)base;

	net_free(p->net);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

// The node's address without what may be secret in its path.
static void show_url(char *out, size_t cap, const char *url)
{
	const char *host = strstr(url, "://");
	size_t n = host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : strlen(url);

	snprintf(out, cap, "%.*s", (int)n, url);
}

static int set_up(struct ethereum *p, const struct policy_ethereum_opts *o, struct err *e)
{
	struct policy_webhook_opts node = o->node;
	char shown[256];

	node.one_sided_tls = true;
	if (!o->chain_id || !o->contract || policy_hex(o->contract, p->contract, sizeof p->contract))
		return err_code(e, ERR_INPUT, "config.policy",
				"%s: an ethereum source needs chain_id, and contract: 40 "
				"hex digits",
				node.url);
	if (policy_channel_check(&node, e))
		return -1;
	show_url(shown, sizeof shown, node.url);
	snprintf(p->source, sizeof p->source, "ethereum %s", node.name && *node.name ? node.name : shown);
	snprintf(p->info.contract, sizeof p->info.contract, "0x%s", STR_HEX(p->contract, 20));
	snprintf(p->info.rpc_url, sizeof p->info.rpc_url, "%s", shown);
	p->info.chain_id = p->chain_id = o->chain_id;
	p->confirmations = o->confirmations;
	p->max_age = o->head_max_age;
	p->total_ms = node.total_ms ? node.total_ms : 10000;
	struct net_opts net = { .url = node.url,
				.ca_file = node.ca_file,
				.client_cert = node.client_cert,
				.client_key = node.client_key,
				.connect_ms = node.connect_ms ? node.connect_ms : 3000,
				.total_ms = p->total_ms,
				.reply_max = REPLY_MAX };
	p->net = net_new(&net, e);
	return p->net ? 0 : -1;
}

struct policy *policy_ethereum_new(const struct policy_ethereum_opts *o, struct err *e)
{
	struct ethereum *p = calloc(1, sizeof *p);
	struct policy_info info;

	if (!p) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	p->base = (struct policy){
		.ask = ethereum_ask, .info = ethereum_info, .stop = ethereum_stop, .free = ethereum_free
	};
	pthread_mutex_init(&p->lock, NULL);
	if (set_up(p, o, e)) {
		ethereum_free(&p->base);
		return NULL;
	}
	ethereum_info(&p->base, &info);
	return &p->base;
}
