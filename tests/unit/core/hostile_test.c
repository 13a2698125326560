// RB-02: what somebody without a good signature can make us do. Counted here: signatures, decodings, heap;
// timed by `make bench BENCH=verify`.
#include <malloc.h>
#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "core/codec/json.h"
#include "core/verdict/reason.h"
#include "hostile.h"

static bool is_verifier(const struct hostile *h)
{
	return h->kind == HOSTILE_EVIDENCE || h->kind == HOSTILE_QUOTE;
}

static void rb_02_one_signature_and_no_heap(void **state)
{
	size_t n, failed = 0;
	char code[64];
	const struct hostile *all = hostile_all(&n);
	struct err e = { 0 };
	struct engine *g = engine_new(&e);

	(void)state;
	assert_non_null(g);
	assert_true(n > 60);
	for (size_t i = 0; i < n; i++) // OpenSSL sets itself up
		hostile_run(&all[i], g, code, sizeof code);
	for (size_t i = 0; i < n; i++) {
		engine_forget(g, REASON_OK);
		struct engine_stats before = engine_stats(g);
		size_t heap = mallinfo2().uordblks;
		bool refused = hostile_run(&all[i], g, code, sizeof code);
		struct engine_stats after = engine_stats(g);
		bool ok = after.verified - before.verified <= 1 && after.decoded - before.decoded <= 1 &&
			  mallinfo2().uordblks <= heap;
		if (is_verifier(&all[i]))
			ok = ok && refused && reason_find(span_str(code));
		if (!ok)
			print_error("%s: %s, %zu signatures, %zu decoded\n", all[i].name, code,
				    (size_t)(after.verified - before.verified),
				    (size_t)(after.decoded - before.decoded));
		failed += !ok;
	}
	assert_int_equal(failed, 0);
	engine_free(g);
}

// A signature that fails ends it: the expensive checks behind are not run.
static void rb_02_first_failure_ends_the_checks(void **state)
{
	size_t n, seen = 0;
	const struct hostile *all = hostile_all(&n);
	struct err e = { 0 };
	struct engine *g = engine_new(&e);
	char code[64];

	(void)state;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(all[i].name, "quote: root list signed by nobody") != 0)
			continue;
		engine_forget(g, REASON_OK);
		uint64_t before = engine_stats(g).verified;
		assert_true(hostile_run(&all[i], g, code, sizeof code));
		assert_string_equal(code, "crl.signature");
		assert_int_equal(engine_stats(g).verified - before, 1);
		seen++;
	}
	assert_int_equal(seen, 2); // as a quote, and as evidence
	engine_free(g);
}

// Looking for a duplicate never compares a name with many.
static void rb_02_names_of_one_hash(void **state)
{
	size_t n, seen = 0;
	const struct hostile *all = hostile_all(&n);
	struct json v;
	struct json_fault f;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		if (all[i].kind != HOSTILE_JSON || strcmp(all[i].name, "json: names of one hash") != 0)
			continue;
		f = (struct json_fault){ 0 };
		// Pairs are read; of more, the third name is the last that is looked at.
		if (json_parse(&v, all[i].bytes, &f)) {
			assert_string_equal(f.what, "members too much alike");
			assert_true(f.at < 500);
		}
		seen++;
	}
	assert_int_equal(seen, 2);
}

static int free_all(void **state)
{
	(void)state;
	hostile_free();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rb_02_one_signature_and_no_heap),
		cmocka_unit_test(rb_02_first_failure_ends_the_checks),
		cmocka_unit_test(rb_02_names_of_one_hash),
	};

	return cmocka_run_group_tests(tests, NULL, free_all);
}
