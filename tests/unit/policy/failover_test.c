// Several servers of one policy: the first that decides decides, a no is a decision, one that hangs costs its
// time once, and when none decides nobody gets keys.
#include <unistd.h>

#include "base/time.h"
#include "fake.h"
#include "guest.h"
#include "policy/config.h"

#define YES  "{\"isAllowed\":true,\"gatewayAppId\":\"\",\"reason\":\"\"}"
#define NO   "{\"isAllowed\":false,\"gatewayAppId\":\"\",\"reason\":\"not today\"}"
#define S500 "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"

enum { SERVERS = 3 };
static struct fake server[SERVERS];
static struct fake_reply says[SERVERS];
static atomic_uint asked[SERVERS];

static void answer(void *arg, const struct fake_request *q, struct fake_reply *r)
{
	size_t i = (size_t)((struct fake *)arg - server);

	if (!strncmp(q->head, "POST", 4))
		asked[i]++;
	*r = says[i];
}

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < SERVERS; i++) {
		says[i] = (struct fake_reply){ .body = YES };
		asked[i] = 0;
		fake_start(&server[i], answer, &server[i]);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < SERVERS; i++)
		if (server[i].port)
			fake_stop(&server[i]);
	return 0;
}

static struct policy *configured(const char *more, const char *code)
{
	static const struct config_key keys[] = { POLICY_KEYS };
	struct err e = { 0 };
	char text[1024];

	snprintf(text, sizeof text,
		 "[[policy.source]]\ntype = \"webhook\"\nurl = \"%s\"\nfallback_urls = [\"%s\", \"%s\"]\n"
		 "connect_timeout = 1\ntimeout = 1\n%s",
		 server[0].url, server[1].url, server[2].url, more);
	struct config *c = config_parse(text, strlen(text), "kms.toml", keys, sizeof keys / sizeof *keys, &e);
	if (!c)
		fail_msg("%s", e.text);
	struct policy *p = policy_from_config(c, &e);
	config_free(c);
	if (!p && strcmp(code, e.code) != 0)
		fail_msg("%s %s", e.code, e.text);
	return p;
}

static void asks(unsigned a, unsigned b, unsigned c)
{
	const unsigned want[SERVERS] = { a, b, c };

	for (size_t i = 0; i < SERVERS; i++)
		assert_int_equal(asked[i], want[i]);
}

static void the_first_that_decides(void **state)
{
	struct policy *p = configured("", "");
	struct boot_info b = guest();

	(void)state;
	expect(p, &b, POLICY_APP, NULL);
	asks(1, 0, 0);
	says[0] = (struct fake_reply){ .body = NO };
	expect(p, &b, POLICY_APP, "policy.denied"); // the others are not asked for a better answer
	asks(2, 0, 0);
	says[0] = (struct fake_reply){ .bytes = S500 };
	expect(p, &b, POLICY_APP, NULL);
	asks(3, 1, 0);
	says[1] = (struct fake_reply){ .body = "{}" };
	expect(p, &b, POLICY_APP, NULL); // what failed just now is asked last
	asks(3, 2, 1);
	says[2] = (struct fake_reply){ .body = NO };
	expect(p, &b, POLICY_APP, "policy.denied");
	asks(3, 2, 2);
	policy_free(p);
}

static void one_that_hangs_costs_its_time_once(void **state)
{
	struct policy *p = configured("", "");
	struct boot_info b = guest();

	(void)state;
	says[0] = (struct fake_reply){ .body = YES, .wait_ms = 2500 };
	uint64_t began = time_mono_ms();
	expect(p, &b, POLICY_APP, NULL);
	uint64_t first = time_mono_ms() - began;
	for (int i = 0; i < 5; i++)
		expect(p, &b, POLICY_APP, NULL);
	assert_in_range(first, 900, 2000);
	assert_in_range(time_mono_ms() - began - first, 0, 800);
	policy_free(p);
}

static void none_decides(void **state)
{
	struct policy *p = configured("", "");
	struct boot_info b = guest();
	struct err e = { 0 };

	(void)state;
	says[0] = (struct fake_reply){ .bytes = S500 };
	says[1] = (struct fake_reply){ .body = "true" };
	fake_stop(&server[2]);
	server[2].port = 0;
	for (int i = 0; i < 2; i++) { // also when all are known to fail
		assert_int_equal(policy_allow(p, &b, POLICY_APP, &e), -1);
		assert_int_equal(e.class, ERR_AGAIN);
		assert_non_null(strstr(e.text, "none of 3 servers decided"));
	}
	asks(2, 2, 0);
	says[1] = (struct fake_reply){ .body = YES };
	expect(p, &b, POLICY_APP, NULL);
	policy_free(p);
}

static void stopping_asks_nobody_else(void **state)
{
	struct policy *p = configured("", "");
	struct boot_info b = guest();

	(void)state;
	policy_stop(p);
	expect(p, &b, POLICY_APP, "policy.stopping");
	asks(0, 0, 0);
	policy_free(p);
}

static void gv_07_every_server_needs_a_closed_way(void **state)
{
	static const struct config_key keys[] = { POLICY_KEYS };
	static const char *const text[] = {
		"[[policy.source]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:1\"\n"
		"fallback_urls = [\"http://policy.example\"]\n",
		"[[policy.source]]\ntype = \"file\"\nfile = \"/x.toml\"\nfallback_urls = "
		"[\"http://127.0.0.1:1\"]\n",
	};
	static const char *const code[] = { "config.policy_channel", "config.policy" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct err e = { 0 };
		struct config *c = config_parse(text[i], strlen(text[i]), "kms.toml", keys,
						sizeof keys / sizeof *keys, &e);
		assert_non_null(c);
		assert_null(policy_from_config(c, &e));
		assert_string_equal(e.code, code[i]);
		config_free(c);
	}
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(the_first_that_decides),
		CASE(one_that_hangs_costs_its_time_once),
		CASE(none_decides),
		CASE(stopping_asks_nobody_else),
		cmocka_unit_test(gv_07_every_server_needs_a_closed_way),
	};

	return cmocka_run_group_tests_name("failover", tests, NULL, NULL);
}
