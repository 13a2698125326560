// RB-02 for whole evidence: what a stranger can make a verifier do before any signature has held.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "ratls/verify.h"

// The rule is 5 ms; the test machine may be slow and busy, and a sanitizer is ten times slower. What this
// would catch is work that grows faster than the input.
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
enum { LIMIT_MS = 400 };
#else
enum { LIMIT_MS = 25 };
#endif
enum { SIZE = VERIFY_EVIDENCE_MAX, ROOM = SIZE + 4096 };

static struct engine *engine;
static char *text;
static size_t used;

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void put(const char *s)
{
	size_t n = strlen(s);

	assert_true(used + n <= ROOM);
	memcpy(text + used, s, n);
	used += n;
}

static void start(const char *s)
{
	used = 0;
	put(s);
}

static void fill(const char *s, size_t until)
{
	while (used + strlen(s) <= until)
		put(s);
}

static void refused_soon(const char *what)
{
	struct verify_input in = { .evidence = span_of(text, used),
				   .binding = VERIFY_BIND_STATED,
				   .expect = span_str("{}"),
				   .collateral = span_str("{}"),
				   .now = 1750000000 };
	double best = 1e9;
	struct err e;

	assert_true(used <= SIZE);
	for (int i = 0; i < 5; i++) {
		double from = cpu_ms();
		struct verify *v = evidence_new(&in, &e);

		if (evidence_read(v, &in))
			(void)evidence_check(engine, v);
		assert_false(verify_finish(v, 0, NULL));
		free(v);
		double took = cpu_ms() - from;

		best = took < best ? took : best;
	}
	print_message("%-28s %.2f ms\n", what, best);
	assert_true(best < LIMIT_MS);
}

static void rb_02_hostile_evidence(void **state)
{
	const char *const event = "{\\\"imr\\\":3,\\\"event_type\\\":134217729,\\\"event\\\":\\\"a\\\","
				  "\\\"event_payload\\\":\\\"\\\"},";

	(void)state;
	assert_true(sizeof(struct verify) + VERIFY_LOG_MAX + VERIFY_SCRATCH(SIZE) <= 4 << 20);
	start("");
	fill("{", SIZE);
	refused_soon("open braces");
	start("{\"attestation\":\"");
	fill("8", SIZE - 2);
	put("\"}");
	refused_soon("hex in JSON");
	start("{\"x\":[");
	fill("[[[[[]]]]],", SIZE - 16);
	put("0]}");
	refused_soon("nested arrays");
	start("{\"x\":[");
	fill("{\"a\":0,\"b\":0},", SIZE - 16);
	put("0]}");
	refused_soon("small objects");
	start("{\"quote\":\"04000200\",\"event_log\":\"[");
	fill(event, VERIFY_LIST_MAX);
	put("0]\",\"x\":[");
	fill("[[[[[]]]]],", SIZE - 16);
	put("0]}");
	refused_soon("many events");
	start("{\"quote\":\"04000200\",\"event_log\":\"[{\\\"imr\\\":3,\\\"event_type\\\":134217729,"
	      "\\\"event\\\":\\\"a\\\","
	      "\\\"version\\\":2,\\\"preimage\\\":\\\"00\\\",\\\"event_payload\\\":\\\"");
	fill("00", VERIFY_LIST_MAX);
	put("\\\"}]\",\"x\":[");
	fill("[[[[[]]]]],", SIZE - 16);
	put("0]}");
	refused_soon("a long event");
	start("-----BEGIN CERTIFICATE-----\n");
	fill("AAAA", SIZE - 32);
	put("-----END CERTIFICATE-----");
	refused_soon("a long certificate");
	start("");
	fill("-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n", SIZE);
	refused_soon("many certificates");
	start("");
	fill("00", SIZE);
	refused_soon("hex");
	start("\x81\xa8platform\x82\xa4kind\xa3tdx\xa4"
	      "data\x81\xa5quote\xdd");
	for (int shift = 24; shift >= 0; shift -= 8)
		text[used++] = (char)((SIZE - 64) >> shift);
	fill("\x07", SIZE);
	refused_soon("integers in MessagePack");
}

static int set_up(void **state)
{
	struct err e;

	(void)state;
	text = malloc(ROOM);
	return !text || !(engine = engine_new(&e));
}

static int tear_down(void **state)
{
	(void)state;
	engine_free(engine);
	free(text);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(rb_02_hostile_evidence) };

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
