// rate: one client, all clients, and more clients than the table holds.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "rpc/rate.h"

static int allowed(struct rate *r, unsigned client, int asked, uint64_t now)
{
	uint8_t key[RATE_KEY] = { 0 };
	int n = 0;

	memcpy(key, &client, sizeof client);
	for (int i = 0; i < asked; i++)
		n += rate_allow(r, key, now);
	return n;
}

static void one_client(void **state)
{
	struct rate *r = rate_new(&(struct rate_limits){ .per_s = 10, .burst = 20 });

	(void)state;
	assert_int_equal(allowed(r, 1, 100, 1000), 20);
	assert_int_equal(allowed(r, 1, 100, 1099), 0);
	assert_int_equal(allowed(r, 1, 100, 1100), 1); // a tenth of a second, a tenth of ten
	assert_int_equal(allowed(r, 1, 100, 1050), 0); // a clock that goes back gives nothing
	assert_int_equal(allowed(r, 1, 100, 2100), 10);
	assert_int_equal(allowed(r, 2, 100, 2100), 20); // another is not touched
	assert_int_equal(allowed(r, 1, 100, 1000000000), 20);
	rate_free(r);
}

static void all_clients(void **state)
{
	struct rate *r =
		rate_new(&(struct rate_limits){ .per_s = 10, .burst = 20, .all_per_s = 5, .all_burst = 30 });

	(void)state;
	assert_int_equal(allowed(r, 1, 100, 0), 20);
	assert_int_equal(allowed(r, 2, 100, 0), 10);
	assert_int_equal(allowed(r, 3, 100, 0), 0);
	assert_int_equal(allowed(r, 3, 100, 1000), 5);
	assert_int_equal(allowed(r, 3, 100, 2000), 5); // what is refused costs its client nothing
	rate_free(r);
}

static void no_limits(void **state)
{
	struct rate *r = rate_new(&(struct rate_limits){ 0 });

	(void)state;
	assert_int_equal(allowed(r, 1, 100000, 0), 100000);
	rate_free(r);
}

// A flood from a hundred thousand addresses: memory is what it was, and the common bucket holds.
static void more_clients_than_room(void **state)
{
	struct rate *r =
		rate_new(&(struct rate_limits){ .per_s = 1, .burst = 1, .all_per_s = 100, .all_burst = 100 });
	int n = 0;

	(void)state;
	for (unsigned i = 0; i < 100000; i++)
		n += allowed(r, i, 1, i / 100); // a second in all
	assert_in_range(n, 190, 200);
	rate_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_client),
		cmocka_unit_test(all_clients),
		cmocka_unit_test(no_limits),
		cmocka_unit_test(more_clients_than_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
