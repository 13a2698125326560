// The ethereum back end against a node that lies, lags, reorganises, hangs; the ABI against vectors that
// foundry's cast has checked; and the quorum of several back ends.
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sb.h"
#include "base/strings.h"
#include "base/time.h"
#include "fake.h"
#include "guest.h"
#include "policy/abi.h"
#include "policy/config.h"
#include "policy/jsonrpc.h"

#define CONTRACT "5fbdb2315678afecb367f032d93f642f64180aa3"

// What the node says.
static struct chain {
	uint64_t id, head;
	int64_t age;
	uint64_t fork; // blocks from here on have another hash
	bool has_code;
	uint64_t allowed_from, allowed_to; // blocks in which the contract allows
	const char *gateway, *raw_verdict, *whole, *call_error;
	int wait_ms;
	bool single; // answers in one object, as to one request
} chain;
static struct fake node;
static char scratch[400000];
static const char *vectors_file;

static void good_chain(void)
{
	chain = (struct chain){ .id = 31337,
				.head = 100,
				.fork = UINT64_MAX,
				.has_code = true,
				.allowed_to = UINT64_MAX,
				.gateway = "0x" ID2 };
}

static void word(struct sb *b, uint64_t v)
{
	sb_fmt(b, "%064llx", (unsigned long long)v);
}

static void text_data(struct sb *b, const char *text)
{
	size_t n = strlen(text);

	word(b, n);
	sb_hex(b, text, n);
	for (; n % 32; n++)
		sb_str(b, "00");
}

static void say_call(struct sb *b, struct json params)
{
	struct json key, v, at = { 0 }, data, call = { 0 };
	char hex[16];
	uint64_t number;
	size_t i = 0;

	for (struct json_iter it = json_iter(params); json_next(&it, &key, &v); i++)
		*(i ? &at : &call) = v;
	assert_true(json_get(call, "data", &data));
	snprintf(hex, sizeof hex, "%.10s", (const char *)data.text.p + 1);
	if (jsonrpc_quantity(at, &number))
		number = chain.head;
	bool yes = number >= chain.allowed_from && number <= chain.allowed_to;
	if (chain.call_error && strcmp(hex, "0x95f51931")) {
		sb_fmt(b, "\"error\":{\"code\":3,\"message\":\"%s\"}", chain.call_error);
		return;
	}
	sb_str(b, "\"result\":\"0x");
	if (!strcmp(hex, "0x95f51931")) {
		word(b, 32);
		text_data(b, chain.gateway);
	} else if (!strcmp(hex, "0x25a992da")) {
		word(b, 0x1234);
	} else if (chain.raw_verdict) {
		sb_str(b, chain.raw_verdict);
	} else {
		word(b, yes);
		word(b, 64);
		text_data(b, yes ? "" : "Compose hash not allowed");
	}
	sb_str(b, "\"");
}

static void say_block(struct sb *b, struct json params)
{
	struct json key, v, which = { 0 };
	uint64_t number;

	for (struct json_iter it = json_iter(params); json_next(&it, &key, &v) && !which.text.n;)
		which = v;
	if (jsonrpc_quantity(which, &number))
		number = chain.head;
	if (number > chain.head) {
		sb_str(b, "\"result\":null");
		return;
	}
	sb_fmt(b,
	       "\"result\":{\"number\":\"0x%llx\",\"timestamp\":\"0x%llx\",\"transactions\":[],\"hash\":\"0x",
	       (unsigned long long)number, (unsigned long long)((int64_t)time_now() - chain.age));
	word(b, number >= chain.fork ? number + (1ULL << 40) + chain.fork : number);
	sb_str(b, "\"}");
}

static void say(struct sb *b, struct json request)
{
	struct json method, params, id;

	assert_true(json_get(request, "method", &method) && json_get(request, "params", &params) &&
		    json_get(request, "id", &id));
	sb_fmt(b, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,", (int)id.text.n, (const char *)id.text.p);
	if (json_is(method, "eth_chainId"))
		sb_fmt(b, "\"result\":\"0x%llx\"", (unsigned long long)chain.id);
	else if (json_is(method, "eth_getCode"))
		sb_str(b, chain.has_code ? "\"result\":\"0x60\"" : "\"result\":\"0x\"");
	else if (json_is(method, "eth_call"))
		say_call(b, params);
	else
		say_block(b, params);
	sb_str(b, "}");
}

static void serve(void *arg, const struct fake_request *q, struct fake_reply *r)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct json doc, key, v;
	auto_sb b = { 0 };

	(void)arg;
	pthread_mutex_lock(&lock);
	if (json_parse(&doc, span_of(q->body, q->body_n), NULL))
		abort();
	sb_str(&b, chain.single ? "" : "[");
	for (struct json_iter it = json_iter(doc); json_next(&it, &key, &v);) {
		if (b.n > 1)
			sb_str(&b, ",");
		say(&b, v);
		if (chain.single)
			break;
	}
	sb_str(&b, chain.single ? "" : "]");
	snprintf(scratch, sizeof scratch, "%s", chain.whole ? chain.whole : b.p);
	*r = (struct fake_reply){ .body = scratch, .wait_ms = chain.wait_ms };
	pthread_mutex_unlock(&lock);
}

static int setup(void **state)
{
	(void)state;
	good_chain();
	fake_start(&node, serve, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_stop(&node);
	return 0;
}

static struct policy *at_chain(uint64_t confirmations)
{
	struct policy_ethereum_opts o = { .node = { .url = node.url, .connect_ms = 400, .total_ms = 400 },
					  .chain_id = 31337,
					  .contract = "0x" CONTRACT,
					  .confirmations = confirmations,
					  .head_max_age = 60 };
	struct err e = { 0 };
	struct policy *p = policy_ethereum_new(&o, &e);

	if (!p)
		fail_msg("%s %s", e.code, e.text);
	usleep(20000); // the question about itself is not to be in the way
	return p;
}

static void allows_and_denies(void **state)
{
	struct boot_info b = guest();
	struct policy *p = at_chain(3);
	struct policy_info i;
	struct err e;

	(void)state;
	good_chain();
	expect(p, &b, POLICY_APP, NULL);
	expect(p, &b, POLICY_KMS, NULL);
	chain.allowed_from = 98; // in the head, not yet in the block that is confirmed
	expect(p, &b, POLICY_APP, "policy.denied");
	chain.head = 101;
	expect(p, &b, POLICY_APP, NULL);
	chain.allowed_to = 100; // withdrawn in the head: at once
	assert_int_equal(policy_allow(p, &b, POLICY_APP, &e), -1);
	assert_string_equal(e.code, "policy.denied");
	assert_non_null(strstr(e.text, "Compose hash not allowed"));
	assert_non_null(strstr(e.text, "at the head"));
	policy_info(p, &i);
	assert_string_equal(i.contract, "0x" CONTRACT);
	assert_string_equal(i.gateway, ID2);
	assert_int_equal(i.chain_id, 31337);
	assert_true(i.has_chain);
	policy_free(p);
}

static void gv_02_frozen_node(void **state)
{
	struct boot_info b = guest();
	struct policy *p = at_chain(0);

	(void)state;
	good_chain();
	expect(p, &b, POLICY_APP, NULL);
	chain.age = 59;
	expect(p, &b, POLICY_APP, NULL);
	chain.age = 63;
	expect(p, &b, POLICY_APP, "policy.chain_stale");
	chain.age = -70; // from the future: as good as no time at all
	expect(p, &b, POLICY_APP, "policy.chain_stale");
	good_chain();
	expect(p, &b, POLICY_APP, NULL);
	policy_free(p);
	p = at_chain(101); // more than there are blocks
	expect(p, &b, POLICY_APP, "policy.chain_stale");
	policy_free(p);
}

static void gv_04_wrong_chain_or_contract(void **state)
{
#define TRUE_WORD "0000000000000000000000000000000000000000000000000000000000000001"
#define AT_64     "0000000000000000000000000000000000000000000000000000000000000040"
	static const struct {
		const char *verdict, *code;
	} t[] = {
		{ "", "policy.chain_reply" },
		{ TRUE_WORD, "policy.chain_reply" },
		{ TRUE_WORD AT_64, "policy.chain_reply" },
		{ "0000000000000000000000000000000000000000000000000000000000000002" AT_64
		  "0000000000000000000000000000000000000000000000000000000000000000",
		  "policy.chain_reply" },
		{ "8000000000000000000000000000000000000000000000000000000000000001" AT_64
		  "0000000000000000000000000000000000000000000000000000000000000000",
		  "policy.chain_reply" },
		{ TRUE_WORD AT_64 "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		  "policy.chain_reply" },
		{ TRUE_WORD AT_64 "0000000000000000000000000000000000000000000000000000000000000001",
		  "policy.chain_reply" },
		{ TRUE_WORD TRUE_WORD TRUE_WORD, "policy.chain_reply" },
		{ TRUE_WORD "00000000000000000000000000000000000000000000000000000000ffffffe0" TRUE_WORD,
		  "policy.chain_reply" },
		{ "zz", "policy.chain_reply" },
		{ TRUE_WORD AT_64 "0000000000000000000000000000000000000000000000000000000000000000", NULL },
	};
	struct boot_info b = guest();
	struct policy *p = at_chain(1);
	static char huge[300000];

	(void)state;
	good_chain();
	chain.id = 1;
	expect(p, &b, POLICY_APP, "policy.chain_id");
	good_chain(), chain.has_code = false;
	expect(p, &b, POLICY_APP, "policy.chain_code");
	good_chain(), chain.call_error = "execution reverted";
	expect(p, &b, POLICY_APP, "policy.chain_revert");
	good_chain(), chain.gateway = "any";
	expect(p, &b, POLICY_APP, "policy.chain_reply");
	good_chain();
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		chain.raw_verdict = t[i].verdict;
		expect(p, &b, POLICY_APP, t[i].code);
	}
	memset(huge, '0', sizeof huge - 1);
	chain.raw_verdict = huge;
	expect(p, &b, POLICY_APP, "policy.chain_reply");
	policy_free(p);
}

static void garbage_and_hanging(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"null",
		"<html>",
		"[{\"id\":1,\"result\":\"0x7a69\"}]",
		"[{\"id\":1,\"result\":\"0x7a69\"},{\"id\":1,\"result\":\"0x7a69\"}]",
		"[{\"id\":1,\"result\":\"0x7a69\"},{\"id\":3,\"result\":{}}]",
		"[{\"id\":1,\"result\":\"0x7a69\"},{\"id\":2,\"result\":{}}]",
		"[{\"id\":1,\"result\":\"0x07a69\"},{\"id\":2,\"result\":null}]",
		"[{\"id\":1,\"error\":{\"code\":-32000,\"message\":\"no\"}},{\"id\":2,\"result\":null}]",
		"[{\"id\":1},{\"id\":2}]",
		"[1,2]",
	};
	struct boot_info b = guest();
	struct policy *p = at_chain(1);

	(void)state;
	good_chain();
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		chain.whole = bad[i];
		expect(p, &b, POLICY_APP, "policy.chain_reply");
	}
	good_chain(), chain.single = true;
	expect(p, &b, POLICY_APP, "policy.chain_reply");
	good_chain(), chain.wait_ms = 3000;
	uint64_t began = time_mono_ms();
	expect(p, &b, POLICY_APP, "policy.timeout");
	assert_true(time_mono_ms() - began < 1000);
	good_chain(), chain.wait_ms = 250; // each answer in time, both together not
	expect(p, &b, POLICY_APP, "policy.timeout");
	good_chain();
	expect(p, &b, POLICY_APP, NULL);
	policy_free(p);
}

static void gv_03_reorganised(void **state)
{
	struct boot_info b = guest();
	struct policy *p = at_chain(4);

	(void)state;
	good_chain();
	expect(p, &b, POLICY_APP, NULL); // block 96 is what is known
	chain.fork = 97;                 // what is not confirmed may change
	expect(p, &b, POLICY_APP, NULL);
	chain.fork = 96;
	expect(p, &b, POLICY_APP, "policy.chain_reorg");
	chain.head = 103; // 99 is confirmed, 100 must be
	expect(p, &b, POLICY_APP, "policy.chain_reorg");
	chain.head = 104;
	expect(p, &b, POLICY_APP, NULL);
	expect(p, &b, POLICY_APP, NULL);
	chain.head = 99; // block 100 is gone
	expect(p, &b, POLICY_APP, "policy.chain_reorg");
	chain.head = 105; // and back again: the same blocks
	expect(p, &b, POLICY_APP, NULL);
	policy_free(p);
}

static void abi_vectors(void **state)
{
	char *text = NULL;
	struct json doc, abi, cases, key, v;
	struct err e;
	size_t n, done = 0;

	(void)state;
	assert_int_equal(file_read(vectors_file, 8 << 20, &text, &n, &e), 0);
	assert_int_equal(json_parse(&doc, span_of(text, n), NULL), 0);
	assert_true(json_get(doc, "abi_calldata", &abi));
	assert_true(json_get(abi, "cases", &cases));
	for (struct json_iter it = json_iter(cases); json_next(&it, &key, &v);) {
		static uint8_t want[ABI_CALL_MAX], got[ABI_CALL_MAX];
		struct boot_info b = { .has_app_id = true,
				       .has_compose_hash = true,
				       .has_instance_id = true,
				       .has_os_image_hash = true };
		struct json f, info, m, list;
		assert_true(json_get(v, "bootInfo", &info) && json_get(v, "function", &f));
		assert_true(json_get(info, "appId", &m) && !json_hex(m, b.app_id, 20));
		assert_true(json_get(info, "composeHash", &m) && !json_hex(m, b.compose_hash, 32));
		assert_true(json_get(info, "instanceId", &m) && !json_hex(m, b.instance_id, 20));
		assert_true(json_get(info, "deviceId", &m) && !json_hex(m, b.device_id, 32));
		assert_true(json_get(info, "mrAggregated", &m) && !json_hex(m, b.mr_aggregated, 32));
		assert_true(json_get(info, "mrSystem", &m) && !json_hex(m, b.mr_system, 32));
		assert_true(json_get(info, "osImageHash", &m) && !json_hex(m, b.os_image_hash, 32));
		assert_true(json_get(info, "tcbStatus", &m) &&
			    !json_cstr(m, b.tcb_status, sizeof b.tcb_status));
		assert_true(json_get(info, "advisoryIds", &list));
		bool fits = true; // a boot info holds advisories of up to 31 bytes; one vector has 40
		for (struct json_iter a = json_iter(list); json_next(&a, &key, &m); b.n_advisory_ids++)
			fits &= !json_cstr(m, b.advisory_ids[b.n_advisory_ids], sizeof b.advisory_ids[0]);
		if (!fits)
			continue;
		assert_true(json_get(v, "calldata", &m));
		size_t want_n = json_string_size(m) / 2;
		assert_int_equal(json_hex(m, want, want_n), 0);
		struct wr w = wr_to(got, sizeof got);
		abi_boot_call(&w, &b, json_is(f, "isAppAllowed") ? POLICY_APP : POLICY_KMS);
		assert_false(w.bad);
		assert_int_equal(w.n, want_n);
		assert_memory_equal(got, want, want_n);
		done++;
	}
	assert_int_equal(done, 4);
	free(text);
}

// A member of a quorum: says what it is told.
static struct policy *config_policy(const char *text, const char **code)
{
	static const struct config_key keys[] = { POLICY_KEYS };
	static struct err e;
	struct config *c = config_parse(text, strlen(text), "kms.toml", keys, sizeof keys / sizeof *keys, &e);

	if (!c)
		fail_msg("%s", e.text);
	struct policy *p = policy_from_config(c, &e);
	config_free(c);
	*code = p ? "" : e.code;
	return p;
}

static struct fake hooks[3];
static const char *hook_says[3];
static int hook_waits[3];

static void hook(void *arg, const struct fake_request *q, struct fake_reply *r)
{
	size_t i = (size_t)((struct fake *)arg - hooks);

	(void)q;
	*r = (struct fake_reply){ .body = hook_says[i], .wait_ms = hook_waits[i] };
}

struct kept_answer {
	struct policy_answer answer;
	atomic_bool done;
};

static void keep(void *arg, const struct policy_answer *a)
{
	struct kept_answer *k = arg;

	k->answer = *a;
	k->done = true;
}

static void quorum(void **state)
{
#define YES_EPOCHS(e) "{\"isAllowed\":true,\"gatewayAppId\":\"\",\"reason\":\"\",\"keyEpoch\":{" e "}}"
#define YES(g)        "{\"isAllowed\":true,\"gatewayAppId\":\"" g "\",\"reason\":\"\"}"
	static const char no[] = "{\"isAllowed\":false,\"gatewayAppId\":\"\",\"reason\":\"no\"}";
	struct boot_info b = guest();
	char text[1024];
	const char *code;

	(void)state;
	for (int i = 0; i < 3; i++) {
		hook_says[i] = YES(ID);
		fake_start(&hooks[i], hook, &hooks[i]);
	}
	snprintf(text, sizeof text,
		 "[policy]\nneed = 2\n"
		 "[[policy.source]]\ntype = \"webhook\"\nname = \"a\"\nurl = \"%s\"\ntimeout = 1\n"
		 "[[policy.source]]\ntype = \"webhook\"\nurl = \"%s\"\ntimeout = 1\n"
		 "[[policy.source]]\ntype = \"webhook\"\nurl = \"%s\"\ntimeout = 1\n",
		 hooks[0].url, hooks[1].url, hooks[2].url);
	struct policy *p = config_policy(text, &code);
	assert_non_null(p);
	expect(p, &b, POLICY_APP, NULL);
	hook_says[0] = no;
	expect(p, &b, POLICY_APP, NULL);
	hook_says[1] = "garbage";
	struct err e;
	assert_int_equal(policy_allow(p, &b, POLICY_APP, &e), -1);
	assert_string_equal(e.code, "policy.quorum");
	assert_non_null(strstr(e.text, "webhook a: policy.denied: no"));
	assert_non_null(strstr(e.text, "policy.reply"));
	hook_says[0] = hook_says[1] = YES(ID);
	hook_waits[2] = 3000; // one that hangs holds up nobody
	uint64_t began = time_mono_ms();
	expect(p, &b, POLICY_APP, NULL);
	assert_true(time_mono_ms() - began < 500);
	hook_says[1] = no;
	expect(p, &b, POLICY_APP, "policy.quorum");
	hook_waits[2] = 0;
	hook_says[0] = YES(ID);
	hook_says[1] = YES(ID2);
	hook_says[2] = YES("");
	expect(p, &b, POLICY_APP, "policy.quorum_gateway");
	hook_says[2] = YES("0x" ID2);
	expect(p, &b, POLICY_APP, NULL);
	// Of epochs, each may take away.
	hook_says[0] = no;
	hook_says[1] = YES_EPOCHS("\"current\":4,\"min\":0,\"revocations\":[{\"epoch\":2,\"at\":7}]");
	hook_says[2] = YES_EPOCHS("\"current\":3,\"min\":1");
	struct kept_answer k = { .answer.rc = -1 };
	policy_ask(p, &b, POLICY_APP, keep, &k);
	for (int i = 0; !k.done && i < 3000; i++)
		usleep(1000);
	assert_int_equal(k.answer.rc, 0);
	assert_int_equal(k.answer.epochs.min, 1);
	assert_int_equal(k.answer.epochs.current, 3);
	assert_int_equal(k.answer.epochs.n_revoked, 1);
	policy_free(p);
	for (int i = 0; i < 3; i++)
		fake_stop(&hooks[i]);
}

// Spec 70 KM-15: what allows everything allows nothing of a real TEE.
static void km_15_dev_is_for_development(void **state)
{
	struct boot_info b = guest();
	struct policy_info i;
	const char *code;

	(void)state;
	struct policy *p = config_policy("[[policy.source]]\ntype = \"dev\"\n", &code);
	assert_non_null(p);
	expect(p, &b, POLICY_APP, "policy.dev_only");
	expect(p, &b, POLICY_KMS, "policy.dev_only");
	*b.anchor = 0;
	expect(p, &b, POLICY_APP, "policy.dev_only");
	strcpy(b.anchor, "development");
	expect(p, &b, POLICY_APP, NULL);
	expect(p, &b, POLICY_KMS, NULL);
	policy_info(p, &i);
	assert_true(i.allows_all);
	assert_string_equal(i.gateway, "any");
	policy_free(p);
}

// Spec 70 KM-15: there is no other kind of policy that allows everything.
static void km_15_no_mock_policy(void **state)
{
	static const char *const kinds[] = { "mock", "Dev", "none", "any", "allow", "" };
	char text[128];
	const char *code;

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		snprintf(text, sizeof text,
			 "[[policy.source]]\ntype = \"%s\"\nurl = \"http://127.0.0.1:1\"\n", kinds[i]);
		assert_null(config_policy(text, &code));
		assert_string_equal(code, "config.policy");
	}
}

static void configurations(void **state)
{
#define HOOK "[[policy.source]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:1\"\n"
#define NODE "[[policy.source]]\ntype = \"ethereum\"\nurl = \"http://127.0.0.1:1\"\n"
	static const struct {
		const char *text, *code;
	} t[] = {
		{ "", "config.policy" },
		{ "[policy]\nfile = \"/nowhere\"\n" HOOK, "config.policy" },
		{ "[policy]\nfile = \"/nowhere/policy.toml\"\n", "" },
		{ HOOK, "" },
		{ "[policy]\nneed = 1\n" HOOK, "" },
		{ "[policy]\nneed = 2\n" HOOK, "config.policy" },
		{ "[policy]\nneed = 2\n" HOOK NODE "chain_id = 1\ncontract = \"0x" CONTRACT "\"\n", "" },
		{ NODE, "config.policy" },
		{ NODE "chain_id = 1\ncontract = \"12\"\n", "config.policy" },
		{ NODE "contract = \"" CONTRACT "\"\n", "config.policy" },
		{ "[[policy.source]]\ntype = \"webhook\"\n", "config.policy" },
		{ "[[policy.source]]\ntype = \"file\"\n", "config.policy" },
		{ "[[policy.source]]\ntype = \"oracle\"\nurl = \"http://127.0.0.1:1\"\n", "config.policy" },
		{ "[[policy.source]]\ntype = \"webhook\"\nurl = \"ftp://127.0.0.1\"\n", "config.policy" },
		{ "[[policy.source]]\ntype = \"webhook\"\nurl = \"http://policy.example\"\n",
		  "config.policy_channel" },
		{ "[[policy.source]]\ntype = \"ethereum\"\nurl = \"http://node.example\"\nchain_id = "
		  "1\ncontract = \"" CONTRACT "\"\n",
		  "config.policy_channel" },
		{ HOOK "client_cert = \"/nowhere\"\n", "config.policy" },
		{ HOOK "ca_file = \"/nowhere\"\n", "config.policy" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		const char *code;
		struct policy *p = config_policy(t[i].text, &code);
		if (strcmp(code, t[i].code))
			fail_msg("%s: wanted %s, got %s", t[i].text, t[i].code, code);
		policy_free(p);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allows_and_denies),
		cmocka_unit_test(gv_02_frozen_node),
		cmocka_unit_test(gv_04_wrong_chain_or_contract),
		cmocka_unit_test(garbage_and_hanging),
		cmocka_unit_test(gv_03_reorganised),
		cmocka_unit_test(abi_vectors),
		cmocka_unit_test(quorum),
		cmocka_unit_test(km_15_dev_is_for_development),
		cmocka_unit_test(km_15_no_mock_policy),
		cmocka_unit_test(configurations),
	};

	vectors_file = argc > 1 ? argv[1] : "tests/vectors/kms.json";
	return cmocka_run_group_tests(tests, setup, teardown);
}
