// The webhook back end against services that are slow, wrong, down and huge: upstream's protocol, and a no
// for everything that is not a well-formed yes.
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/time.h"
#include "fake.h"
#include "guest.h"
#include "policy/config.h"
#include "policy/webhook_reply.h"

#define YES "{\"isAllowed\":true,\"gatewayAppId\":\"0x" ID2 "\",\"reason\":\"\"}"
#define NO  "{\"isAllowed\":false,\"gatewayAppId\":\"\",\"reason\":\"not today\"}"
#define OK  "HTTP/1.1 200 OK\r\n"

static struct fake service;
static struct fake_request last;
static struct fake_reply script;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void by_script(void *arg, const struct fake_request *q, struct fake_reply *r)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	if (!strncmp(q->head, "POST", 4))
		last = *q;
	*r = script;
	pthread_mutex_unlock(&lock);
}

static void say(const char *body)
{
	script = (struct fake_reply){ .body = body };
}

static int setup(void **state)
{
	(void)state;
	say(YES);
	fake_start(&service, by_script, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_stop(&service);
	return 0;
}

static struct policy *ask_at(const char *url, long total_ms)
{
	struct policy_webhook_opts o = { .url = url, .connect_ms = total_ms, .total_ms = total_ms };
	struct err e = { 0 };
	struct policy *p = policy_webhook_new(&o, &e);

	if (!p)
		fail_msg("%s %s", e.code, e.text);
	return p;
}

static void the_protocol(void **state)
{
	static const char want[] =
		"{\"teeVariant\":\"dstack-tdx\",\"mrAggregated\":\"" H3 "\",\"osImageHash\":\"" H2
		"\",\"mrSystem\":\"0000000000000000000000000000000000000000000000000000000000000000\","
		"\"appId\":\"" ID "\",\"composeHash\":\"" H1 "\",\"instanceId\":\"\",\"deviceId\":\"" H3
		"\",\"keyProviderInfo\":\"\",\"tcbStatus\":\"UpToDate\",\"advisoryIds\":[]}";
	struct boot_info b = guest();
	struct policy *p = ask_at(service.url, 2000);

	(void)state;
	say(YES);
	expect(p, &b, POLICY_APP, NULL);
	assert_string_equal(last.body, want);
	assert_non_null(strstr(last.head, "POST /bootAuth/app HTTP/1.1\r\n"));
	assert_non_null(strstr(last.head, "User-Agent: dstack-kms/"));
	assert_non_null(strstr(last.head, "Content-Type: application/json\r\n"));
	expect(p, &b, POLICY_KMS, NULL);
	assert_non_null(strstr(last.head, "POST /bootAuth/kms HTTP/1.1\r\n"));
	unsigned conns = service.conns;
	for (int i = 0; i < 20; i++)
		expect(p, &b, POLICY_APP, NULL);
	assert_int_equal(service.conns, conns); // kept alive
	say(NO);
	struct err e = { 0 };
	assert_int_equal(policy_allow(p, &b, POLICY_APP, &e), -1);
	assert_string_equal(e.code, "policy.denied");
	assert_non_null(strstr(e.text, "not today"));
	say(YES);
	expect(p, &b, POLICY_APP, NULL); // nothing was cached
	policy_free(p);
}

static const struct {
	const char *what, *code;
	struct fake_reply r;
} bad[] = {
	{ "nothing in time", "policy.timeout", { .body = YES, .wait_ms = 700 } },
	{ "a byte at a time", "policy.timeout", { .bytes = OK "Content-Length: 3\r\n\r\n", .drip_ms = 40 } },
	{ "an endless head", "policy.reply_too_large", { .bytes = OK "X: ", .junk = 100 << 10 } },
	{ "10 MB",
	  "policy.reply_too_large",
	  { .bytes = OK "Content-Length: 10000000\r\n\r\n", .junk = 10000000 } },
	{ "10 MB without a length",
	  "policy.reply_too_large",
	  { .bytes = OK "\r\n", .junk = 10000000, .close = true } },
	{ "500",
	  "policy.status",
	  { .bytes = "HTTP/1.1 500 No\r\nContent-Length: 60\r\n\r\n" YES, .close = true } },
	{ "302 to a yes",
	  "policy.status",
	  { .bytes = "HTTP/1.1 302 Found\r\nLocation: /yes\r\nContent-Length: 0\r\n\r\n" } },
	{ "401", "policy.status", { .bytes = "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n" } },
	{ "no reply", "policy.connect", { .bytes = "", .close = true } },
	{ "no HTTP", "policy.connect", { .bytes = "SSH-2.0-x\r\n", .close = true } },
	{ "a body cut short",
	  "policy.connect",
	  { .bytes = OK "Content-Length: 100\r\n\r\n" YES, .close = true } },
	{ "nothing", "policy.reply", { .body = "" } },
	{ "HTML", "policy.reply", { .body = "<html>isAllowed: true</html>" } },
	{ "truncated JSON", "policy.reply", { .body = "{\"isAllowed\":true,\"gatewayAppId\":\"\"," } },
	{ "bytes behind it", "policy.reply", { .body = YES "x" } },
	{ "an array", "policy.reply", { .body = "[" YES "]" } },
	{ "true alone", "policy.reply", { .body = "true" } },
	{ "no isAllowed", "policy.reply", { .body = "{\"gatewayAppId\":\"\",\"reason\":\"\"}" } },
	{ "isAllowed in other letters",
	  "policy.reply",
	  { .body = "{\"isallowed\":true,\"gatewayAppId\":\"\",\"reason\":\"\"}" } },
	{ "isAllowed a text",
	  "policy.reply",
	  { .body = "{\"isAllowed\":\"true\",\"gatewayAppId\":\"\",\"reason\":\"\"}" } },
	{ "isAllowed a number",
	  "policy.reply",
	  { .body = "{\"isAllowed\":1,\"gatewayAppId\":\"\",\"reason\":\"\"}" } },
	{ "isAllowed null",
	  "policy.reply",
	  { .body = "{\"isAllowed\":null,\"gatewayAppId\":\"\",\"reason\":\"\"}" } },
	{ "isAllowed twice",
	  "policy.reply",
	  { .body = "{\"isAllowed\":false,\"isAllowed\":true,\"gatewayAppId\":\"\",\"reason\":\"\"}" } },
	{ "isAllowed within", "policy.reply", { .body = "{\"x\":" YES "}" } },
	{ "no reason", "policy.reply", { .body = "{\"isAllowed\":true,\"gatewayAppId\":\"\"}" } },
	{ "no gateway", "policy.reply", { .body = "{\"isAllowed\":true,\"reason\":\"\"}" } },
	{ "any gateway",
	  "policy.reply",
	  { .body = "{\"isAllowed\":true,\"gatewayAppId\":\"any\",\"reason\":\"\"}" } },
	{ "a gateway of 19 bytes",
	  "policy.reply",
	  { .body = "{\"isAllowed\":true,\"gatewayAppId\":\"0011223344556677889900112233445566778\","
		    "\"reason\":\"\"}" } },
	{ "a reason that is none",
	  "policy.reply",
	  { .body = "{\"isAllowed\":true,\"gatewayAppId\":\"\",\"reason\":7}" } },
	{ "epochs that are none",
	  "policy.reply",
	  { .body = "{\"isAllowed\":true,\"gatewayAppId\":\"\",\"reason\":\"\",\"keyEpoch\":{\"current\":"
		    "\"1\"}}" } },
	{ "no with more members",
	  "policy.denied",
	  { .body = "{\"isAllowed\":false,\"gatewayAppId\":\"\",\"reason\":\"\",\"allowed\":true,\"x\":{"
		    "\"isAllowed\":true}}" } },
};

static void km_02_auth_back_end(void **state)
{
	struct boot_info b = guest();
	struct policy *p = ask_at(service.url, 400);

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		script = bad[i].r;
		uint64_t began = time_mono_ms();
		struct err e = { 0 };
		int rc = policy_allow(p, &b, POLICY_APP, &e);
		if (!rc || strcmp(e.code, bad[i].code))
			fail_msg("%s: wanted %s, got %d %s %s", bad[i].what, bad[i].code, rc, e.code, e.text);
		if (time_mono_ms() - began > 1000)
			fail_msg("%s: took %d ms", bad[i].what, (int)(time_mono_ms() - began));
		say(YES);
		expect(p, &b, POLICY_APP, NULL); // it recovers at once
	}
	policy_free(p);
}

static void down_and_up_again(void **state)
{
	struct boot_info b = guest();
	struct policy *p = ask_at(service.url, 2000);

	(void)state;
	say(YES);
	expect(p, &b, POLICY_APP, NULL);
	fake_stop(&service);
	expect(p, &b, POLICY_APP, "policy.connect");
	fake_start(&service, by_script, NULL);
	expect(p, &b, POLICY_APP, NULL);
	policy_free(p);
}

struct tally {
	atomic_uint allowed, denied;
	atomic_uint_least64_t last_allowed;
};

static void on_tally(void *arg, const struct policy_answer *a)
{
	struct tally *t = arg;

	if (a->rc) {
		atomic_fetch_add(&t->denied, 1);
	} else {
		atomic_store(&t->last_allowed, time_mono_ms());
		atomic_fetch_add(&t->allowed, 1);
	}
}

static void slow_for_one_app(void *arg, const struct fake_request *q, struct fake_reply *r)
{
	(void)arg;
	*r = (struct fake_reply){ .body = YES, .wait_ms = strstr(q->body, ID2) ? 5000 : 0 };
}

// While questions about one app hang, those about another are answered.
static void slow_ones_hold_up_nobody(void **state)
{
	struct boot_info quick = guest(), slow = guest();
	struct tally a = { 0 }, b = { 0 };
	struct policy *p = ask_at(service.url, 1000);

	(void)state;
	unhex(slow.app_id, ID2);
	service.fn = slow_for_one_app;
	uint64_t began = time_mono_ms();
	for (int i = 0; i < 30; i++)
		policy_ask(p, &slow, POLICY_APP, on_tally, &a);
	for (int i = 0; i < 200; i++)
		policy_ask(p, &quick, POLICY_APP, on_tally, &b);
	assert_true(time_mono_ms() - began < 500); // asking does not wait
	while ((a.denied < 30 || b.allowed < 200) && time_mono_ms() - began < 5000)
		usleep(1000);
	assert_int_equal(a.denied, 30);
	assert_int_equal(b.allowed, 200);
	assert_true(b.last_allowed - began < 900);
	assert_true(time_mono_ms() - began < 1800);
	service.fn = by_script;
	policy_free(p);
}

// More than may wait: the rest is told so, none is lost.
static void bounded(void **state)
{
	struct boot_info b = guest();
	struct tally t = { 0 };
	struct policy *p = ask_at(service.url, 300);

	(void)state;
	script = (struct fake_reply){ .body = YES, .wait_ms = 2000 };
	for (int i = 0; i < 2000; i++)
		policy_ask(p, &b, POLICY_APP, on_tally, &t);
	for (int i = 0; t.denied + t.allowed < 2000 && i < 5000; i++)
		usleep(1000);
	assert_int_equal(t.denied, 2000);
	assert_int_equal(t.allowed, 0);
	for (int i = 0; i < 10; i++)
		policy_ask(p, &b, POLICY_APP, on_tally, &t);
	policy_stop(p); // answers what waits
	assert_int_equal(t.denied, 2010);
	expect(p, &b, POLICY_APP, "policy.stopping");
	policy_free(p);
}

static void describes_itself(void **state)
{
	struct policy_info i;

	(void)state;
	say("{\"status\":\"ok\",\"kmsContractAddr\":\"0x" ID
	    "\",\"ethRpcUrl\":\"http://n\",\"gatewayAppId\":\"" ID2
	    "\",\"chainId\":31337,\"appImplementation\":\"0x" ID2 "\"}");
	struct policy *p = ask_at(service.url, 2000);
	int tries = 0;
	do {
		usleep(1000);
		policy_info(p, &i);
	} while (!i.has_chain && tries++ < 5000);
	assert_string_equal(i.gateway, ID2);
	assert_string_equal(i.contract, "0x" ID);
	assert_string_equal(i.rpc_url, "http://n");
	assert_int_equal(i.chain_id, 31337);
	policy_free(p);
	assert_int_equal(webhook_info_read(&i, span_str("{}")), -1);
}

static void key_epochs(void **state)
{
	struct policy_answer a = { .rc = -1 };

	(void)state;
	webhook_reply_read(
		&a, span_str("{\"isAllowed\":true,\"gatewayAppId\":\"\",\"reason\":\"\",\"keyEpoch\":{"
			     "\"current\":3,"
			     "\"min\":1,\"legacy\":1,\"revocations\":[{\"epoch\":0,\"at\":1700000000}]}}"));
	assert_int_equal(a.rc, 0);
	assert_true(a.epochs.given);
	assert_int_equal(a.epochs.current, 3);
	assert_int_equal(a.epochs.n_revoked, 1);
	assert_int_equal(a.epochs.revoked[0].at, 1700000000);
	struct err e;
	a.epochs.min = 0;
	assert_int_equal(policy_epochs_check(&a.epochs, 3, 1800000000, &e), 0);
	assert_int_equal(policy_epochs_check(&a.epochs, 0, 1600000000, &e), 0); // not yet
	assert_int_equal(policy_epochs_check(&a.epochs, 0, 1700000000, &e), -1);
	assert_string_equal(e.code, "epoch.revoked");
	assert_int_equal(policy_epochs_check(&a.epochs, 4, 0, &e), -1);
	assert_string_equal(e.code, "epoch.not_served");
	assert_int_equal(policy_epochs_check(&(struct policy_epochs){ 0 }, 4, 0, &e), 0); // says nothing
}

static void gv_07_policy_channel(void **state)
{
	static const struct {
		const char *url;
		bool one_sided, clear, ok;
	} t[] = {
		{ "unix:/run/auth.sock", false, false, true },
		{ "unix:/run/auth.sock:/base", false, false, true },
		{ "http://127.0.0.1:8000", false, false, true },
		{ "http://127.9.9.9/base/", false, false, true },
		{ "http://[::1]:8000", false, false, true },
		{ "http://10.0.2.2:8000", false, false, false },
		{ "http://auth-api:8000", false, false, false },
		{ "http://localhost:8000", false, false, false },
		{ "http://127.0.0.1.example:8000", false, false, false },
		{ "http://[::2]:8000", false, false, false },
		{ "http://127.0.0.1@example:8000", false, true, false },
		{ "https://policy.example", false, false, false }, // anyone might be asking
		{ "https://policy.example", true, false, true },
		{ "http://auth-api:8000", true, false, false },
		{ "http://auth-api:8000", false, true, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		struct policy_webhook_opts o = { .url = t[i].url,
						 .one_sided_tls = t[i].one_sided,
						 .insecure_http = t[i].clear };
		struct err e = { 0 };
		struct policy *p = policy_webhook_new(&o, &e);
		if (!p != !t[i].ok)
			fail_msg("%s: %s", t[i].url, p ? "accepted" : e.text);
		if (!p && strcmp(e.code, strchr(t[i].url, '@') ? "config.policy" : "config.policy_channel"))
			fail_msg("%s: code %s", t[i].url, e.code);
		policy_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_protocol),      cmocka_unit_test(km_02_auth_back_end),
		cmocka_unit_test(down_and_up_again), cmocka_unit_test(slow_ones_hold_up_nobody),
		cmocka_unit_test(bounded),           cmocka_unit_test(describes_itself),
		cmocka_unit_test(key_epochs),        cmocka_unit_test(gv_07_policy_channel),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
