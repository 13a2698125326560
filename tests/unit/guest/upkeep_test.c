// renewal and gate: when things are made anew, and whose quote comes first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "gate.h"
#include "renewal.h"

static void renewed_before_it_expires(void **state)
{
	struct renewal r = { 0 };

	(void)state;
	assert_true(renewal_due(&r, 1000, 5));
	assert_false(renewal_good(&r, 1000));
	renewal_made(&r, 1000, 1000 + 86400);
	assert_true(renewal_good(&r, 1000));
	assert_false(renewal_due(&r, 1000 + 57599, 5));
	assert_true(renewal_due(&r, 1000 + 57600, 5)); // a third of the day is left
	assert_true(renewal_good(&r, 1000 + 86399));
	assert_false(renewal_good(&r, 1000 + 86400));
	assert_true(renewal_due(&r, 1000 + 86400, 5));
	assert_true(renewal_due(&r, 500, 5)); // the clock was set back behind its beginning
	renewal_made(&r, 1000, 900);          // made expired: not good, and due
	assert_false(renewal_good(&r, 1000));
	assert_true(renewal_due(&r, 1000, 5));
}

static void failures_are_tried_later_and_later(void **state)
{
	struct renewal r = { 0 };
	uint64_t mono = 0;
	static const uint64_t waits[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300 };

	(void)state;
	renewal_made(&r, 0, 900);
	for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
		assert_true(renewal_due(&r, 700, mono));
		renewal_failed(&r, mono);
		assert_true(renewal_good(&r, 700)); // what is there serves on
		mono += waits[i] * 1000;
		assert_false(renewal_due(&r, 700, mono - 1));
		assert_false(renewal_due(&r, 1000, mono - 1)); // not even when it has expired meanwhile
	}
	assert_true(renewal_due(&r, 700, mono));
	renewal_made(&r, 700, 1600);
	assert_false(renewal_due(&r, 701, mono));
	renewal_failed(&r, mono);
	assert_false(renewal_due(&r, 1590, mono + 999));
	assert_true(renewal_due(&r, 1590, mono + 1000)); // the count began anew
}

static struct gate gate = GATE_INITIALIZER;
static int order[8];
static size_t entered;

struct visitor {
	pthread_t thread;
	int number;
	bool first;
};

static void *visit(void *arg)
{
	struct visitor *v = arg;

	gate_enter(&gate, v->first);
	order[entered++] = v->number; // only one is inside
	gate_leave(&gate);
	return NULL;
}

static unsigned first_waiting(void)
{
	pthread_mutex_lock(&gate.lock);
	unsigned n = gate.first;
	pthread_mutex_unlock(&gate.lock);
	return n;
}

// Apps wait for quotes; Info comes after them and is served before them all.
static void ga_07_the_agents_own_quote_first(void **state)
{
	struct visitor v[6];

	(void)state;
	gate_enter(&gate, false);
	for (int i = 0; i < 6; i++) {
		v[i] = (struct visitor){ .number = i, .first = i >= 4 };
		assert_int_equal(pthread_create(&v[i].thread, NULL, visit, &v[i]), 0);
	}
	while (first_waiting() < 2)
		usleep(1000);
	gate_leave(&gate);
	for (int i = 0; i < 6; i++)
		pthread_join(v[i].thread, NULL);
	assert_int_equal(entered, 6);
	assert_in_range(order[0], 4, 5);
	assert_in_range(order[1], 4, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(renewed_before_it_expires),
		cmocka_unit_test(failures_are_tried_later_and_later),
		cmocka_unit_test(ga_07_the_agents_own_quote_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
