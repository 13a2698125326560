// What is remembered of another's log: growth with a proof is taken, everything else is told apart and keeps
// what was known (KM-18).
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "audit/witness.h"
#include "base/strings.h"
#include "crypto/k256.h"

enum { LEAVES = 40 };
static const uint8_t key[32] = { [31] = 2 }, other_key[32] = { [31] = 3 };
static uint8_t pub[33];

// A log: `twist` records share the beginning with any other, the rest is `kind`'s.
struct tree {
	merkle_hash leaf[LEAVES];
};

static void plant(struct tree *t, uint8_t kind, unsigned twist)
{
	for (unsigned i = 0; i < LEAVES; i++) {
		const uint8_t text[2] = { (uint8_t)i, i < twist ? 0 : kind };
		merkle_leaf(span_of(text, 2), t->leaf[i]);
	}
}

static int node(void *arg, unsigned level, uint64_t index, merkle_hash out, struct err *e)
{
	const struct tree *t = arg;
	merkle_hash right;

	if (!level) {
		memcpy(out, t->leaf[index], MERKLE_HASH);
		return 0;
	}
	if (node(arg, level - 1, 2 * index, out, e) || node(arg, level - 1, 2 * index + 1, right, e))
		return -1;
	merkle_node(out, right, out);
	return 0;
}

static struct audit_head head(struct tree *t, uint64_t size, const uint8_t *with)
{
	const struct merkle_source s = { node, t };
	struct audit_head h = { .size = size, .time = 1000 + size };
	struct err e;

	memcpy(h.log_id, t->leaf[0], sizeof h.log_id);
	assert_int_equal(merkle_root_at(&s, size, h.root, &e), 0);
	assert_int_equal(audit_head_sign(&h, with, &e), 0);
	return h;
}

static int take(struct audit_witness *w, struct tree *t, uint64_t size, uint64_t prove, struct err *e)
{
	const struct merkle_source s = { node, t };
	struct audit_head h = head(t, size, key);
	struct merkle_path p = { 0 };

	*e = (struct err){ 0 };
	if (prove)
		assert_int_equal(merkle_prove_prefix(&s, prove, size, &p, e), 0);
	return audit_witness_take(w, &h, pub, prove ? &p : NULL, 5, e);
}

static void refuses(struct audit_witness *w, struct tree *t, uint64_t size, uint64_t prove, const char *code)
{
	const struct audit_witness was = *w;
	struct err e;

	assert_int_equal(take(w, t, size, prove, &e), -1);
	assert_string_equal(e.code, code);
	assert_memory_equal(&was, w, sizeof was);
}

static void grows(void **state)
{
	struct audit_witness w = { .name = "b" };
	struct tree t;
	struct err e;

	(void)state;
	plant(&t, 1, 0);
	assert_int_equal(take(&w, &t, 3, 0, &e), 0);
	for (uint64_t n = 4; n <= LEAVES; n++)
		assert_int_equal(take(&w, &t, n, n - 1, &e), 0);
	assert_int_equal(take(&w, &t, LEAVES, 0, &e), 0); // the same again
	assert_int_equal(w.head.size, LEAVES);
	assert_int_equal(w.seen, 5);
}

static void km_18_truncated(void **state)
{
	struct audit_witness w = { .name = "b" };
	struct tree t;
	struct err e;

	(void)state;
	plant(&t, 1, 0);
	assert_int_equal(take(&w, &t, 20, 0, &e), 0);
	refuses(&w, &t, 19, 0, "audit.truncated");
	refuses(&w, &t, 1, 0, "audit.truncated");
}

static void km_18_forked(void **state)
{
	struct audit_witness w = { .name = "b" };
	struct tree t, lie;
	struct err e;

	(void)state;
	plant(&t, 1, 20);
	plant(&lie, 2, 15);
	assert_int_equal(take(&w, &t, 20, 0, &e), 0);
	refuses(&w, &lie, 20, 0, "audit.fork");  // as long
	refuses(&w, &lie, 30, 20, "audit.fork"); // longer, with a proof of itself
	refuses(&w, &t, 30, 0, "audit.fork");    // without a proof
	refuses(&w, &t, 30, 19, "audit.fork");   // with one from elsewhere
	plant(&lie, 2, 20);
	assert_int_equal(take(&w, &lie, 30, 20, &e), 0); // what comes after the head may be anything
}

static void km_18_another_log_or_signer(void **state)
{
	struct audit_witness w = { .name = "b" };
	struct tree t, other;
	struct err e = { 0 };

	(void)state;
	plant(&t, 1, 1);
	plant(&other, 2, 0);
	assert_int_equal(take(&w, &t, 20, 0, &e), 0);
	refuses(&w, &other, 21, 20, "audit.other_log");
	struct audit_head h = head(&t, 20, other_key);
	assert_int_equal(audit_witness_take(&w, &h, pub, NULL, 5, &e), -1);
	assert_string_equal(e.code, "audit.signer");
	h = head(&t, 20, key);
	h.time++;
	assert_int_equal(audit_witness_take(&w, &h, pub, NULL, 5, &e), -1);
	assert_string_equal(e.code, "audit.signature");
	h.time = 1;
	assert_int_equal(audit_head_sign(&h, key, &e), 0);
	assert_int_equal(audit_witness_take(&w, &h, pub, NULL, 5, &e), -1);
	assert_string_equal(e.code, "audit.time");
	struct audit_head none = { 0 };
	struct audit_witness fresh = { 0 };
	assert_int_equal(audit_head_sign(&none, key, &e), 0);
	assert_int_equal(audit_witness_take(&fresh, &none, pub, NULL, 5, &e), -1);
	assert_string_equal(e.code, "audit.head");
}

static void both_are_kept(void **state)
{
	struct audit_witness w = { .name = "https://b \"x\"" }, again;
	char text[AUDIT_WITNESS_MAX];
	struct wr out = wr_to(text, sizeof text);
	struct tree t, lie;
	struct err e = { 0 };

	(void)state;
	plant(&t, 1, 0);
	plant(&lie, 2, 15);
	assert_int_equal(take(&w, &t, 20, 0, &e), 0);
	struct audit_head h = head(&lie, 21, key);
	assert_true(audit_witness_refuse(&w, &h, "audit.fork", 7));
	assert_false(audit_witness_refuse(&w, &h, "audit.fork", 8)); // known
	assert_true(audit_witness_refuse(&w, NULL, "audit.fork", 9));
	assert_true(audit_witness_refuse(&w, &h, "audit.fork", 9));
	audit_witness_write(&out, &w);
	assert_false(out.bad);
	assert_int_equal(audit_witness_read(&again, span_of(text, out.n), &e), 0);
	assert_memory_equal(&w, &again, sizeof w);
	assert_int_equal(again.head.size, 20);
	assert_int_equal(again.refused.size, 21);
	for (size_t n = 0; n < out.n; n++)
		assert_int_equal(audit_witness_read(&again, span_of(text, n), &e), -1);
	assert_string_equal(e.code, "audit.witness");
}

static int start(void **state)
{
	struct err e;

	(void)state;
	return k256_public(key, pub, &e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows),         cmocka_unit_test(km_18_truncated),
		cmocka_unit_test(km_18_forked),  cmocka_unit_test(km_18_another_log_or_signer),
		cmocka_unit_test(both_are_kept),
	};

	return cmocka_run_group_tests_name("witness", tests, start, NULL);
}
