// What of tests/vectors/kms.json no other test reads: measurements, the replay of runtime events, sealed
// boxes of libsodium, selectors and topics of the contracts. And KM-07: whose disk key is shared with whom.
#include "known.h"

#include <sodium.h>

#include "core/attest/eventlog.h"
#include "core/hash/keccak.h"
#include "core/hash/sha2.h"
#include "core/measure/measure.h"
#include "crypto/appkeys.h"
#include "crypto/k256.h"

static struct json all;

static struct json cases_of(const char *name)
{
	return known(known(all, name), "cases");
}

static void copy48(uint8_t out[48], struct json v, const char *name)
{
	struct span s = known_bytes(v, name);

	assert_int_equal(s.n, 48);
	memcpy(out, s.p, 48);
}

static void measurements_tdx(void **state)
{
	static const char *const rtmr_name[] = { "rtmr0", "rtmr1", "rtmr2", "rtmr3_replayed" };
	static const char own_name[] = "mr_config_id|mr_owner|mr_owner_config";
	struct json v;
	int n = 0;

	(void)state;
	for (struct json_iter it = json_iter(cases_of("measurements_tdx")); json_next(&it, NULL, &v); n++) {
		uint8_t mrtd[48], rtmr[4][48], own[144] = { 0 }, out[32];
		char provider[512];
		struct span more = known_bytes(v, own_name);

		copy48(mrtd, v, "mrtd");
		for (size_t i = 0; i < 4; i++)
			copy48(rtmr[i], v, rtmr_name[i]);
		if (more.n)
			memcpy(own, more.p, sizeof own);
		assert_int_equal(json_cstr(known(v, "key_provider_info_utf8"), provider, sizeof provider), 0);
		measure_mr_system(out, mrtd, (const uint8_t(*)[48])rtmr, span_str(provider));
		known_is(v, "mr_system", out, 32);
		measure_mr_aggregated(out, mrtd, (const uint8_t(*)[48])rtmr, rtmr[3], own, own + 48,
				      own + 96);
		known_is(v, "mr_aggregated", out, 32);
	}
	assert_int_equal(n, 5);
}

static void runtime_event_replay_v1(void **state)
{
	struct event events[8];
	struct eventlog log = { .e = events, .cap = 8 };
	struct fault f = { 0 };
	struct json v;

	(void)state;
	struct json steps = known(known(all, "runtime_event_replay_v1"), "steps");
	for (struct json_iter it = json_iter(steps); json_next(&it, NULL, &v); log.n++) {
		char *name = known_room(64);
		uint8_t digest[EVENT_DIGEST], rtmr3[EVENT_DIGEST];
		struct event *e = &events[log.n];

		assert_int_equal(json_cstr(known(v, "event"), name, 64), 0);
		*e = (struct event){ .imr = 3, .type = EVENT_RUNTIME, .name = span_str(name) };
		e->payload = known_bytes(v, "payload");
		e->version = 1;
		if (event_digest(digest, e, &f))
			fail_msg("%s", f.text);
		known_is(v, "digest_v1", digest, sizeof digest);
		struct eventlog so_far = { .e = events, .n = log.n + 1, .cap = 8 };
		if (eventlog_replay_runtime(rtmr3, &so_far, false, &f))
			fail_msg("%s", f.text);
		known_is(v, "rtmr3_after", rtmr3, sizeof rtmr3);
	}
	assert_int_equal(log.n, 8);
}

static void sealed_box_upstream(void **state)
{
	struct json v;
	int n = 0;

	(void)state;
	for (struct json_iter it = json_iter(cases_of("sealed_box_upstream")); json_next(&it, NULL, &v);
	     n++) {
		struct span box = known_bytes(v, "sealed_box");
		uint8_t plain[256];

		assert_true(box.n >= crypto_box_SEALBYTES && box.n < sizeof plain);
		assert_int_equal(crypto_box_seal_open(plain, box.p, box.n, known_bytes(v, "public_key").p,
						      known_bytes(v, "secret_key").p),
				 0);
		known_is(v, "message", plain, box.n - crypto_box_SEALBYTES);
	}
	assert_int_equal(n, 2);
}

static void selectors_and_topics(void **state)
{
	struct json key, v, policies = known(known(all, "policy_topics"), "policies");
	char text[256];
	uint8_t h[32], want[4];
	int n = 0;

	(void)state;
	for (struct json_iter it = json_iter(known(all, "selectors")); json_next(&it, &key, &v);) {
		assert_int_equal(json_cstr(key, text, sizeof text), 0);
		if (!strchr(text, '('))
			continue;
		keccak256(text, strlen(text), h);
		assert_int_equal(json_hex(v, want, sizeof want), 0);
		assert_memory_equal(h, want, sizeof want);
		n++;
	}
	assert_int_equal(n, 5);
	for (struct json_iter it = json_iter(policies); json_next(&it, &key, &v); n++) {
		uint8_t topic[32];
		assert_int_equal(json_cstr(key, text, sizeof text), 0);
		keccak256(text, strlen(text), h);
		assert_int_equal(json_hex(v, topic, sizeof topic), 0);
		assert_memory_equal(h, topic, sizeof topic);
	}
	assert_int_equal(n, 5 + 13);
	assert_int_equal(json_cstr(known(known(all, "policy_topics"), "event"), text, sizeof text), 0);
	keccak256(text, strlen(text), h);
	known_is(known(all, "policy_topics"), "topic0", h, 32);
}

// Two instances never share a disk key, in any epoch; without instance ids all of an app do, as documented,
// and none of them has the key of one with an id. Everything else is the app's.
static void km_07_no_instance_id(void **state)
{
	struct roots r = { .ca = { [31] = 1 }, .k256 = { [31] = 2 } };
	uint8_t app[APP_ID] = { 1 }, one[APP_ID] = { 0 }, two[APP_ID] = { [19] = 1 };
	const struct span ids[] = { span_of(one, 20), span_of(two, 20), span_of(NULL, 0) };
	struct app_keys seen[6], again;
	struct err e;
	size_t n = 0;

	(void)state;
	for (uint64_t epoch = 0; epoch < 2; epoch++)
		for (size_t i = 0; i < 3; i++) {
			struct app_epoch at = { .epoch = epoch };
			assert_int_equal(appkeys_derive_at(&r, &at, app, ids[i], &seen[n], &e), 0);
			assert_int_equal(appkeys_derive_at(&r, &at, app, ids[i], &again, &e), 0);
			assert_memory_equal(&again, &seen[n], sizeof again);
			for (size_t k = 0; k < n; k++) {
				assert_memory_not_equal(seen[k].disk, seen[n].disk, 32);
				assert_int_equal(!memcmp(seen[k].env, seen[n].env, 32), k / 3 == n / 3);
				assert_int_equal(!memcmp(seen[k].k256, seen[n].k256, 32), k / 3 == n / 3);
			}
			n++;
		}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(measurements_tdx),     cmocka_unit_test(runtime_event_replay_v1),
		cmocka_unit_test(sealed_box_upstream),  cmocka_unit_test(selectors_and_topics),
		cmocka_unit_test(km_07_no_instance_id),
	};

	if (argc != 2 || sodium_init() < 0)
		return 2;
	all = known_open(argv[1]);
	return cmocka_run_group_tests_name("vectors", tests, NULL, NULL);
}
