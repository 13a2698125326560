// Every altered or malformed case of tests/evidence/mutants gets exactly the answer its index wants: `R`
// reject, `A:status[:advisories]` accept with exactly that, `?` either. Cold and with a warm proof cache, in
// any order.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/verdict/reason.h"
#include "crypto/engine.h"
#include "evidence_files.h"

static void answer(const struct dcap_result *r, int rc, char *out, size_t cap)
{
	size_t n =
		(size_t)snprintf(out, cap, "%s%s", rc ? "R" : "A:", rc ? "" : tcb_status_name(r->tcb.status));

	for (size_t i = 0; !rc && i < r->tcb.n; i++)
		n += (size_t)snprintf(out + n, cap - n, "%c%s", i ? ',' : ':', r->tcb.advisory[i]);
}

// True when the case got what it wants.
static bool judge(struct engine *g, struct json c, bool show)
{
	char id[100], name[64], want[400], got[4096];
	struct dcap_input in = { 0 };
	struct dcap_result r;
	struct err e = { 0 };
	struct json now;

	file_name(id, sizeof id, c, "id");
	file_name(want, sizeof want, c, "want");
	file_name(name, sizeof name, c, "quote");
	in.quote = file_read("mutants/blobs", name);
	file_name(name, sizeof name, c, "collateral");
	in.collateral = file_read("mutants/blobs", name);
	file_name(name, sizeof name, c, "root");
	struct span root = file_read("mutants/blobs", name);
	assert_true(json_get(c, "now", &now));
	assert_int_equal(json_u64(now, UINT64_MAX, &in.now), 0);
	assert_int_equal(engine_only_root(g, root, &e), 0);

	int rc = dcap_verify(g, &in, &r, &e);
	answer(&r, rc, got, sizeof got);
	bool ok = !strcmp(want, "?") || !strcmp(want, got);
	if (rc && !reason_find(span_str(e.code)))
		ok = false;
	if (show || !ok)
		fprintf(stderr, "%s %s want %s got %s %s: %s\n", ok ? "   " : "BAD", id, want, got,
			rc ? e.code : "", rc ? e.text : "");
	file_free_all();
	return ok;
}

static void all_cases(void **state)
{
	struct json list, c;
	struct err e = { 0 };
	struct engine *g = engine_new(&e);
	size_t n = 0, bad = 0;

	(void)state;
	assert_non_null(g);
	struct span text = file_read("mutants", "index.json");
	uint8_t *index = malloc(text.n);
	assert_non_null(index);
	memcpy(index, text.p, text.n);
	assert_int_equal(json_parse(&list, span_of(index, text.n), NULL), 0);
	for (int pass = 0; pass < 2; pass++)
		for (struct json_iter it = json_iter(list); json_next(&it, NULL, &c); n++)
			bad += !judge(g, c, getenv("SHOW") != NULL);
	print_message("%zu cases judged, %llu signatures verified, %llu from the cache\n", n,
		      (unsigned long long)engine_stats(g).verified,
		      (unsigned long long)engine_stats(g).cached);
	assert_true(n >= 568);
	assert_int_equal(bad, 0);
	engine_free(g);
	free(index);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_cases) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
