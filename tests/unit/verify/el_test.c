// Spec 70, event logs, on the verdict of whole evidence: EL-02 to EL-07, EL-10 and EL-11, each with its code.
// What a reader alone must refuse is in tests/unit/evidence/el_*_test.c.
#include "guest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/codec/base64.h"
#include "core/hash/sha2.h"

static struct guest g;
static uint8_t other[EVENT_DIGEST] = { 0xaa };

static void fresh(void)
{
	guest_new(&g);
	guest_build(&g);
}

static void assert_app(const struct verify *v)
{
	assert_memory_equal(v->boot.app_id, g.app_id, 20);
	assert_memory_equal(v->boot.compose_hash, g.compose_hash, 32);
}

// Put an event at a place of the runtime list; the machine really measured it.
static void insert(size_t at, struct event e)
{
	memmove(g.events + at + 1, g.events + at, (g.runtime.n - at) * sizeof e);
	g.events[at] = e;
	g.runtime.n++;
	guest_build(&g);
}

static size_t place_of(const char *name)
{
	for (size_t i = 0; i < g.runtime.n; i++)
		if (span_is(g.events[i].name, name))
			return i;
	fail_msg("no event %s", name);
	return 0;
}

static void el_02_altered_events(void **state)
{
	(void)state;
	fresh();
	guest_accepts(guest_get_quote(&g), NULL);
	for (size_t i = 0; i < g.runtime.n; i++) { // payload altered
		struct event was = g.events[i];

		g.events[i].payload = span_of(other, was.payload.n + 1);
		guest_refuses(guest_envelope(&g, true), NULL, "events.rtmr3");
		guest_refuses(guest_get_quote(&g), NULL, "events.rtmr3");
		g.events[i] = was;
	}
	for (size_t i = 0; i < g.log.n; i++) { // a boot event's digest altered, in evidence that shows them
		struct event was = g.boot[i];

		g.boot[i].digest = span_of(other, sizeof other);
		guest_refuses(guest_envelope(&g, false), NULL, "events.boot");
		g.boot[i] = was;
	}
	for (size_t i = 0; i < g.runtime.n; i++) // the platform's copy with another digest
		g.boot[g.log.n++] = g.events[i];
	guest_accepts(guest_envelope(&g, false), NULL);
	g.boot[g.log.n - 1].digest = span_of(other, sizeof other);
	guest_refuses(guest_envelope(&g, false), NULL, "events.digest");
}

static void el_03_second_identity_event(void **state)
{
	static const char *const names[] = { "app-id", "compose-hash", "instance-id", "key-provider" };

	(void)state;
	for (size_t k = 0; k < 4; k++) {
		fresh();
		insert(place_of("boot-mr-done"), event_runtime(span_str(names[k]), span_of(other, 20), 1));
		guest_refuses(guest_envelope(&g, true), NULL, "events.duplicate");
		fresh();
		insert(place_of("system-ready"), event_runtime(span_str(names[k]), span_of(other, 20), 1));
		guest_refuses(guest_envelope(&g, true), NULL, "events.duplicate");
		fresh();
		insert(g.runtime.n, event_runtime(span_str(names[k]), span_of(other, 20), 1));
		guest_accepts(guest_envelope(&g, true), NULL);
		assert_app(guest_judge(guest_envelope(&g, true), NULL, guest_image()));
	}
}

static void el_04_identity_event_after_the_boundary(void **state)
{
	static const char *const late[] = { "app-id", "compose-hash" };

	(void)state;
	for (size_t k = 0; k < 2; k++)
		for (int ready = 0; ready < 2; ready++) {
			fresh();
			size_t at = place_of(late[k]);
			struct event e = g.events[at];

			memmove(g.events + at, g.events + at + 1, (g.runtime.n - at - 1) * sizeof e);
			g.runtime.n--;
			insert(ready ? g.runtime.n : place_of("boot-mr-done") + 1, e);
			struct verify *v = guest_judge(guest_envelope(&g, true), NULL, guest_image());

			assert_false(v->verdict.ok);
			assert_string_equal(guest_claim(v, k ? "compose_hash" : "app_id"),
					    k ? "events.compose_hash" : "events.app_id");
		}
}

static void el_05_removed_added_swapped(void **state)
{
	struct event was[GUEST_RUNTIME];
	size_t n;

	(void)state;
	fresh();
	memcpy(was, g.events, sizeof was);
	n = g.runtime.n;
	for (size_t i = 0; i < n; i++) {
		memmove(g.events + i, g.events + i + 1, (n - i - 1) * sizeof *was);
		g.runtime.n = n - 1;
		guest_refuses(guest_envelope(&g, true), NULL, "events.rtmr3");
		memcpy(g.events, was, sizeof was);
		memmove(g.events + i + 1, g.events + i, (n - i) * sizeof *was);
		g.runtime.n = n + 1;
		guest_refuses(guest_envelope(&g, true), NULL, "events.rtmr3");
		memcpy(g.events, was, sizeof was);
		g.runtime.n = n;
		for (size_t k = i + 1; k < n; k++) {
			g.events[i] = was[k];
			g.events[k] = was[i];
			guest_refuses(guest_envelope(&g, true), NULL, "events.rtmr3");
			memcpy(g.events, was, sizeof was);
		}
	}
	n = g.log.n; // boot events, where they are shown
	memcpy(was, g.boot, sizeof was);
	for (size_t i = 0; i < n; i++) {
		memmove(g.boot + i, g.boot + i + 1, (n - i - 1) * sizeof *was);
		g.log.n = n - 1;
		guest_refuses(guest_envelope(&g, false), NULL, "events.boot");
		memcpy(g.boot, was, sizeof was);
		memmove(g.boot + i + 1, g.boot + i, (n - i) * sizeof *was);
		g.log.n = n + 1;
		guest_refuses(guest_envelope(&g, false), NULL, "events.boot");
		memcpy(g.boot, was, sizeof was);
		g.log.n = n;
	}
}

static void el_06_colon_in_a_name(void **state)
{
	(void)state;
	fresh();
	// the machine measured ("note", "x:y"); the log says ("note:x", "y"), which has the same digest
	insert(g.runtime.n, event_runtime(span_str("note"), span_str("x:y"), 1));
	guest_accepts(guest_envelope(&g, true), NULL);
	g.events[g.runtime.n - 1] = event_runtime(span_str("note:x"), span_str("y"), 1);
	guest_refuses(guest_envelope(&g, true), NULL, "events.name");
	guest_refuses(guest_envelope(&g, false), NULL, "events.name");
}

static void el_07_versions_mixed_up(void **state)
{
	uint8_t text[256], digest[EVENT_DIGEST];
	struct wr w = wr_to(text, sizeof text);
	struct event e = event_runtime(span_str("note:x"), span_str("y"), 2);

	(void)state;
	fresh();
	event_preimage_v2(&w, e.name, e.payload);
	sha384(text, w.n, digest);
	insert(g.runtime.n, e);
	guest_accepts(guest_envelope(&g, true), NULL);
	g.events[g.runtime.n - 1].name = span_str("notex"); // another, of version 2
	guest_refuses(guest_envelope(&g, true), NULL, "events.rtmr3");
	g.events[g.runtime.n - 1].version = 1; // labelled 1
	guest_refuses(guest_envelope(&g, true), NULL, "events.rtmr3");
	fresh();
	g.events[0].version = 2; // version 1, labelled 2
	guest_refuses(guest_envelope(&g, true), NULL, "events.rtmr3");
	// the platform's list must bring the canonical preimage
	fresh();
	insert(g.runtime.n, e);
	for (size_t i = 0; i < g.runtime.n; i++)
		g.boot[g.log.n++] = g.events[i];
	guest_refuses(guest_envelope(&g, false), NULL, "events.preimage");
	g.boot[g.log.n - 1].preimage = span_of(text, w.n);
	guest_accepts(guest_envelope(&g, false), NULL);
	text[1] = ' ';
	guest_refuses(guest_envelope(&g, false), NULL, "events.preimage");
}

static void el_10_register_and_kind(void **state)
{
	(void)state;
	fresh();
	struct event e = g.events[1]; // app-id as an event of register 0

	e.imr = 0;
	e.digest = span_of(other, sizeof other);
	g.boot[g.log.n++] = e;
	guest_refuses(guest_envelope(&g, false), NULL, "events.type");
	g.boot[g.log.n - 1].imr = 3; // a boot event in register 3
	g.boot[g.log.n - 1].type = 4;
	guest_refuses(guest_envelope(&g, false), NULL, "events.type");
	g.boot[g.log.n - 1].imr = 4;
	guest_refuses(guest_envelope(&g, false), NULL, "envelope.format");
}

// The image's identity as text, with a measurement that hangs together: consistent in itself and nothing
// more, until somebody allows exactly this hash.
static void el_11_self_consistent_is_not_allowed(void **state)
{
	struct span cbor, sums;
	uint8_t bytes[2048], hash[32];
	struct wr w = wr_to(bytes, sizeof bytes), b64 = wr_to(guest_room(), GUEST_ROOM);

	(void)state;
	fresh();
	assert_int_equal(measurement_tdx_write(&w, &guest_image()->m), 0);
	cbor = span_of(bytes, w.n);
	sha256(cbor.p, cbor.n, hash);
	sums = guest_text("%.*s  measurement.tdx.cbor\n%.*s  added.by.somebody\n", 64,
			  (const char *)guest_hex(span_of(hash, 32)).p, 64,
			  (const char *)guest_hex(span_of(other, 32)).p);
	sha256(sums.p, sums.n, g.image_hash);
	wr_base64(&b64, sums);
	wr_u8(&b64, ' ');
	size_t at = b64.n;

	wr_base64(&b64, cbor);
	snprintf(g.config, sizeof g.config,
		 "{\"os_image_hash\":\"%.64s\",\"memory_size\":%llu,\"cpu_count\":2,\"tee\":\"soft\","
		 "\"swtpm\":true,"
		 "\"qemu_version\":\"7.2.22\",\"tdx_measurement\":{\"checksum_file\":\"%.*s\","
		 "\"measurement\":\"%.*s\"}}",
		 (const char *)guest_hex(span_of(g.image_hash, 32)).p, 3072ull << 20, (int)at - 1,
		 (const char *)b64.p, (int)(b64.n - at), (const char *)b64.p + at);
	guest_build(&g);
	struct verify *v = guest_judge(guest_envelope(&g, true), NULL, NULL);

	assert_false(v->verdict.ok); // everything else holds
	assert_string_equal(v->verdict.code, "measure.base_unverified");
	assert_string_equal(guest_claim(v, "event_log"), "");
	struct verify_input in = { .binding = VERIFY_BIND_STATED };

	in.expect =
		guest_text("{\"os_image_hash\":[\"%.64s\"]}", (const char *)guest_hex(span_of(other, 32)).p);
	v = guest_judge(guest_envelope(&g, true), &in, NULL);
	assert_false(v->verdict.ok);
	in.expect = guest_text("{\"os_image_hash\":[\"%.64s\"]}",
			       (const char *)guest_hex(span_of(g.image_hash, 32)).p);
	v = guest_judge(guest_envelope(&g, true), &in, NULL);
	if (!v->verdict.ok)
		fail_msg("%s [%s]", v->verdict.error, v->verdict.code);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(el_02_altered_events),
		cmocka_unit_test(el_03_second_identity_event),
		cmocka_unit_test(el_04_identity_event_after_the_boundary),
		cmocka_unit_test(el_05_removed_added_swapped),
		cmocka_unit_test(el_06_colon_in_a_name),
		cmocka_unit_test(el_07_versions_mixed_up),
		cmocka_unit_test(el_10_register_and_kind),
		cmocka_unit_test(el_11_self_consistent_is_not_allowed),
	};
	return cmocka_run_group_tests(tests, guest_setup, guest_teardown);
}
