#include "qv_fixture.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/strings.h"

struct qv qv;

static struct span span_sb(const struct sb *b)
{
	return span_of(b->p, b->n);
}

int qv_setup(void **state)
{
	struct forge *f;

	(void)state;
	assert_int_equal(forge_keys_load(&qv.keys, NULL, "qv", &qv.err), 0);
	qv.engine = engine_new(&qv.err);
	assert_non_null(qv.engine);
	f = qv_fresh(FORGE_TDX4);
	qv_build(f);
	sb_put(&qv.root, qv.out.layer[FORGE_ROOT].p, qv.out.layer[FORGE_ROOT].n);
	assert_false(qv.root.bad);
	assert_int_equal(engine_only_root(qv.engine, span_sb(&qv.root), &qv.err), 0);
	return 0;
}

int qv_teardown(void **state)
{
	(void)state;
	forge_out_free(&qv.out);
	forge_keys_free(&qv.keys);
	sb_free(&qv.root);
	engine_free(qv.engine);
	return 0;
}

struct forge *qv_fresh(enum forge_kind kind)
{
	static struct forge f;

	forge_init(&f, &qv.keys, kind, QV_NOW);
	qv.in = (struct dcap_input){ .now = QV_NOW };
	return &f;
}

void qv_build(struct forge *f)
{
	if (forge_build(f, &qv.out, &qv.err))
		fail_msg("%s", qv.err.text);
	qv.in.quote = span_sb(&qv.out.layer[FORGE_WHOLE]);
	qv.in.collateral = span_sb(&qv.out.layer[FORGE_COLLATERAL]);
}

void qv_verify(const char *code)
{
	const char *got = "ok";

	qv.err = (struct err){ 0 };
	if (dcap_verify(qv.engine, &qv.in, &qv.result, &qv.err))
		got = qv.err.code;
	if (strcmp(got, code) != 0)
		fail_msg("want %s, got %s: %s", code, got, qv.err.text);
}

void qv_expect(struct forge *f, const char *code)
{
	qv_build(f);
	qv_verify(code);
}

void qv_expect_own_root(struct forge *f, const char *code)
{
	qv_build(f);
	assert_int_equal(engine_only_root(qv.engine, span_sb(&qv.out.layer[FORGE_ROOT]), &qv.err), 0);
	qv_verify(code);
	assert_int_equal(engine_only_root(qv.engine, span_sb(&qv.root), &qv.err), 0);
}

struct span qv_hex(const char *hex)
{
	static uint8_t turn[16][4096];
	static size_t next;
	uint8_t *out = turn[next++ % 16];
	size_t n = strlen(hex) / 2;

	assert_true(n <= sizeof turn[0] && hex_exact(out, n, hex));
	return span_of(out, n);
}
