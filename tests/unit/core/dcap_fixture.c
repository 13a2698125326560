#include "dcap_fixture.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/codec/pem.h"
#include "evidence_files.h"

struct fixture base;
struct dcap work;
struct dcap_collateral held;
struct dcap_result result;

int load(void **state)
{
	uint8_t der[4096];
	struct quote q;
	struct x509 leaf;
	size_t used;

	(void)state;
	base.v4 = file_read("mutants/blobs", "e724978d682e9c7c3be39f9a");
	base.v5 = file_read("mutants/blobs", "0ef1c3d69fb718abff32dba5");
	base.root = file_read("mutants/blobs", "980650bdba2e2b8e295e6de5");
	base.col_text = file_read("mutants/blobs", "e5a8bf687611d03c99c1eb33");
	assert_int_equal(collateral_parse(&base.col, base.col_text, base.arena, sizeof base.arena, &used), 0);
	assert_int_equal(quote_parse(&q, base.v4), REASON_OK);
	struct rd in = rd_span(q.cert_data);
	assert_int_equal(pem_next(&in, der, sizeof der, &used), 1);
	assert_int_equal(x509_parse(&leaf, span_of(der, used)), 0);
	assert_int_equal(pck_parse(&base.pck, &leaf), REASON_OK);
	return 0;
}

struct trial *trial(struct span quote)
{
	static struct trial t;

	t = (struct trial){ .n = quote.n, .col = base.col, .in = { .now = NOW } };
	assert_true(quote.n <= sizeof t.quote);
	memcpy(t.quote, quote.p, quote.n);
	return &t;
}

enum reason begin(struct trial *t)
{
	static uint8_t text[1 << 17];
	struct wr w = wr_to(text, sizeof text);

	collateral_write(&w, &t->col);
	assert_false(w.bad);
	t->in.collateral = span_of(text, w.n);
	t->in.quote = span_of(t->quote, t->n);
	dcap_collateral_read(&held, t->in.collateral, base.root, ANCHOR_DEVELOPMENT);
	dcap_begin(&work, &t->in, &held);
	return dcap_finish(&work, UINT32_MAX, &result);
}

void expect(struct trial *t, enum reason want)
{
	enum reason got = begin(t);

	if (got != want)
		fail_msg("want %s, got %s: %s", reason_text(want)->code, reason_text(got)->code,
			 reason_text(got)->text);
}

// `text` with its first `from` replaced; the buffer is one of a few that take turns.
struct span replaced(struct span text, const char *from, const char *to)
{
	static char turn[4][1 << 16];
	static size_t next;
	char *out = turn[next++ % 4];
	size_t f = strlen(from), t = strlen(to), at = 0;

	while (at + f <= text.n && memcmp(text.p + at, from, f) != 0)
		at++;
	if (at + f > text.n || text.n - f + t > sizeof turn[0])
		fail_msg("no %s", from);
	memcpy(out, text.p, at);
	memcpy(out + at, to, t);
	memcpy(out + at + t, text.p + at + f, text.n - at - f);
	return span_of(out, text.n - f + t);
}
