// The collateral client against a PCCS that misbehaves: what is kept and for how long, what is refused and
// with which code, one fetch for many askers. Older collateral and the disk: qv_13_test.c.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/time.h"
#include "crypto/intel_root.h"
#include "pccs_fixture.h"
#include "ratls/pccs_fetch.h"

enum { PATIENCE_MS = 10000 };

static void wait_for_fetches(struct pccs *p, uint64_t n)
{
	for (int i = 0; pccs_stats(p).ended < n; i++) {
		assert_true(i < PATIENCE_MS);
		time_sleep_ms(1);
	}
}

static void answers_are_kept(void **state)
{
	struct pccs *p = open_pccs(NULL, false);
	int before = fx.server.requests;

	(void)state;
	expect_source(p, PCCS_FETCHED);
	assert_int_equal(fx.server.requests, before + 4);
	for (int i = 0; i < 10; i++)
		expect_source(p, PCCS_MEMORY);
	assert_int_equal(fx.server.requests, before + 4);
	pccs_free(p);
}

static void *one_asker(void *arg)
{
	struct err e = { 0 };

	return (void *)(uintptr_t)ask(arg, NULL, &e);
}

static void concurrent_misses_make_one_fetch(void **state)
{
	struct pccs *p = open_pccs(NULL, false);
	int before = fx.server.requests;
	pthread_t t[8];
	void *source;

	(void)state;
	fx.server.delay_ms = 50;
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&t[i], NULL, one_asker, p), 0);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(t[i], &source), 0);
		assert_int_not_equal((uintptr_t)source, PCCS_NOTHING);
	}
	assert_int_equal(pccs_stats(p).fetches, 1);
	assert_int_equal(fx.server.requests, before + 4);
	fx.server.behaviour = BROKEN; // a failure is shared, too
	struct pccs *q = open_pccs(NULL, false);

	before = fx.server.requests;
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&t[i], NULL, one_asker, q), 0);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(t[i], &source), 0);
		assert_int_equal((uintptr_t)source, PCCS_NOTHING);
	}
	assert_int_equal(fx.server.requests, before + 1);
	pccs_free(p);
	pccs_free(q);
}

static void refreshed_in_the_background(void **state)
{
	struct pccs *p = open_pccs(NULL, false);

	(void)state;
	expect_source(p, PCCS_FETCHED);
	fx.clock_offset = 11 * HOUR;
	expect_source(p, PCCS_MEMORY);
	assert_int_equal(pccs_stats(p).fetches, 1);
	fx.clock_offset = 12 * HOUR + 1; // half of 24 hours
	expect_source(p, PCCS_MEMORY);
	wait_for_fetches(p, 2);
	expect_source(p, PCCS_CANDIDATE);
	expect_source(p, PCCS_MEMORY);
	fx.server.behaviour = GARBAGE; // what the refresh brings is no use: the old one serves on
	fx.clock_offset = 25 * HOUR;
	expect_source(p, PCCS_MEMORY);
	wait_for_fetches(p, 3);
	expect_source(p, PCCS_MEMORY);
	pccs_free(p);
}

static void served_on_while_the_source_fails(void **state)
{
	struct pccs *p = open_pccs(NULL, false);

	(void)state;
	expect_source(p, PCCS_FETCHED);
	fx.server.behaviour = BROKEN;
	fx.clock_offset = 25 * HOUR; // older than a day: the source is asked first
	expect_source(p, PCCS_MEMORY);
	assert_true(pccs_stats(p).failures >= 1);
	fx.clock_offset = 29 * DAY;
	expect_source(p, PCCS_MEMORY);
	fx.clock_offset = 30 * DAY + HOUR; // past nextUpdate: never
	expect_code(p, "collateral.fetch");
	pccs_free(p);
}

static void failures_are_kept_for_seconds(void **state)
{
	struct pccs *p = open_pccs(NULL, false);
	int before = fx.server.requests;

	(void)state;
	fx.server.behaviour = BROKEN;
	for (int i = 0; i < 5; i++)
		expect_code(p, "collateral.fetch");
	assert_int_equal(fx.server.requests, before + 1);
	fx.server.behaviour = GOOD;
	fx.clock_offset = 6;
	expect_source(p, PCCS_FETCHED);
	pccs_free(p);
}

static void hostile_answers_are_refused(void **state)
{
	static const struct {
		enum behaviour how;
		const char *code;
	} cases[] = {
		{ SILENT, "collateral.fetch" },       { DRIPPING, "collateral.fetch" },
		{ HUGE_BODY, "collateral.answer" },   { HUGE_HEAD, "collateral.answer" },
		{ REDIRECTING, "collateral.answer" }, { NO_CHAIN, "collateral.answer" },
		{ TWO_CHAINS, "collateral.answer" },  { BAD_PERCENT, "collateral.answer" },
		{ BAD_HEX, "collateral.answer" },     { BAD_NUL, "collateral.answer" },
		{ OTHER_ITEM, "collateral.answer" },  { GARBAGE, "collateral.answer" },
		{ CUT, "collateral.fetch" },          { NOT_FOUND, "collateral.unknown_platform" },
		{ BROKEN, "collateral.fetch" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct pccs_config c = { .url = fx.server.url, .total_ms = 500 };
		struct err e = { 0 };
		struct pccs *p = pccs_new(&c, &e);
		uint64_t from = time_mono_ms();

		fx.server.behaviour = cases[i].how;
		assert_int_equal(ask(p, NULL, &e), PCCS_NOTHING);
		if (strcmp(e.code, cases[i].code) != 0)
			fail_msg("behaviour %d: %s [%s]", cases[i].how, e.text, e.code);
		assert_true(time_mono_ms() - from < 5000);
		pccs_free(p);
	}
}

static void expired_documents_are_not_used(void **state)
{
	struct pccs *p = open_pccs(NULL, false);
	int before = fx.server.requests;

	(void)state;
	fx.server.offset = -40 * DAY;
	expect_code(p, "crl.time");
	expect_code(p, "crl.time"); // and not fetched again at once
	assert_int_equal(fx.server.requests, before + 4);
	fx.server.offset = 3 * DAY; // not valid yet
	fx.clock_offset = 10;
	expect_code(p, "crl.time");
	fx.server.offset = 0;
	fx.clock_offset = 20;
	expect_source(p, PCCS_FETCHED);
	pccs_free(p);
}

// ---- the root CRL's place

static int fetch(const char *url, char **json, size_t *n, struct err *e)
{
	struct pccs_http http = { .curl = curl_easy_init(),
				  .connect_ms = 1000,
				  .deadline = time_mono_ms() + 2000 };
	char *base = pccs_base_url(url);
	int r = pccs_fetch(&http, base, &fx.platform, json, n, e);

	free(base);
	curl_easy_cleanup(http.curl);
	return r;
}

// The same certificate with another URL of the same length in it: nothing verifies it here.
static void patch_url(struct pki_cert *c, const char *to)
{
	static const char was[] = "http://127.0.0.1/sgx/certification/v4/rootcacrl";
	uint8_t *at = memmem(c->der, c->n, was, sizeof was - 1);
	char text[sizeof was];

	assert_non_null(at);
	snprintf(text, sizeof text, "%s%s", to, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	memcpy(at, text, sizeof was - 1);
}

static void root_crl_where_the_root_says(void **state)
{
	struct pki_cert was = fx.pki.cert[PKI_ROOT];
	struct err e = { 0 };
	char url[100], *json = NULL;
	size_t n;

	(void)state;
	assert_true(pccs_crl_point(intel_root(), url, sizeof url));
	assert_string_equal(url, "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der");
	assert_false(pccs_crl_point(intel_root(), url, 20));
	assert_false(pccs_crl_point(span_of("\x30\x00", 2), url, sizeof url));
	fx.server.behaviour = NO_ROOT_CRL;
	fx.server.root_crl_at = "GET /crl/";
	snprintf(url, sizeof url, "http://127.0.0.1:%u/crl/", fx.server.port);
	patch_url(&fx.pki.cert[PKI_ROOT], url);
	must(fetch(fx.server.url, &json, &n, &e), &e);
	free(json);
	static const char *const elsewhere[] = { "http://10.1.2.3/crl/",
						 "ftp://127.0.0.1/crl/",
						 "http://a@127.0.0.1/crl/",
						 "http://intel.com.example/",
						 "http://xtrustedservices.intel.com/",
						 NULL };

	for (size_t i = 0; elsewhere[i]; i++) {
		int before = fx.server.requests;

		fx.pki.cert[PKI_ROOT] = was;
		patch_url(&fx.pki.cert[PKI_ROOT], elsewhere[i]);
		assert_int_equal(fetch(fx.server.url, &json, &n, &e), -1);
		assert_string_equal(e.code, "collateral.answer");
		assert_int_equal(fx.server.requests, before + 4);
	}
	fx.pki.cert[PKI_ROOT] = was;
}

static void made_up_platforms_are_limited(void **state)
{
	struct pccs *p = open_pccs(NULL, false);
	struct dcap_platform other = fx.platform;
	int before, busy = 0;
	struct err e;

	(void)state;
	expect_source(p, PCCS_FETCHED);
	before = fx.server.requests;
	for (unsigned i = 0; i < 100; i++) {
		struct pccs_answer a = { 0 };

		other.fmspc[0] = (uint8_t)i;
		other.fmspc[1] = 0xff;
		assert_int_equal(pccs_get(p, &a, &other, &e), -1);
		busy += !strcmp(e.code, "collateral.busy");
	}
	assert_true(busy > 50);
	assert_true(fx.server.requests - before < 50); // one each: the first request says that it is unknown
	expect_source(p, PCCS_MEMORY);
	pccs_free(p);
}

static void percent_decoding_is_strict(void **state)
{
	static const char *const bad[] = { "%",   "%4",  "a%4",  "%zz", "%0g", "%00",
					   "%7f", "%80", "\x80", "%e4", NULL };
	char out[8];
	size_t n;

	(void)state;
	assert_int_equal(pccs_percent_decode(out, sizeof out, &n, "a%20b%0A+", 9), 0);
	assert_int_equal(n, 5);
	assert_memory_equal(out, "a b\n+", 5);
	for (size_t i = 0; bad[i]; i++)
		assert_int_equal(pccs_percent_decode(out, sizeof out, &n, bad[i], strlen(bad[i])), -1);
	assert_int_equal(pccs_percent_decode(out, sizeof out, &n, "123456789", 9), -1);
	assert_int_equal(pccs_percent_decode(out, sizeof out, &n, "", 0), 0);
}

static void configuration_is_checked(void **state)
{
	struct pccs_config c = { .url = "ftp://example.org" };
	struct err e;

	(void)state;
	assert_null(pccs_new(&c, &e));
	assert_string_equal(e.code, "config.pccs_url");
	c = (struct pccs_config){ .cache_dir = "/dev/null/x" };
	assert_null(pccs_new(&c, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(answers_are_kept, fx_each),
		cmocka_unit_test_setup(concurrent_misses_make_one_fetch, fx_each),
		cmocka_unit_test_setup(refreshed_in_the_background, fx_each),
		cmocka_unit_test_setup(served_on_while_the_source_fails, fx_each),
		cmocka_unit_test_setup(failures_are_kept_for_seconds, fx_each),
		cmocka_unit_test_setup(hostile_answers_are_refused, fx_each),
		cmocka_unit_test_setup(expired_documents_are_not_used, fx_each),
		cmocka_unit_test_setup(root_crl_where_the_root_says, fx_each),
		cmocka_unit_test_setup(made_up_platforms_are_limited, fx_each),
		cmocka_unit_test_setup(percent_decoding_is_strict, fx_each),
		cmocka_unit_test_setup(configuration_is_checked, fx_each),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, fx_set_up, fx_tear_down);
}
