// Event logs: the real CCEL and TPM logs, replay, digests, and what must be refused (spec 70 EL-01 to EL-10).
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/attest/eventlog.h"
#include "core/hash/sha2.h"
#include "load.h"

static struct event store[EVENTLOG_MAX], store2[64];
static uint8_t scratch[4 << 20];

static struct eventlog empty_log(void)
{
	return (struct eventlog){ store, 0, EVENTLOG_MAX };
}

static void assert_hex(const uint8_t *p, size_t n, const char *want)
{
	char got[512];
	struct wr w = wr_to(got, sizeof got - 1);

	wr_hex(&w, p, n);
	got[w.n] = 0;
	got[strlen(want)] = 0;
	assert_string_equal(got, want);
}

static void digests_have_the_known_values(void **state)
{
	static const struct {
		const char *name, *start;
	} known[] = { { "system-preparing", "f9974020ef507068" },
		      { "boot-mr-done", "98bd7e6bd3952720" },
		      { "system-ready", "1a76b2a80a0be71e" } };
	uint8_t d[EVENT_DIGEST];
	struct fault f;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct event e = event_runtime(span_str(known[i].name), (struct span){ 0 }, 1);

		assert_int_equal(event_digest(d, &e, &f), 0);
		assert_hex(d, sizeof d, known[i].start);
	}
}

static void version_2_digest_is_over_the_canonical_form(void **state)
{
	uint8_t text[1024], d[EVENT_DIGEST], want[EVENT_DIGEST], big[1000];
	struct wr w = wr_to(text, sizeof text);
	struct fault f;

	(void)state;
	event_preimage_v2(&w, span_str("a\"\\\b\n\x01\xc3\xa9:"), hex("00ff"));
	const char *form =
		"{\"name\":\"a\\\"\\\\\\b\\n\\u0001\xc3\xa9:\",\"payload\":\"00ff\",\"type\":134217729}";

	assert_int_equal(w.n, strlen(form));
	assert_memory_equal(text, form, w.n);
	for (size_t n = 0; n < sizeof big; n += 37) {
		static uint8_t long_text[4096];
		struct wr l = wr_to(long_text, sizeof long_text);

		memset(big, (int)n, sizeof big);
		struct event e = event_runtime(span_str("x"), span_of(big, n), 2);

		event_preimage_v2(&l, e.name, e.payload);
		sha384(long_text, l.n, want);
		assert_int_equal(event_digest(d, &e, &f), 0);
		assert_memory_equal(d, want, sizeof d);
	}
}

static void names_that_collide_are_refused(void **state)
{
	uint8_t d[EVENT_DIGEST], long_name[EVENT_NAME_MAX + 1];
	struct event e = event_runtime(span_str("a:b"), span_str("c"), 1);
	struct fault f;

	(void)state;
	assert_int_equal(event_digest(d, &e, &f), -1);
	assert_string_equal(f.code, "events.name");
	e.version = 2;
	assert_int_equal(event_digest(d, &e, &f), 0);
	e.version = 3;
	assert_int_equal(event_digest(d, &e, &f), -1);
	e = event_runtime(span_str("\xc0\x80"), span_str(""), 2);
	assert_int_equal(event_digest(d, &e, &f), -1);
	memset(long_name, 'x', sizeof long_name);
	e = event_runtime(span_of(long_name, sizeof long_name), span_str(""), 1);
	assert_int_equal(event_digest(d, &e, &f), -1);
	e.name.n--;
	assert_int_equal(event_digest(d, &e, &f), 0);
}

static void real_ccel_logs_are_read(void **state)
{
	static const struct {
		const char *path;
		size_t n; // events of registers 0..3
	} files[] = {
		{ "real/dstack/cc-eventlog/ccel.bin", 18 },
		{ "real/trustee/deps/eventlog/test_data/CCEL_data", 5 },
		{ "real/trustee/deps/eventlog/test_data/CCEL_data_gcp", 21 },
		{ "real/trustee/deps/eventlog/test_data/CCEL_data_grub", 37 },
		{ "real/trustee/deps/eventlog/test_data/CCEL_data_ovmf", 20 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct eventlog log = empty_log();
		struct span bytes = load(files[i].path);
		struct fault f = { 0 };

		if (eventlog_read_ccel(&log, bytes, &f))
			fail_msg("%s: %s at %zu", files[i].path, f.text, f.at);
		assert_int_equal(log.n, files[i].n);
		for (size_t n = 0; n < bytes.n && n < 20000; n += 7) { // every prefix: an answer, no crash
			struct eventlog cut = { store2, 0, 64 };

			(void)eventlog_read_ccel(&cut, span_of(bytes.p, n), &f);
		}
	}
}

static void real_tpm_log_has_the_known_event(void **state)
{
	struct eventlog log = empty_log();
	struct fault f = { 0 };
	size_t seen = 0;

	(void)state;
	assert_int_equal(eventlog_read_pcrs(&log, load("real/dstack/cc-eventlog/tpm_eventlog.bin"), 0x0b, &f),
			 0);
	for (size_t i = 0; i < log.n; i++)
		if (log.e[i].imr == 2 && ++seen == 3)
			assert_hex(log.e[i].digest.p, 32,
				   "9ab14a46f858662a89adc102d2a57a13f52f75c1769d65a4c34edbbfc8855f0f");
	assert_int_equal(seen, 4);
}

static void lite_log_replays_to_its_quote(void **state)
{
	const char *file = "real/dstack/verifier/tdx-lite-getquote.json";
	struct span quote = load_hex_member(file, "quote");
	struct wr s = wr_to(scratch, sizeof scratch);
	struct eventlog log = empty_log();
	uint8_t rtmr[4][EVENT_DIGEST];
	struct fault f = { 0 };

	(void)state;
	if (eventlog_read_json(&log, &s, load_text_member(file, "event_log"), &f))
		fail_msg("%s at %zu", f.text, f.at);
	assert_int_equal(eventlog_replay(rtmr, &log, &f), 0);
	assert_memory_equal(rtmr, quote.p + 376, sizeof rtmr);

	// written and read again it is the same log
	static uint8_t text[1 << 20];
	static uint8_t scratch2[1 << 20];
	static struct event again_store[256];
	struct wr w = wr_to(text, sizeof text), s2 = wr_to(scratch2, sizeof scratch2);
	struct eventlog again = { again_store, 0, 256 };
	uint8_t rtmr2[4][EVENT_DIGEST];

	eventlog_write_json(&w, &log, true);
	assert_false(w.bad);
	assert_int_equal(eventlog_read_json(&again, &s2, span_of(text, w.n), &f), 0);
	assert_int_equal(eventlog_replay(rtmr2, &again, &f), 0);
	assert_memory_equal(rtmr, rtmr2, sizeof rtmr);

	// EL-05: any two events swapped, one left out, one doubled
	for (size_t i = 0; i + 1 < log.n; i++) {
		struct event e = log.e[i];

		if (log.e[i].imr != log.e[i + 1].imr || span_eq(log.e[i].digest, log.e[i + 1].digest))
			continue;
		log.e[i] = log.e[i + 1];
		log.e[i + 1] = e;
		if (!eventlog_replay(rtmr2, &log, &f))
			assert_memory_not_equal(rtmr, rtmr2, sizeof rtmr);
		log.e[i + 1] = log.e[i];
		log.e[i] = e;
	}
	log.n--;
	assert_int_equal(eventlog_replay(rtmr2, &log, &f), 0);
	assert_memory_not_equal(rtmr, rtmr2, sizeof rtmr);
}

static void version_2_events_survive_a_round_trip(void **state)
{
	static uint8_t text[65536];
	struct event two[] = { event_runtime(span_str("a:b \"q\""), hex("0a0b0c"), 2),
			       event_runtime(span_str("plain"), span_str("p"), 1) };
	struct eventlog log = { two, 2, 2 }, back = empty_log();
	struct wr w = wr_to(text, sizeof text), s = wr_to(scratch, sizeof scratch);
	struct fault f = { 0 };

	(void)state;
	eventlog_write_json(&w, &log, false);
	if (eventlog_read_json(&back, &s, span_of(text, w.n), &f))
		fail_msg("%s at %zu: %.*s", f.text, f.at, (int)w.n, (char *)text);
	assert_int_equal(back.n, 2);
	assert_int_equal(back.e[0].version, 2);
	assert_true(span_eq(back.e[0].name, two[0].name));
	assert_int_equal(eventlog_same_runtime(&back, &log, &f), 0);
	two[1].payload = span_str("q"); // EL-01
	assert_int_equal(eventlog_same_runtime(&back, &log, &f), -1);
	assert_string_equal(f.code, "events.disagree");
	log.n = 1;
	assert_int_equal(eventlog_same_runtime(&back, &log, &f), -1);
}

static void malformed_json_logs_are_refused(void **state)
{
	static const struct {
		const char *text, *code;
	} bad[] = {
		{ "{}", "events.format" },
		{ "[1]", "events.format" },
		{ "[{\"imr\":0}]", "events.format" },
		{ "[{\"imr\":4,\"event_type\":1}]", "events.imr" },
		{ "[{\"imr\":-1,\"event_type\":1}]", "events.format" },
		{ "[{\"imr\":0,\"event_type\":1,\"digest\":\"00\"}]", "events.digest" },
		{ "[{\"imr\":0,\"event_type\":1,\"digest\":\"0\"}]", "events.format" },
		{ "[{\"imr\":0,\"event_type\":1,\"digest\":5}]", "events.format" },
		{ "[{\"imr\":3,\"event_type\":134217729,\"event\":\"a\",\"version\":0}]", "events.version" },
		{ "[{\"imr\":3,\"event_type\":134217729,\"event\":\"a\",\"version\":3}]", "events.version" },
		{ "[{\"imr\":3,\"event_type\":134217729,\"event\":\"a\",\"version\":2}]", "events.preimage" },
		{ "[{\"imr\":0,\"event_type\":1,\"version\":2}]", "events.version" },
		{ "[{\"imr\":3,\"event_type\":134217729,\"event\":\"a\",\"version\":2,\"preimage\":\"7b7d\"}"
		  "]",
		  "events.preimage" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct eventlog log = empty_log();
		struct wr s = wr_to(scratch, sizeof scratch);
		struct fault f = { 0 };

		assert_int_equal(eventlog_read_json(&log, &s, span_str(bad[i].text), &f), -1);
		assert_string_equal(f.code, bad[i].code);
	}
}

static void only_events_before_system_ready_make_identity(void **state)
{
	struct event e[] = {
		event_runtime(span_str("app-id"), span_str("one"), 1),
		event_runtime(span_str("init-script-hash"), span_str("h1"), 1),
		event_runtime(span_str("init-script-hash"), span_str("h2"), 1),
		event_runtime(span_str("boot-mr-done"), span_str(""), 1),
		event_runtime(span_str("system-ready"), span_str(""), 1),
		event_runtime(span_str("app-id"), span_str("two"), 1),
		event_runtime(span_str("compose-hash"), span_str("late"), 1),
	};
	struct eventlog log = { e, 7, 7 };
	struct app_events app;
	struct fault f = { 0 };

	(void)state;
	assert_int_equal(app_events_read(&app, &log, &f), 0);
	assert_true(span_is(app.app_id, "one"));
	assert_int_equal(app.compose_hash.n, 0);
	assert_int_equal(app.n_init_scripts, 2);
	assert_true(app.boot_mr_done && app.system_ready);
	e[1] = e[0]; // EL-03
	assert_int_equal(app_events_read(&app, &log, &f), -1);
	assert_string_equal(f.code, "events.duplicate");
	assert_int_equal(f.at, 1);
}

static void boot_events_cannot_pose_as_runtime_events(void **state)
{
	uint8_t rtmr[4][EVENT_DIGEST], zero[EVENT_DIGEST] = { 0 };
	struct event e = event_runtime(span_str("x"), span_str(""), 1);
	struct eventlog log = { &e, 1, 1 };
	struct fault f = { 0 };

	(void)state;
	e.type = 4; // EL-10
	e.digest = span_of(zero, sizeof zero);
	assert_int_equal(eventlog_replay(rtmr, &log, &f), -1);
	assert_string_equal(f.code, "events.type");
	e.imr = 0;
	assert_int_equal(eventlog_replay(rtmr, &log, &f), 0);
	e.digest.n = 32;
	assert_int_equal(eventlog_replay(rtmr, &log, &f), -1);
}

static void boot_time_replay_stops_at_the_boundary(void **state)
{
	struct event e[] = { event_runtime(span_str("app-id"), span_str("one"), 1),
			     event_runtime(span_str("boot-mr-done"), span_str(""), 1),
			     event_runtime(span_str("key-provider"), span_str("{}"), 1) };
	struct eventlog log = { e, 3, 3 };
	uint8_t a[EVENT_DIGEST], b[EVENT_DIGEST];
	struct fault f = { 0 };

	(void)state;
	assert_int_equal(eventlog_replay_runtime(a, &log, true, &f), 0);
	log.n = 2;
	assert_int_equal(eventlog_replay_runtime(b, &log, false, &f), 0);
	assert_memory_equal(a, b, sizeof a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_have_the_known_values),
		cmocka_unit_test(version_2_digest_is_over_the_canonical_form),
		cmocka_unit_test(names_that_collide_are_refused),
		cmocka_unit_test(real_ccel_logs_are_read),
		cmocka_unit_test(real_tpm_log_has_the_known_event),
		cmocka_unit_test(lite_log_replays_to_its_quote),
		cmocka_unit_test(version_2_events_survive_a_round_trip),
		cmocka_unit_test(malformed_json_logs_are_refused),
		cmocka_unit_test(only_events_before_system_ready_make_identity),
		cmocka_unit_test(boot_events_cannot_pose_as_runtime_events),
		cmocka_unit_test(boot_time_replay_stops_at_the_boundary),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
