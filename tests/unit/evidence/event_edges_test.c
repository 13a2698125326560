// Events at their edges: names that are no text, JSON members of every wrong type, scratch space that runs
// out.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/attest/eventlog.h"
#include "core/codec/utf8.h"

enum { EVENTS = 64 };
static struct event store[EVENTS];
static uint8_t scratch[1 << 16];

// ---- names and digests

static void text_is_utf_8(void **state)
{
	static const char *const good[] = { "",
					    "a",
					    "\x7f",
					    "\xc2\x80",
					    "\xdf\xbf",
					    "\xe0\xa0\x80",
					    "\xed\x9f\xbf",
					    "\xee\x80\x80",
					    "\xef\xbf\xbf",
					    "\xf0\x90\x80\x80",
					    "\xf4\x8f\xbf\xbf",
					    "a\xc3\xa9z\xe2\x82\xac" };
	static const char *const bad[] = { "\x80",
					   "\xbf",
					   "\xc0\x80",
					   "\xc1\xbf",
					   "\xc2",
					   "\xc2\x7f",
					   "\xc2\xc0",
					   "\xe0\x9f\xbf",
					   "\xed\xa0\x80",
					   "\xe2\x82",
					   "\xe2\x28\xa1",
					   "\xf0\x8f\xbf\xbf",
					   "\xf4\x90\x80\x80",
					   "\xf5\x80\x80\x80",
					   "\xff",
					   "a\xf0\x90\x80" };
	struct fault f = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(utf8_is(span_str(good[i])));
		if (*good[i])
			assert_int_equal(event_name_check(span_str(good[i]), 1, &f), 0);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (utf8_is(span_str(bad[i])))
			fail_msg("case %zu", i);
		assert_int_equal(event_name_check(span_str(bad[i]), 2, &f), -1);
		assert_string_equal(f.code, "events.name");
	}
	static const char longest[EVENT_NAME_MAX + 1] = { 'x' };
	assert_int_equal(event_name_check(span_of(longest, EVENT_NAME_MAX), 2, &f), 0);
	assert_int_equal(event_name_check(span_of(longest, EVENT_NAME_MAX + 1), 2, &f), -1);
	assert_int_equal(event_name_check(span_of(longest, 0), 2, &f), -1);
	assert_int_equal(event_name_check(span_of(longest, 1), 0, &f), -1);
	assert_string_equal(f.code, "events.version");
}

// RFC 8785: the string of section 3.2.2, and section 3.2.2.2's rule for each control character.
static void names_are_written_canonically(void **state)
{
	static const struct {
		const char *name, *text;
	} known[] = {
		{ "\xe2\x82\xac$\x0f\nA'B\"\\\\\"/", "\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/" },
		{ "\b\t\n\x0b\f\r\x0e\x1f \x7f", "\\b\\t\\n\\u000b\\f\\r\\u000e\\u001f \x7f" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		char got[256], want[256];
		struct wr w = wr_to(got, sizeof got);

		event_preimage_v2(&w, span_str(known[i].name), span_str("\xab"));
		snprintf(want, sizeof want, "{\"name\":\"%s\",\"payload\":\"ab\",\"type\":134217729}",
			 known[i].text);
		assert_true(span_is(span_of(got, w.n), want));
	}
}

static void registers_that_do_not_exist(void **state)
{
	struct event e = { .imr = 4, .version = 1 };
	struct eventlog log = { &e, 1, 1 };
	struct fault f = { 0 };
	uint8_t r[4][EVENT_DIGEST];

	(void)state;
	assert_int_equal(eventlog_replay(r, &log, &f), -1);
	assert_string_equal(f.code, "events.imr");
	assert_int_equal(event_check(&e, 0, &f), -1);
	assert_string_equal(f.code, "events.imr");
}

static void lists_differ_by_version(void **state)
{
	struct event a, b;
	struct eventlog log = { &a, 1, 1 }, runtime = { &b, 1, 1 };
	struct fault f = { 0 };

	(void)state;
	a = b = event_runtime(span_str("app-id"), span_str("x"), 1);
	assert_int_equal(eventlog_same_runtime(&log, &runtime, &f), 0);
	b.version = 2;
	assert_int_equal(eventlog_same_runtime(&log, &runtime, &f), -1);
	assert_string_equal(f.code, "events.disagree");
}

static void init_scripts_have_a_limit(void **state)
{
	struct event e[APP_SCRIPTS_MAX + 1];
	struct eventlog log = { e, APP_SCRIPTS_MAX, APP_SCRIPTS_MAX + 1 };
	struct app_events app;
	struct fault f = { 0 };

	(void)state;
	for (size_t i = 0; i <= APP_SCRIPTS_MAX; i++)
		e[i] = event_runtime(span_str("init-script-hash"), span_str("h"), 1);
	assert_int_equal(app_events_read(&app, &log, &f), 0);
	assert_int_equal(app.n_init_scripts, APP_SCRIPTS_MAX);
	log.n++;
	assert_int_equal(app_events_read(&app, &log, &f), -1);
	assert_string_equal(f.code, "events.limit");
}

// ---- JSON

static int read_json(const char *text, size_t cap, size_t room, struct fault *f)
{
	struct eventlog log = { store, 0, cap };
	struct wr s = wr_to(scratch, room);

	return eventlog_read_json(&log, &s, span_str(text), f);
}

static void json_members(void **state)
{
	static const struct {
		const char *text, *code; // NULL: accepted
	} cases[] = {
		{ "[]", NULL },
		{ "[{\"imr\":0,\"event_type\":1}]", NULL },
		{ "[{\"imr\":0,\"event_type\":1,\"digest\":null,\"event\":null,\"event_payload\":null,\"x\":["
		  "]}]",
		  NULL },
		{ "[{\"imr\":0,\"event_type\":1,\"event\":\"\\u00e9\"}]", NULL },
		{ "", "events.format" },
		{ "[", "events.format" },
		{ "{}", "events.format" },
		{ "[1]", "events.format" },
		{ "[{\"imr\":0}]", "events.format" },
		{ "[{\"event_type\":0}]", "events.format" },
		{ "[{\"imr\":\"0\",\"event_type\":1}]", "events.format" },
		{ "[{\"imr\":4,\"event_type\":1}]", "events.imr" },
		{ "[{\"imr\":0,\"event_type\":1,\"version\":\"1\"}]", "events.version" },
		{ "[{\"imr\":0,\"event_type\":1,\"version\":0}]", "events.version" },
		{ "[{\"imr\":0,\"event_type\":1,\"version\":256}]", "events.version" },
		{ "[{\"imr\":0,\"event_type\":1,\"version\":2}]", "events.version" },
		{ "[{\"imr\":0,\"event_type\":1,\"digest\":5}]", "events.format" },
		{ "[{\"imr\":0,\"event_type\":1,\"digest\":\"zz\"}]", "events.format" },
		{ "[{\"imr\":0,\"event_type\":1,\"digest\":\"00\"}]", "events.digest" },
		{ "[{\"imr\":0,\"event_type\":1,\"event_payload\":\"0\"}]", "events.format" },
		{ "[{\"imr\":0,\"event_type\":1,\"preimage\":true}]", "events.format" },
		{ "[{\"imr\":0,\"event_type\":1,\"event\":5}]", "events.format" },
		{ "[{\"imr\":0,\"event_type\":134217729}]", "events.type" },
		{ "[{\"imr\":3,\"event_type\":134217729}]", "events.name" },
	};
	struct fault f = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (read_json(cases[i].text, EVENTS, sizeof scratch, &f) != (cases[i].code ? -1 : 0))
			fail_msg("%s", cases[i].text);
		if (cases[i].code)
			assert_string_equal(f.code, cases[i].code);
	}
	assert_int_equal(read_json("[{\"imr\":0,\"event_type\":1},{\"imr\":0,\"event_type\":1}]", 1, 9, &f),
			 -1);
	assert_string_equal(f.code, "events.limit");
	// No room for what must be decoded.
	assert_int_equal(read_json("[{\"imr\":0,\"event_type\":1,\"event_payload\":\"0102\"}]", 1, 1, &f),
			 -1);
	assert_int_equal(read_json("[{\"imr\":0,\"event_type\":1,\"event\":\"\\u00e9\"}]", 1, 1, &f), -1);
	struct eventlog log = { store, 0, EVENTS };
	struct wr s = wr_to(scratch, sizeof scratch);
	s.bad = true;
	assert_int_equal(
		eventlog_read_json(&log, &s, span_str("[{\"imr\":0,\"event_type\":1,\"digest\":\"\"}]"), &f),
		-1);
	assert_int_equal(eventlog_read_json(&log, &s,
					    span_str("[{\"imr\":0,\"event_type\":1,\"event\":\"\\n\"}]"), &f),
			 -1);
}

static void more_events_than_we_look_at(void **state)
{
	static const char one[] = "{\"imr\":0,\"event_type\":1},";
	size_t n = EVENTLOG_MAX + 1, each = sizeof one - 1;
	char *text = malloc(n * each + 2);
	struct event *e = calloc(n, sizeof *e);
	struct eventlog log = { e, 0, n };
	struct wr s = wr_to(scratch, sizeof scratch);
	struct fault f = { 0 };

	(void)state;
	assert_true(text && e);
	text[0] = '[';
	for (size_t i = 0; i < n; i++)
		memcpy(text + 1 + i * each, one, each);
	text[n * each] = ']';
	assert_int_equal(eventlog_read_json(&log, &s, span_of(text, n * each + 1), &f), -1);
	assert_string_equal(f.code, "events.limit");
	text[(n - 1) * each] = ']';
	assert_int_equal(eventlog_read_json(&log, &s, span_of(text, (n - 1) * each + 1), &f), 0);
	free(e);
	free(text);
}

static void events_are_written_as_they_are(void **state)
{
	static const char name[EVENT_NAME_MAX + 1] = { 'x' };
	struct event e = {
		.imr = 3, .type = 5, .version = 1, .name = span_str("n"), .payload = span_str("p")
	};
	char text[1024];
	struct wr w = wr_to(text, sizeof text);

	(void)state;
	event_write_json(&w, &e, true); // register 3, but not a runtime event
	assert_true(span_is(
		span_of(text, w.n),
		"{\"imr\":3,\"event_type\":5,\"digest\":\"\",\"event\":\"n\",\"event_payload\":\"\"}"));
	e = event_runtime(span_str("a:b"), span_str("p"), 1); // has no digest
	w = wr_to(text, sizeof text);
	event_write_json(&w, &e, true);
	assert_true(span_is(span_of(text, w.n), "{\"imr\":3,\"event_type\":134217729,\"digest\":\"\","
						"\"event\":\"a:b\",\"event_payload\":\"70\"}"));
	e = event_runtime(span_of(name, sizeof name), span_str(""), 2); // no name is so long
	w = wr_to(scratch, sizeof scratch);
	event_write_json(&w, &e, true);
	assert_true(w.bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_utf_8),
		cmocka_unit_test(names_are_written_canonically),
		cmocka_unit_test(registers_that_do_not_exist),
		cmocka_unit_test(lists_differ_by_version),
		cmocka_unit_test(init_scripts_have_a_limit),
		cmocka_unit_test(json_members),
		cmocka_unit_test(more_events_than_we_look_at),
		cmocka_unit_test(events_are_written_as_they_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
