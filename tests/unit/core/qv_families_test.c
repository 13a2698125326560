// Every case of tests/evidence/mutants made once more from a recipe (tests/evidence/forge/families.json): the
// generator can make each family, and what is made gets the answer the case wants, with the exact code.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "evidence_files.h"
#include "forge/recipe.h"
#include "qv_fixture.h"

static struct json parsed(const char *dir, const char *name)
{
	struct span text = file_read(dir, name);
	struct json doc;

	text = file_keep(text.p, text.n);
	assert_int_equal(json_parse(&doc, text, NULL), 0);
	return doc;
}

static struct json find(struct json list, const char *id)
{
	struct json each, v;

	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &each);)
		if (json_get(each, "id", &v) && json_is(v, id))
			return each;
	fail_msg("no recipe for %s", id);
	return each;
}

static void answer(const char *code, bool statuses, char *out, size_t cap)
{
	size_t n = (size_t)snprintf(out, cap, "%s", strcmp(code, "ok") ? "R" : "A");

	if (strcmp(code, "ok") != 0 || !statuses)
		return;
	n += (size_t)snprintf(out + n, cap - n, ":%s", tcb_status_name(qv.result.tcb.status));
	for (size_t i = 0; i < qv.result.tcb.n; i++)
		n += (size_t)snprintf(out + n, cap - n, "%c%s", i ? ',' : ':', qv.result.tcb.advisory[i]);
}

static void one(struct json c, const char *id, const char *want)
{
	struct recipe r;
	struct json v;
	char code[64], got[400];
	bool ours = !strncmp(id, "dev-", 4); // of real quotes only the verdict can be the same

	assert_int_equal(recipe_init(&r, NULL, "qv", QV_NOW, &qv.err), 0);
	assert_true(json_get(c, "recipe", &v));
	if (recipe_apply(&r, v.text, &qv.err))
		fail_msg("%s: %s", id, qv.err.text);
	qv.in = (struct dcap_input){ .now = QV_NOW };
	qv_build(&r.f);
	if (json_get(c, "at", &v))
		assert_int_equal(json_u64(v, UINT64_MAX, &qv.in.now), 0);
	assert_true(json_get(c, "code", &v));
	assert_int_equal(json_cstr(v, code, sizeof code), 0);
	// As the cases do: their own root is the trusted one.
	assert_int_equal(engine_only_root(qv.engine,
					  span_of(qv.out.layer[FORGE_ROOT].p, qv.out.layer[FORGE_ROOT].n),
					  &qv.err),
			 0);
	print_message("%s\n", id);
	qv_verify(code);
	answer(code, ours, got, sizeof got);
	if (strcmp(want, "?") != 0 && strncmp(got, want, ours ? sizeof got : 1) != 0)
		fail_msg("%s: want %s, got %s", id, want, got);
	recipe_free(&r);
}

static void every_family(void **state)
{
	struct json index, recipes, c;
	char id[100], want[400];
	size_t n = 0;

	(void)state;
	index = parsed("mutants", "index.json");
	recipes = parsed("forge", "families.json");
	for (struct json_iter it = json_iter(index); json_next(&it, NULL, &c); n++) {
		file_name(id, sizeof id, c, "id");
		file_name(want, sizeof want, c, "want");
		one(find(recipes, id), id, want);
	}
	assert_true(n >= 284);
	file_free_all();
}

static void recipes_are_read_strictly(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{\"nonsense\":1}",
		"{\"td\":{\"nonsense\":1}}",
		"{\"td\":{\"mr_td\":\"00\"}}",
		"{\"td.mr_td\":1}",
		"{\"kind\":\"tdx9\"}",
		"{\"now\":\"yesterday\"}",
		"{\"quote\":{\"version\":65536}}",
		"{\"quote\":{\"version\":\"4\"}}",
		"{\"quote\":{\"bind\":1}}",
		"{\"pck\":{\"serial\":\"0\"}}",
		"{\"pck\":{\"key\":\"nobody\"}}",
		"{\"pck\":{\"sign\":{\"fault\":\"odd\"}}}",
		"{\"pck\":{\"path_len\":-2}}",
		"{\"pck\":{\"not_after\":\"2026\"}}",
		"{\"root_crl\":{\"revoked\":\"tcb\"}}",
		"{\"root_crl\":{\"revoked\":[\"xy\"]}}",
		"{\"root_crl\":{\"revoked\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}}",
		"{\"edit\":{}}",
		"{\"edit\":[1]}",
		"{\"edit\":[{\"layer\":\"none\",\"op\":\"set\"}]}",
		"{\"edit\":[{\"layer\":\"pck\",\"op\":\"set\",\"more\":1}]}",
		"{\"edit\":[{\"layer\":\"pck\",\"op\":\"set\",\"at\":-1}]}",
		"{\"events\":[{}]}",
		"{\"events\":[{\"event\":\"a\",\"payload\":\"0\"}]}",
		"{\"events\":[{\"event\":\"a\",\"version\":3}]}",
		"{\"chain\":{\"quote\":1}}",
		"{\"tcb_info\":{\"sign\":{\"by\":\"tcb\",\"at\":1}}}",
	};
	struct recipe r;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(recipe_init(&r, NULL, "qv", QV_NOW, &qv.err), 0);
		if (!recipe_apply(&r, span_str(bad[i]), &qv.err))
			fail_msg("accepted: %s", bad[i]);
		assert_string_equal(qv.err.code, "forge.recipe");
		recipe_free(&r);
	}
	// What fits a recipe but not the bytes.
	static const char *const misfit[] = {
		"{\"edit\":[{\"layer\":\"pck\",\"op\":\"der-set\",\"path\":\"99\",\"bytes\":\"\"}]}",
		"{\"edit\":[{\"layer\":\"pck\",\"op\":\"set\",\"at\":9999,\"bytes\":\"00\"}]}",
		"{\"edit\":[{\"layer\":\"tcb_info\",\"op\":\"replace\",\"from\":\"?\"}]}"
	};
	for (size_t i = 0; i < sizeof misfit / sizeof *misfit; i++) {
		assert_int_equal(recipe_init(&r, NULL, "qv", QV_NOW, &qv.err), 0);
		assert_int_equal(recipe_apply(&r, span_str(misfit[i]), &qv.err), 0);
		assert_int_equal(forge_build(&r.f, &qv.out, &qv.err), -1);
		assert_string_equal(qv.err.code, "forge.edit");
		recipe_free(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_family),
		cmocka_unit_test(recipes_are_read_strictly),
	};
	return cmocka_run_group_tests(tests, qv_setup, qv_teardown);
}
