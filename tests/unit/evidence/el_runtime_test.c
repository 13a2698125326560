// Spec 70, event logs: EL-02 to EL-07 and EL-10, on logs of real machines whose registers a quote vouches
// for.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/attest/envelope.h"
#include "core/codec/json.h"
#include "core/hash/sha2.h"
#include "load.h"

static struct event store[512], runtime_store[512], work[512];
static uint8_t scratch[1 << 20], scratch2[1 << 20], text[1 << 20];

struct sample {
	struct eventlog log; // all of it, registers 0 to 3
	uint8_t quoted[4][EVENT_DIGEST];
};

static void read_getquote(struct sample *s)
{
	static const char file[] = "real/dstack/verifier/tdx-lite-getquote.json";
	struct wr w = wr_to(scratch, sizeof scratch);
	struct fault f = { 0 };

	s->log = (struct eventlog){ store, 0, 512 };
	memcpy(s->quoted, load_hex_member(file, "quote").p + 376, sizeof s->quoted);
	assert_int_equal(eventlog_read_json(&s->log, &w, load_text_member(file, "event_log"), &f), 0);
	for (size_t i = 0; i < s->log.n; i++) { // left out there: put them in, as older guests do
		static uint8_t digests[512][EVENT_DIGEST];
		struct event *e = &s->log.e[i];

		if (e->imr == 3 && !e->digest.n && !event_digest(digests[i], e, &f))
			e->digest = span_of(digests[i], EVENT_DIGEST);
		assert_int_equal(e->digest.n, EVENT_DIGEST);
	}
}

static void read_envelope(struct sample *s)
{
	struct envelope env = { .log = { store, 0, 512 }, .runtime = { runtime_store, 0, 512 } };
	struct wr w = wr_to(scratch, sizeof scratch);
	struct fault f = { 0 };

	assert_int_equal(envelope_read(&env, &w, load("real/dstack/sdk-simulator/attestation.bin"), &f), 0);
	s->log = env.log;
	memcpy(s->quoted, env.quote.p + 376, sizeof s->quoted);
}

static void read_boot(struct sample *s)
{
	struct fault f = { 0 };

	s->log = (struct eventlog){ store, 0, 512 };
	assert_int_equal(
		eventlog_read_ccel(&s->log, load("real/trustee/deps/eventlog/test_data/CCEL_data_grub"), &f),
		0);
	assert_int_equal(eventlog_replay(s->quoted, &s->log, &f), 0);
}

static bool holds(const struct sample *s, const struct eventlog *log)
{
	uint8_t rtmr[4][EVENT_DIGEST];
	struct fault f;

	return !eventlog_replay(rtmr, log, &f) && !memcmp(rtmr, s->quoted, sizeof rtmr);
}

// As the sender wrote it: every member as it is, nothing recomputed.
static struct span raw_json(const struct eventlog *log)
{
	struct wr w = wr_to(text, sizeof text);

	wr_u8(&w, '[');
	for (size_t i = 0; i < log->n; i++) {
		const struct event *e = &log->e[i];

		wr_str(&w, i ? ",{\"imr\":" : "{\"imr\":");
		wr_dec(&w, e->imr);
		wr_str(&w, ",\"event_type\":");
		wr_dec(&w, e->type);
		wr_str(&w, ",\"digest\":");
		wr_json_hex(&w, e->digest.p, e->digest.n);
		wr_str(&w, ",\"event\":");
		wr_json(&w, e->name);
		wr_str(&w, ",\"event_payload\":");
		wr_json_hex(&w, e->payload.p, e->payload.n);
		if (e->version != 1) {
			wr_str(&w, ",\"version\":");
			wr_dec(&w, e->version);
		}
		if (e->preimage.n) {
			wr_str(&w, ",\"preimage\":");
			wr_json_hex(&w, e->preimage.p, e->preimage.n);
		}
		wr_u8(&w, '}');
	}
	wr_u8(&w, ']');
	assert_false(w.bad);
	return span_of(text, w.n);
}

// "ok", or the code with which a reader refuses the list: in reading or in replaying it.
static const char *answer(const struct sample *s, const struct event *e, size_t n)
{
	static struct event read[512];
	struct eventlog out = { read, 0, 512 }, in = { (struct event *)(uintptr_t)e, n, n };
	struct wr w = wr_to(scratch2, sizeof scratch2);
	static struct fault f;
	uint8_t rtmr[4][EVENT_DIGEST];

	if (eventlog_read_json(&out, &w, raw_json(&in), &f) || eventlog_replay(rtmr, &out, &f))
		return f.code;
	return memcmp(rtmr, s->quoted, sizeof rtmr) ? "mismatch" : "ok";
}

static void el_02_altered_payload_or_digest(void **state)
{
	static uint8_t copy[65536];
	struct sample s;

	(void)state;
	read_getquote(&s);
	assert_string_equal(answer(&s, s.log.e, s.log.n), "ok");
	for (size_t i = 0; i < s.log.n; i++) {
		struct event was = s.log.e[i];
		bool runtime = was.imr == 3;

		// digest altered, payload kept: refused, or the register differs
		memcpy(copy, was.digest.p, was.digest.n);
		for (size_t k = 0; k < was.digest.n; k++) {
			copy[k] ^= 1;
			s.log.e[i].digest.p = copy;
			assert_string_equal(answer(&s, s.log.e, s.log.n),
					    runtime ? "events.digest" : "mismatch");
			copy[k] ^= 1;
		}
		s.log.e[i] = was;
		if (!runtime) // a boot event's digest is the firmware's; its payload is not judged
			continue;
		s.log.e[i].digest.n = 0; // left out: computed
		assert_string_equal(answer(&s, s.log.e, s.log.n), "ok");
		// payload altered, digest kept or left out
		memcpy(copy, was.payload.p, was.payload.n);
		copy[was.payload.n] = 0;
		s.log.e[i].payload = span_of(copy, was.payload.n + 1);
		assert_string_equal(answer(&s, s.log.e, s.log.n), "mismatch");
		s.log.e[i].digest = was.digest;
		assert_string_equal(answer(&s, s.log.e, s.log.n), "events.digest");
		for (size_t k = 0; k < was.payload.n; k++) {
			copy[k] ^= 0x80;
			s.log.e[i].payload.n = was.payload.n;
			assert_string_equal(answer(&s, s.log.e, s.log.n), "events.digest");
			copy[k] ^= 0x80;
		}
		s.log.e[i] = was;
		s.log.e[i].name = span_str("other");
		assert_string_equal(answer(&s, s.log.e, s.log.n), "events.digest");
		s.log.e[i] = was;
	}
}

// The platform's list beside the runtime list of an envelope: neither may say something else.
static void el_02_in_an_envelope(void **state)
{
	struct envelope env = { .log = { store, 0, 512 }, .runtime = { runtime_store, 0, 512 } };
	struct wr w = wr_to(scratch, sizeof scratch);
	static const uint8_t other[EVENT_DIGEST] = { 9 };
	struct fault f = { 0 };

	(void)state;
	assert_int_equal(envelope_read(&env, &w, load("real/dstack/sdk-simulator/attestation.bin"), &f), 0);
	assert_int_equal(eventlog_same_runtime(&env.log, &env.runtime, &f), 0);
	for (size_t i = 0; i < env.log.n; i++) {
		struct event was = env.log.e[i];

		if (was.imr != 3)
			continue;
		env.log.e[i].digest = span_of(other, sizeof other);
		assert_int_equal(eventlog_same_runtime(&env.log, &env.runtime, &f), -1);
		assert_string_equal(f.code, "events.digest");
		env.log.e[i].digest.n = 0;
		env.log.e[i].payload = span_of(other, 1);
		assert_int_equal(eventlog_same_runtime(&env.log, &env.runtime, &f), -1);
		assert_string_equal(f.code, "events.disagree");
		env.log.e[i] = was;
	}
}

static void identity_is(const struct event *e, size_t n, const char *code, const char *app_id)
{
	struct eventlog log = { (struct event *)(uintptr_t)e, n, n };
	struct app_events app;
	struct fault f = { "ok", "", 0 };

	(void)!app_events_read(&app, &log, &f);
	assert_string_equal(f.code, code);
	if (app_id)
		assert_true(span_is(app.app_id, app_id));
}

#define EV(name, payload) event_runtime(span_str(name), span_str(payload), 1)

// Every system event a second time at every place of a real boot: before system-ready it is refused (or,
// where it would come before its time is over and nothing was there yet, it is the first), behind it it is
// nothing.
static void el_03_second_identity_event(void **state)
{
	static const char *const names[] = { "app-id",        "compose-hash", "instance-id", "key-provider",
					     "os-image-hash", "storage-fs",   "boot-mr-done" };
	struct sample s;
	struct app_events app, again;
	struct fault f = { 0 };
	struct eventlog log = { work, 0, 512 };
	size_t n = 0, ready = 0;

	(void)state;
	read_getquote(&s);
	for (size_t i = 0; i < s.log.n; i++)
		if (s.log.e[i].imr == 3)
			work[n++] = s.log.e[i];
	log.n = n;
	assert_int_equal(app_events_read(&app, &log, &f), 0);
	assert_true(app.boot_mr_done && app.system_ready && app.app_id.n == 20 && app.compose_hash.n == 32);
	while (!span_is(work[ready].name, "system-ready"))
		ready++;
	for (size_t k = 0; k < sizeof names / sizeof *names; k++)
		for (size_t at = 0; at <= n; at++) {
			memmove(work + at + 1, work + at, (n - at) * sizeof *work);
			work[at] = EV(names[k], "forged");
			log.n = n + 1;
			if (at > ready) {
				assert_int_equal(app_events_read(&again, &log, &f), 0);
				assert_memory_equal(&again, &app, sizeof app);
			} else if (k != 6) {
				assert_int_equal(app_events_read(&again, &log, &f), -1);
				assert_string_equal(f.code, "events.duplicate");
			} else { // an early boundary, too: then what follows it is late, or it is there twice
				assert_true(app_events_read(&again, &log, &f) == -1 || !again.app_id.n);
			}
			memmove(work + at, work + at + 1, (n - at) * sizeof *work);
		}
}

static void el_04_identity_event_only_after_the_boundary(void **state)
{
	const struct event late[] = { EV("system-preparing", ""), EV("boot-mr-done", ""),
				      EV("system-ready", ""),     EV("app-id", "x"),
				      EV("compose-hash", "y"),    EV("key-provider", "z") };
	const struct event between[] = { EV("boot-mr-done", ""),     EV("app-id", "x"),
					 EV("compose-hash", "y"),    EV("instance-id", "i"),
					 EV("init-script-hash", ""), EV("gpu-policy-hash", "g"),
					 EV("key-provider", "z"),    EV("system-ready", "") };
	struct eventlog log = { (struct event *)(uintptr_t)late, 6, 6 };
	struct app_events app;
	struct fault f = { 0 };

	(void)state;
	assert_int_equal(app_events_read(&app, &log, &f), 0);
	assert_int_equal(app.app_id.n + app.compose_hash.n + app.key_provider.n, 0);
	log = (struct eventlog){ (struct event *)(uintptr_t)between, 8, 8 };
	assert_int_equal(app_events_read(&app, &log, &f), 0);
	assert_int_equal(app.app_id.n + app.compose_hash.n + app.instance_id.n + app.gpu_policy_hash.n +
				 app.n_init_scripts,
			 0);
	assert_true(span_is(app.key_provider, "z"));
	identity_is(
		(const struct event[]){ EV("app-id", "one"), EV("system-ready", ""), EV("app-id", "two") }, 3,
		"ok", "one");
}

// The order of digests in each register is all that is measured: two lists are the same exactly if it is.
static bool same_registers(const struct event *a, size_t na, const struct event *b, size_t nb)
{
	for (uint32_t imr = 0; imr < 4; imr++) {
		size_t i = 0, k = 0;

		for (;; i++, k++) {
			while (i < na && a[i].imr != imr)
				i++;
			while (k < nb && b[k].imr != imr)
				k++;
			if (i == na || k == nb)
				break;
			if (!span_eq(a[i].digest, b[k].digest))
				return false;
		}
		if (i != na || k != nb)
			return false;
	}
	return true;
}

static void every_change(const struct sample *s)
{
	const struct event *e = s->log.e;
	const size_t n = s->log.n;
	struct eventlog log = { work, n, 512 };
	size_t unseen = 0;

	assert_true(holds(s, &s->log));
	for (size_t i = 0; i < n; i++) { // removed
		memcpy(work, e, i * sizeof *e);
		memcpy(work + i, e + i + 1, (n - i - 1) * sizeof *e);
		log.n = n - 1;
		assert_false(holds(s, &log));
	}
	for (size_t at = 0; at <= n; at++) // added
		for (size_t i = 0; i < n; i++) {
			memcpy(work, e, at * sizeof *e);
			work[at] = e[i];
			memcpy(work + at + 1, e + at, (n - at) * sizeof *e);
			log.n = n + 1;
			assert_false(holds(s, &log));
		}
	log.n = n;
	for (size_t i = 0; i < n; i++) // swapped
		for (size_t k = i + 1; k < n; k++) {
			memcpy(work, e, n * sizeof *e);
			work[i] = e[k];
			work[k] = e[i];
			bool same = same_registers(e, n, work, n);

			assert_int_equal(holds(s, &log), same);
			unseen += same;
		}
	assert_true(unseen < n * (n - 1) / 4); // most swaps are of one register's events
}

static void el_05_any_event_removed_added_or_swapped(void **state)
{
	struct sample s;

	(void)state;
	read_getquote(&s);
	every_change(&s);
	read_envelope(&s);
	every_change(&s);
	read_boot(&s);
	every_change(&s);
}

static void el_06_names_with_a_colon(void **state)
{
	static const uint8_t head[] = { 1, 0, 0, 8, ':' };
	struct event one = EV("a", "b:c"), two = EV("a:b", "c");
	uint8_t d[EVENT_DIGEST], want[EVENT_DIGEST], forged[64], quoted[4][EVENT_DIGEST] = { { 0 } };
	struct wr w = wr_to(forged, sizeof forged);
	struct fault f = { 0 };
	struct sample s = { .log = { store, 0, 512 } };

	(void)state;
	// by the rule of version 1 both have this digest
	wr_put(&w, head, sizeof head);
	wr_str(&w, "a:b:c");
	sha384(forged, w.n, want);
	assert_int_equal(event_digest(d, &one, &f), 0);
	assert_memory_equal(d, want, sizeof d);
	register_extend(quoted[3], want);
	memcpy(s.quoted, quoted, sizeof quoted);
	assert_string_equal(answer(&s, &one, 1), "ok");
	assert_string_equal(answer(&s, &two, 1), "events.name");
	two.digest = span_of(want, sizeof want);
	assert_string_equal(answer(&s, &two, 1), "events.name");
	assert_int_equal(event_name_check(span_str("a:b"), 1, &f),
			 -1); // what the guest agent asks before it emits
	assert_string_equal(f.code, "events.name");

	struct eventlog log = { &two, 1, 1 };

	assert_int_equal(eventlog_replay_runtime(d, &log, false, &f), -1);
	assert_string_equal(f.code, "events.name");
	two.version = 2; // canonical JSON keeps name and payload apart
	two.digest.n = 0;
	assert_int_equal(event_digest(d, &two, &f), 0);
	assert_memory_not_equal(d, want, sizeof d);
}

static struct event version_2(const char *name, const char *payload)
{
	static uint8_t preimage[1024], digest[EVENT_DIGEST];
	struct wr w = wr_to(preimage, sizeof preimage);
	struct event e = event_runtime(span_str(name), span_str(payload), 2);

	event_preimage_v2(&w, e.name, e.payload);
	sha384(preimage, w.n, digest);
	e.preimage = span_of(preimage, w.n);
	e.digest = span_of(digest, sizeof digest);
	return e;
}

static void el_07_versions_mixed_up(void **state)
{
	static const char *const others[] = {
		"{\"name\":\"app-id\",\"payload\":\"31\", \"type\":134217729}", // a blank
		"{\"payload\":\"31\",\"name\":\"app-id\",\"type\":134217729}",  // another order
		"{\"name\":\"app-id\",\"payload\":\"32\",\"type\":134217729}",  // another payload
		"{\"name\":\"app\\u002did\",\"payload\":\"31\",\"type\":134217729}",
		"{\"name\":\"app-id\",\"payload\":\"31\",\"type\":134217730}",
		"{\"name\":\"app-id\",\"payload\":\"31\",\"type\":134217729,\"version\":2}",
		"{\"name\":\"app-id\",\"payload\":\"31\",\"type\":134217729}\n",
	};
	struct sample s = { .log = { store, 0, 512 } };
	struct event v2 = version_2("app-id", "1"), e = v2;
	uint8_t v1[EVENT_DIGEST], d[EVENT_DIGEST];
	struct event plain = EV("app-id", "1");
	struct fault f;

	(void)state;
	assert_int_equal(event_digest(v1, &plain, &f), 0);
	register_extend(s.quoted[3], v2.digest.p);
	assert_string_equal(answer(&s, &v2, 1), "ok");
	e.preimage.n = 0; // without preimage
	assert_string_equal(answer(&s, &e, 1), "events.preimage");
	e = v2;
	e.version = 1; // labelled 1, with and without its preimage and digest
	assert_string_equal(answer(&s, &e, 1), "events.preimage");
	e.preimage.n = 0;
	assert_string_equal(answer(&s, &e, 1), "events.digest");
	e.digest.n = 0;
	assert_string_equal(answer(&s, &e, 1), "mismatch");
	e = plain; // a version-1 event labelled 2
	e.version = 2;
	assert_string_equal(answer(&s, &e, 1), "events.preimage");
	e.digest = span_of(v1, sizeof v1);
	e.preimage = v2.preimage;
	assert_string_equal(answer(&s, &e, 1), "events.digest");
	e = v2;
	e.version = 3;
	assert_string_equal(answer(&s, &e, 1), "events.version");
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		e = v2;
		e.preimage = span_str(others[i]);
		sha384(e.preimage.p, e.preimage.n, d);
		assert_string_equal(answer(&s, &e, 1), "events.preimage");
		e.digest = span_of(d, sizeof d); // the digest of what it brings along
		assert_string_equal(answer(&s, &e, 1), "events.digest");
		e.digest.n = 0;
		assert_string_equal(answer(&s, &e, 1), "events.preimage");
	}
}

static void el_10_register_and_kind(void **state)
{
	static uint8_t digest[EVENT_DIGEST];
	struct event e = EV("app-id", "x");
	struct sample s = { .log = { store, 0, 512 } };
	struct eventlog log = { &e, 1, 1 };
	uint8_t rtmr[4][EVENT_DIGEST];
	struct app_events app;
	struct fault f = { 0 };

	(void)state;
	for (uint32_t imr = 4; imr < 9; imr++) {
		e.imr = imr;
		assert_string_equal(answer(&s, &e, 1), "events.imr");
		assert_int_equal(eventlog_replay(rtmr, &log, &f), -1);
		assert_string_equal(f.code, "events.imr");
	}
	e.digest = span_of(digest, sizeof digest);
	for (e.imr = 0; e.imr < 3; e.imr++) { // a runtime event in a register of the boot
		assert_string_equal(answer(&s, &e, 1), "events.type");
		assert_int_equal(eventlog_replay(rtmr, &log, &f), -1);
		assert_string_equal(f.code, "events.type");
		assert_int_equal(app_events_read(&app, &log, &f), 0);
		assert_int_equal(app.app_id.n, 0);
	}
	e.imr = 3; // a boot event in the runtime register
	e.type = 4;
	assert_string_equal(answer(&s, &e, 1), "events.type");
	assert_int_equal(eventlog_replay_runtime(digest, &log, false, &f), -1);
	assert_string_equal(f.code, "events.type");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(el_02_altered_payload_or_digest),
		cmocka_unit_test(el_02_in_an_envelope),
		cmocka_unit_test(el_03_second_identity_event),
		cmocka_unit_test(el_04_identity_event_only_after_the_boundary),
		cmocka_unit_test(el_05_any_event_removed_added_or_swapped),
		cmocka_unit_test(el_06_names_with_a_colon),
		cmocka_unit_test(el_07_versions_mixed_up),
		cmocka_unit_test(el_10_register_and_kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
