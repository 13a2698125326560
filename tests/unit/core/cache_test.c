// What the engine keeps between calls never changes an answer, and it does not grow.
#include <malloc.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cases.h"

#ifndef BIT_STEP
enum { VERIFICATIONS = 20000 };
#else // a sanitizer build takes fewer
enum { VERIFICATIONS = 2000 };
#endif
enum { TEXT = 32 * 1024, TIMES = 3, ORDERS = 5, MANY = 1000 };

static const struct dcap_case *list;
static size_t n;

static int load_all(void **state)
{
	(void)state;
	n = cases_load(&list);
	return 0;
}

static int free_all(void **state)
{
	(void)state;
	cases_free();
	return 0;
}

// The case's own time, long before, long after: kept collateral is not kept validity.
static uint64_t time_of(const struct dcap_case *c, size_t i)
{
	return i == 0 ? c->now : i == 1 ? 1000000000 : 4000000000;
}

// All cases at all times in some order, with an engine that forgets nothing on the way.
static void judge_in_order(struct engine *g, char *const want[], size_t order)
{
	static const size_t stride[ORDERS] = { 1, 1, 7, 101, 293 };
	static char got[TEXT];
	size_t all = n * TIMES, at = 0;

	for (size_t i = 0; i < all; i++) {
		at = order == 1 ? all - 1 - i : (at + stride[order]) % all;
		const struct dcap_case *c = &list[at / TIMES];
		case_answer(g, c, time_of(c, at % TIMES), got, sizeof got);
		if (strcmp(got, want[at]))
			fail_msg("%s, order %zu, time %zu:\nnew  %s\nkept %s", c->name, order, at % TIMES,
				 want[at], got);
	}
}

static void same_answers(void **state)
{
	static char *want[MANY * TIMES];
	static char text[TEXT];
	struct err e = { 0 };
	struct engine *g = engine_new(&e);

	(void)state;
	assert_non_null(g);
	assert_in_range(n, 284, MANY);
	for (size_t i = 0; i < n * TIMES; i++) {
		const struct dcap_case *c = &list[i / TIMES];
		engine_forget(g, REASON_OK);
		case_answer(g, c, time_of(c, i % TIMES), text, sizeof text);
		want[i] = strdup(text);
		assert_non_null(want[i]);
	}
	for (size_t order = 0; order < ORDERS; order++)
		judge_in_order(g, want, order);
	print_message("%zu cases, %llu signatures verified, %llu known\n", n,
		      (unsigned long long)engine_stats(g).verified,
		      (unsigned long long)engine_stats(g).cached);
	for (size_t i = 0; i < n * TIMES; i++)
		free(want[i]);
	engine_free(g);
}

// Texts are told apart by their bytes: the same place with one bit changed is another collateral.
static void same_place_other_text(void **state)
{
	struct dcap_case c = list[0];
	uint8_t *copy = malloc(c.collateral.n);
	static char first[TEXT], got[TEXT], want[TEXT];
	struct err e = { 0 };
	struct engine *g = engine_new(&e), *other = engine_new(&e);

	(void)state;
	assert_non_null(copy);
	memcpy(copy, c.collateral.p, c.collateral.n);
	c.collateral = span_of(copy, c.collateral.n);
	case_answer(g, &c, c.now, first, sizeof first);
	assert_non_null(strstr(first, "\"ok\":true"));
	for (size_t at = 0; at < c.collateral.n; at += 37) {
		copy[at] ^= 1;
		engine_forget(other, REASON_OK);
		case_answer(other, &c, c.now, want, sizeof want);
		case_answer(g, &c, c.now, got, sizeof got);
		assert_string_equal(got, want);
		copy[at] ^= 1;
		case_answer(g, &c, c.now, got, sizeof got);
		assert_string_equal(got, first);
	}
	free(copy);
	engine_free(g);
	engine_free(other);
}

// The root belongs to what is kept: the same text under another root proves nothing.
static void same_text_other_root(void **state)
{
	struct dcap_case c = list[0];
	struct err e = { 0 };
	struct engine *g = engine_new(&e);
	static char first[TEXT], got[TEXT];
	const struct dcap_case *foreign = NULL;

	(void)state;
	for (size_t i = 0; i < n && !foreign; i++)
		if (!span_eq(list[i].root, c.root))
			foreign = &list[i];
	assert_non_null(foreign);
	case_answer(g, &c, c.now, first, sizeof first);
	c.root = foreign->root;
	case_answer(g, &c, c.now, got, sizeof got);
	assert_non_null(strstr(got, "\"ok\":false"));
	c.root = list[0].root;
	case_answer(g, &c, c.now, got, sizeof got);
	assert_string_equal(got, first);
	engine_free(g);
}

// A second verification runs no signature and decodes nothing.
static void nothing_twice(void **state)
{
	struct err e = { 0 };
	struct engine *g = engine_new(&e);
	static char text[TEXT];

	(void)state;
	case_answer(g, &list[0], list[0].now, text, sizeof text);
	uint64_t once = engine_stats(g).verified;
	assert_int_equal(once, 9);
	case_answer(g, &list[0], list[0].now, text, sizeof text);
	assert_int_equal(engine_stats(g).verified, once);
	assert_int_equal(engine_stats(g).decoded, 1);
	engine_free(g);
}

// Keys are made from a copy of another: a point that is not on the curve leaves nothing behind.
static void no_key_from_no_point(void **state)
{
	struct err e = { 0 };
	struct engine *g = engine_new(&e);
	struct quote q;
	uint8_t key[64], zero[64] = { 0 };

	(void)state;
	assert_int_equal(quote_parse(&q, list[0].quote), REASON_OK);
	memcpy(key, q.att_key.p, sizeof key);
	for (size_t i = 0; i < sizeof key; i++) {
		key[i] ^= 1;
		assert_false(engine_p256(g, key, q.signed_part, q.sig.p));
		key[i] ^= 1;
	}
	assert_false(engine_p256(g, zero, q.signed_part, q.sig.p));
	assert_true(engine_p256(g, key, q.signed_part, q.sig.p));
	assert_false(engine_p256(g, key, q.qe_report, q.sig.p));
	engine_free(g);
}

static void no_growth(void **state)
{
	struct err e = { 0 };
	struct engine *g = engine_new(&e);
	static char text[TEXT];
	size_t before = 0;

	(void)state;
	for (size_t i = 0; i < VERIFICATIONS + n; i++) {
		const struct dcap_case *c = &list[i % n];
		if (i == n) // everything that OpenSSL sets up at first use is there
			before = mallinfo2().uordblks;
		case_answer(g, c, c->now, text, sizeof text);
	}
	size_t after = mallinfo2().uordblks;
	print_message("%d verifications: %zu bytes of heap before, %zu after\n", VERIFICATIONS, before,
		      after);
	// The keys kept at the end differ in size by what OpenSSL allocates with them, not in number.
	assert_true(after <= before + 4096);
	engine_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_answers),         cmocka_unit_test(same_place_other_text),
		cmocka_unit_test(same_text_other_root), cmocka_unit_test(nothing_twice),
		cmocka_unit_test(no_key_from_no_point), cmocka_unit_test(no_growth),
	};

	return cmocka_run_group_tests(tests, load_all, free_all);
}
