// Where a genuine log and its quote part after one change: a payload, an event appended, one left out.
#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "core/attest/eventlog_diff.h"
#include "load.h"

enum { ROOM = 1 << 20 };

static struct event events[2][EVENTLOG_MAX];
static struct envelope_tpm tpm;
static uint8_t scratch[2 * ROOM], text[ROOM];
static struct event_replay replay;

static size_t find(const char *name)
{
	size_t i = 0;

	while (i < replay.log.n && !span_is(replay.log.e[i].name, name))
		i++;
	assert_true(i < replay.log.n);
	return i;
}

static int read_genuine(void **state)
{
	struct wr room = wr_to(scratch, sizeof scratch);
	struct fault f;

	(void)state;
	replay.log = (struct eventlog){ events[0], 0, EVENTLOG_MAX };
	replay.runtime = (struct eventlog){ events[1], 0, EVENTLOG_MAX };
	replay.tpm = &tpm;
	return event_replay_read(&replay, &room, load("real/dstack/verifier/tdx-lite-getquote.json"), &f);
}

static void again(void)
{
	struct fault f;

	assert_int_equal(eventlog_replay(replay.rtmr, &replay.log, &f), 0);
}

static void expect(const char *want)
{
	struct wr w = wr_to(text, sizeof text);

	event_diff_json(&w, &replay);
	assert_false(w.bad);
	assert_int_equal(w.n, strlen(want));
	assert_memory_equal(text, want, w.n);
}

static void genuine(void **state)
{
	(void)state;
	assert_true(replay.has_quote);
	expect("[]");
}

static void content(void **state)
{
	struct event *e = &replay.log.e[find("compose-hash")];
	uint8_t digest[EVENT_DIGEST], before[EVENT_DIGEST];
	struct fault f;

	(void)state;
	assert_int_equal(event_digest(digest, e, &f), 0);
	assert_int_equal(event_digest(before, e - 1, &f), 0);
	e->payload = span_str("another");
	again();
	expect("[{\"register\":\"rtmr3\",\"difference\":\"unknown\",\"event\":null}]"); // it has no digest
	e[-1].digest = span_of(before, sizeof before);                                  // as it should be
	e->digest = span_of(digest, sizeof digest);
	expect("[{\"register\":\"rtmr3\",\"difference\":\"content\",\"event\":22}]");
}

static void later(void **state)
{
	struct event more = event_runtime(span_str("late"), span_str("x"), 1);

	(void)state;
	replay.log.e[replay.log.n++] = more;
	replay.log.e[replay.log.n++] = more;
	again();
	expect("[{\"register\":\"rtmr3\",\"difference\":\"later\",\"event\":29}]");
}

static void missing(void **state)
{
	size_t i = find("acpi-rsdp");

	(void)state;
	memmove(&replay.log.e[i], &replay.log.e[i + 1], (replay.log.n - i - 1) * sizeof(struct event));
	replay.log.n--;
	again();
	expect("[{\"register\":\"rtmr0\",\"difference\":\"unknown\",\"event\":null}]");
	replay.log.n--; // the last runtime event, too
	again();
	expect("[{\"register\":\"rtmr0\",\"difference\":\"unknown\",\"event\":null},"
	       "{\"register\":\"rtmr3\",\"difference\":\"unknown\",\"event\":null}]");
}

static void nothing_to_compare(void **state)
{
	(void)state;
	replay.log.n = 3;
	again();
	replay.present = 8;
	assert_int_equal(event_diff(&replay, 0).kind, EVENT_DIFF_NONE);
	assert_int_equal(event_diff(&replay, 3).kind, EVENT_DIFF_UNKNOWN);
	replay.has_quote = false;
	expect("[]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(genuine, read_genuine),
		cmocka_unit_test_setup(content, read_genuine),
		cmocka_unit_test_setup(later, read_genuine),
		cmocka_unit_test_setup(missing, read_genuine),
		cmocka_unit_test_setup(nothing_to_compare, read_genuine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
