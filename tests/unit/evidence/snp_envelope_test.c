// The verdict on a whole SEV-SNP envelope of a real machine: what it must be compared with, and what of it
// may be altered to no avail.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/hash/sha2.h"
#include "load.h"
#include "ratls/verify.h"

#define MEASUREMENT                                                                                          \
	"7f51e17f72a04d5422cb2c00998166536019a217376f3aa45a630e59c805a599847ff250dbffcd07e1ba639771d6f05d"
#define ALLOWED "\"snp_measurement\":[\"" MEASUREMENT "\"],\"tcb_status\":[\"OutOfDate\"]"
#define APP_ID  "86e59625be93207bc2351c4d1bba20037cec8e16"
#define COMPOSE "86e59625be93207bc2351c4d1bba20037cec8e168da6b18f559af5af657b7a23"

enum { NOW = 1790000000, SIZE_MAX_ENV = 16384 };

static const char sample[] = "real/dstack/verifier/sev-snp-attestation.json";
static struct engine *engine;
static struct verify *last;
static uint8_t env[SIZE_MAX_ENV + 32];
static size_t env_n;

static const struct verify *judge(struct span evidence, const char *expect)
{
	struct err e;
	struct verify_input in = {
		.evidence = evidence, .expect = span_str(expect), .binding = VERIFY_BIND_STATED, .now = NOW
	};

	free(last);
	last = evidence_new(&in, &e);
	assert_non_null(last);
	if (evidence_read(last, &in))
		evidence_check(engine, last);
	verify_finish(last, 0, NULL);
	return last;
}

static void says(const char *expect, const char *code)
{
	const struct verify *v = judge(span_of(env, env_n), expect);

	if (strcmp(v->verdict.code, code) != 0)
		fail_msg("%s: %s, expected %s", v->verdict.code, v->verdict.error, code);
	assert_int_equal(v->verdict.ok, !*code);
}

static void fresh(void)
{
	struct span s = load_hex_member(sample, "attestation");

	assert_true(s.n <= SIZE_MAX_ENV);
	memcpy(env, s.p, s.n);
	env_n = s.n;
}

// The first occurrence.
static uint8_t *find(const char *text)
{
	for (size_t i = 0; i + strlen(text) <= env_n; i++)
		if (!memcmp(env + i, text, strlen(text)))
			return env + i;
	fail_msg("no %s", text);
	return NULL;
}

static void el_19_never_true_without_an_allowed_measurement(void **state)
{
	(void)state;
	fresh();
	says("{}", "policy.tcb_not_allowed"); // firmware that was never reported again after an update
	says("{\"tcb_status\":[\"OutOfDate\"]}", "measure.base_unverified");
	says("{" ALLOWED "}", "");
	says("{\"snp_measurement\":[],\"tcb_status\":[\"OutOfDate\"]}", "measure.snp");
	says("{\"snp_measurement\":[\"00" MEASUREMENT "\"]}", "policy.format");
	says("{" ALLOWED ",\"os_image_hash\":[\"" COMPOSE "\"]}", "measure.base_unverified");
}

static void who_it_is(void **state)
{
	uint8_t digest[32];
	struct sha256 h;

	(void)state;
	fresh();
	says("{" ALLOWED ",\"app_id\":[\"" APP_ID "\"],\"compose_hash\":[\"" COMPOSE "\"]}", "");
	const struct boot_info *b = &last->boot;
	const uint8_t *report = last->evidence.env.quote.p;
	assert_string_equal(b->tee_variant, "dstack-amd-sev-snp");
	assert_string_equal(b->anchor, "amd");
	assert_string_equal(b->tcb_status, "OutOfDate");
	assert_true(b->has_app_id && b->has_compose_hash && b->has_instance_id && !b->has_os_image_hash);
	assert_memory_equal(b->app_id, hex(APP_ID).p, 20);
	assert_memory_equal(b->compose_hash, hex(COMPOSE).p, 32);
	sha256(report + 0x90, 48, digest);
	assert_memory_equal(b->mr_system, digest, 32);
	sha256_init(&h);
	sha256_add(&h, report + 0x90, 48);
	sha256_add(&h, report + 0xc0, 32);
	sha256_end(&h, digest);
	assert_memory_equal(b->mr_aggregated, digest, 32);
	sha256(report + 0x1a0, 64, digest);
	assert_memory_equal(b->device_id, digest, 32);
	says("{" ALLOWED ",\"app_id\":[\"00e59625be93207bc2351c4d1bba20037cec8e16\"]}", "app_id.mismatch");
	says("{" ALLOWED ",\"compose_hash\":[\"" MEASUREMENT "\"]}", "policy.format");
	says("{" ALLOWED ",\"compose_hash\":[]}", "compose_hash.mismatch");
	says("{" ALLOWED ",\"key_provider_id\":[\"30\"]}", "key_provider.mismatch");
}

static void altered_envelopes(void **state)
{
	(void)state;
	fresh();
	env[4 + 0x90] ^= 1; // the report's measurement
	says("{" ALLOWED "}", "snp.signature");
	fresh();
	env[4 + 0x50] ^= 1; // its report data
	says("{" ALLOWED "}", "snp.signature");
	fresh();
	uint8_t *own = env + env_n; // what the envelope says they are, behind the report
	while (memcmp(own, "attest-test-fixture-2026", 24) != 0)
		own--;
	own[0] ^= 1;
	says("{" ALLOWED "}", "report_data.envelope");
	fresh();
	find("\"instance_id\":\"d378")[16] = 'e'; // the document
	says("{" ALLOWED "}", "snp.host_data");
	fresh();
	find("\"key_provider\":\"kms\"")[17] = 'x';
	says("{" ALLOWED "}", "snp.host_data");
	fresh();
	find("-----BEGIN CERTIFICATE-----")[100] ^= 1;
	judge(span_of(env, env_n), "{" ALLOWED "}");
	assert_false(last->verdict.ok);
}

// EL-18: no register backs the events, so they are neither believed nor held against anybody.
static void el_18_events_are_not_applicable(void **state)
{
	(void)state;
	fresh();
	find("compose-hash")[14] ^= 0xff;
	says("{" ALLOWED ",\"compose_hash\":[\"" COMPOSE "\"]}", "");
	const struct claim *c = verdict_find(&last->verdict, "platform");
	assert_non_null(c);
	assert_string_equal(c->value, "sev-snp");
	assert_non_null(strstr(c->detail, "not_applicable"));
	assert_null(verdict_find(&last->verdict, "event_log"));
}

static void other_times_and_roots(void **state)
{
	struct err e;
	struct engine *trusted = engine;

	(void)state;
	fresh();
	engine = engine_new(&e);
	assert_non_null(engine);
	assert_int_equal(engine_only_root(engine, amd_root(SNP_GENOA), &e), 0);
	says("{" ALLOWED "}", "snp.product_other");
	engine_free(engine);
	engine = trusted;
}

static void every_prefix_is_refused(void **state)
{
	(void)state;
	fresh();
	for (size_t n = 0; n < env_n; n += 13) {
		judge(span_of(env, n), "{" ALLOWED "}");
		assert_false(last->verdict.ok);
	}
}

static void json_form(void **state)
{
	static char text[1 << 16];
	struct wr w = wr_to(text, sizeof text - 1);

	(void)state;
	fresh();
	judge(load(sample), "{" ALLOWED "}"); // the JSON around it
	assert_true(last->verdict.ok);
	verify_json(&w, last);
	assert_false(w.bad);
	assert_non_null(strstr(text, "\"ok\":true,\"status\":\"OutOfDate\",\"advisory_ids\":[]"));
	assert_null(strstr(text, "qe_status"));
	assert_non_null(strstr(text, "\"anchor\":\"amd\""));
}

static int setup(void **state)
{
	struct err e;

	(void)state;
	return (engine = engine_new(&e)) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(last);
	engine_free(engine);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(el_19_never_true_without_an_allowed_measurement),
		cmocka_unit_test(who_it_is),
		cmocka_unit_test(altered_envelopes),
		cmocka_unit_test(el_18_events_are_not_applicable),
		cmocka_unit_test(other_times_and_roots),
		cmocka_unit_test(every_prefix_is_refused),
		cmocka_unit_test(json_form),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
