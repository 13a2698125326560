// QV-18: every header and length a quote could claim, signed in order; each refused within a millisecond.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "qv_fixture.h"

#ifdef BIT_STEP // a sanitizer build
enum { MILLISECONDS = 20 };
#else
enum { MILLISECONDS = 1 };
#endif

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t slowest;

// Refused with this code, and fast: the best of three, each with collateral never seen before (by its
// blanks).
static void refused(const char *code)
{
	static uint8_t text[1 << 17];
	static size_t blanks;
	struct span was = qv.in.collateral;
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 3; i++) {
		size_t n = was.n + ++blanks % 20000;
		assert_true(n <= sizeof text);
		memset(text, ' ', n);
		memcpy(text, was.p, was.n);
		qv.in.collateral = span_of(text, n);
		engine_forget(qv.engine, REASON_OK);
		uint64_t from = cpu_ns();
		qv_verify(code);
		uint64_t took = cpu_ns() - from;
		best = took < best ? took : best;
	}
	qv.in.collateral = was;
	slowest = best > slowest ? best : slowest;
	if (best > MILLISECONDS * 1000000u)
		fail_msg("%s took %llu us", code, (unsigned long long)best / 1000);
}

static void refuse(struct forge *f, const char *code)
{
	qv_build(f);
	refused(code);
}

static void qv_18_matrix(void **state)
{
	static const uint32_t tees[] = { 0, 0x81, 1, 0x82, 0x81000000, 0xffffffff };
	static const uint16_t keys[] = { 2, 3, 0, 0x0200 };
	static const uint16_t versions[] = { 0, 1, 2, 3, 4, 5, 6, 0x0400, 0xffff };
	size_t n = 0, good = 0;

	(void)state;
	for (size_t v = 0; v < sizeof versions / sizeof *versions; v++)
		for (size_t t = 0; t < sizeof tees / sizeof *tees; t++)
			for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
				for (int kind = 0; kind < 3; kind++, n++) {
					static const enum forge_kind kinds[] = { FORGE_SGX3, FORGE_TDX4,
										 FORGE_TDX5 };
					static const uint16_t own[] = { 3, 4, 5 };
					uint16_t version = versions[v];
					struct forge *f = qv_fresh(kinds[kind]);
					bool known = version >= 3 && version <= 5;
					bool right = tees[t] == (version == 3 ? 0 : 0x81);

					f->quote.version = version;
					f->quote.tee = tees[t];
					f->quote.key_type = keys[k];
					if (known && right && keys[k] == 2) { // the header is fine
						good++;
						if (version == own[kind])
							qv_expect(f, "ok");
						continue;
					}
					refuse(f, !known   ? "quote.version"
						  : !right ? "quote.tee"
							   : "quote.key_type");
				}
	print_message("%zu headers, %zu of them good; slowest refusal %llu us\n", n, good,
		      (unsigned long long)slowest / 1000);
	assert_int_equal(good, 9);
}

// SGX reports where a TD's belongs and the other way round, the rest of the quote in order.
static void qv_18_body_of_another_tee(void **state)
{
	struct forge *f = qv_fresh(FORGE_TDX4);

	(void)state;
	f->quote.tee = 0;
	f->quote.body_type = 1;
	refuse(f, "quote.tee");
	f = qv_fresh(FORGE_TDX5);
	f->quote.tee = 0;
	refuse(f, "quote.tee");
	f = qv_fresh(FORGE_TDX5);
	f->quote.body_type = 1;
	refuse(f, "quote.body");
	f = qv_fresh(FORGE_SGX3);
	f->quote.tee = 0x81;
	refuse(f, "quote.tee");
	f = qv_fresh(FORGE_TDX4); // an enclave report in a version 4 TDX quote: the lengths no longer fit
	f->quote.body = span_of(f->quote.enclave, FORGE_ENCLAVE);
	refuse(f, "quote.truncated");
}

static void qv_18_body_types_and_sizes(void **state)
{
	static const size_t size[] = { 0, 384, 584, 648, 885, 0, 0 };
	static const int64_t claims[] = { 0,   1,   383, 384, 385, 583, 584,        585,
					  647, 648, 649, 884, 885, 886, 0x7fffffff, 0xffffffff };

	(void)state;
	for (uint16_t type = 0; type < 7; type++)
		for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
			struct forge *f = qv_fresh(FORGE_TDX5);
			bool right = size[type] && claims[i] == (int64_t)size[type];
			f->quote.body_type = type;
			f->quote.body_size = claims[i];
			if (right && (type == 2 || type == 3))
				qv_expect(f, "ok");
			else
				refuse(f, right && type == 4 ? "quote.body_ex" : "quote.body");
		}
	// TD 1.5 Ex is read and refused by its name.
	struct forge *f = qv_fresh(FORGE_TDX5_EX);
	struct quote q;
	struct td_report td;
	refuse(f, "quote.body_ex");
	assert_non_null(strstr(qv.err.text, "TD 1.5 Ex"));
	assert_int_equal(quote_parse(&q, qv.in.quote), REASON_QUOTE_BODY_EX);
	assert_int_equal(q.body.n, QUOTE_TD15_EX);
	assert_int_equal(q.cert_type, QUOTE_CERT_PCK_CHAIN);
	assert_int_equal(quote_td(&q, &td), 0);
	assert_memory_equal(td.tee_tcb_svn2, f->quote.td + TD_SVN2, 16);
	assert_memory_equal(td.report_data, f->quote.td + TD_REPORT_DATA, 64);
	f->quote.auth_len = 10; // a damaged one is damaged first
	refuse(f, "quote.truncated");
}

static void qv_18_certification_types(void **state)
{
	static const struct {
		uint16_t type;
		size_t size;
		const char *name;
	} types[] = {
		{ 1, 36, "format: 1 (plain PPID)" },
		{ 2, 276, "format: 2 (PPID encrypted with RSA-2048)" },
		{ 3, 404, "format: 3 (PPID encrypted with RSA-3072)" },
		{ 4, 1200, "format: 4 (PCK certificate)" },
		{ 6, 700, "format: 6 (QE report certification data)" },
		{ 7, 100, "format: 7 (platform manifest)" },
		{ 0, 10, "format: 0" },
		{ 8, 10, "format: 8" },
		{ 0xffff, 10, "format: 65535" },
	};
	static uint8_t data[1200];

	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		for (int kind = 0; kind < 2; kind++) {
			struct forge *f = qv_fresh(kind ? FORGE_SGX3 : FORGE_TDX4);
			f->quote.cert_type = types[i].type;
			f->quote.cert_data = span_of(data, types[i].size);
			qv_expect(f, "pck.type");
			if (!strstr(qv.err.text, types[i].name))
				fail_msg("no %s in: %s", types[i].name, qv.err.text);
			f->chain[FORGE_CHAIN_PCK] = "pck ca root"; // the collateral has the chain
			bool exists = types[i].type && types[i].type <= 7 && types[i].type != 6;
			qv_expect(f, exists ? "ok" : "pck.type");
		}
	// 5 inside 6 inside 6.
	struct forge *f = qv_fresh(FORGE_TDX4);
	qv_build(f);
	struct sb inner = { 0 };
	sb_put(&inner, qv.out.layer[FORGE_AUTH].p + 128 + 6, qv.out.layer[FORGE_AUTH].n - 128 - 6);
	f->quote.cert_type = 6;
	f->quote.cert_data = span_of(inner.p, inner.n);
	qv_expect(f, "pck.type");
	f->chain[FORGE_CHAIN_PCK] = "pck ca root";
	qv_expect(f, "pck.type");
	sb_free(&inner);
	// The outer one is 6 and nothing else.
	for (unsigned type = 0; type < 12; type++) {
		f = qv_fresh(type & 1 ? FORGE_TDX5 : FORGE_TDX4);
		f->quote.outer_type = (uint16_t)type;
		if (type == 6)
			qv_expect(f, "ok");
		else
			refuse(f, "quote.auth");
	}
}

enum { AUTH_LEN, OUTER_LEN, QE_AUTH_LEN, CERT_LEN, LENGTHS };

static void claim_length(enum forge_kind kind, int field, int64_t more, int64_t claim)
{
	struct forge *f = qv_fresh(kind);
	int64_t *at[LENGTHS] = { &f->quote.auth_len, &f->quote.outer_len, &f->quote.qe_auth_len,
				 &f->quote.cert_len };
	size_t real[LENGTHS];

	qv_build(f);
	real[AUTH_LEN] = qv.out.layer[FORGE_AUTH].n;
	real[OUTER_LEN] = real[AUTH_LEN] - 134; // behind signature, key, type and length
	real[QE_AUTH_LEN] = 32;
	real[CERT_LEN] = qv.out.layer[FORGE_CHAIN].n;
	*at[field] = more ? (int64_t)real[field] + more : claim;
	// Too small leaves bytes over where the field is the last of what encloses it.
	bool left = *at[field] < (int64_t)real[field] && (field == OUTER_LEN || field == CERT_LEN);
	refuse(f, left ? "quote.auth" : "quote.truncated");
}

static void qv_18_lengths(void **state)
{
	static const enum forge_kind kinds[] = { FORGE_SGX3, FORGE_TDX4, FORGE_TDX5 };
	static const int64_t claims[] = { 0,          0x7fff,     0xffff,     0x10000,
					  0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };

	(void)state;
	for (int kind = 0; kind < 3; kind++)
		for (int field = 0; field < LENGTHS; field++) {
			if (!kind && field == OUTER_LEN)
				continue; // version 3 has no outer part
			claim_length(kinds[kind], field, 1, 0);
			claim_length(kinds[kind], field, -1, 0);
			for (size_t i = 0; i < sizeof claims / sizeof *claims; i++)
				if (field != QE_AUTH_LEN || claims[i] <= 0xffff)
					claim_length(kinds[kind], field, 0, claims[i]);
		}
}

static void qv_18_cut_and_padded(void **state)
{
	static uint8_t junk[3065];
	auto_sb whole = { 0 };

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		static const enum forge_kind kinds[] = { FORGE_SGX3, FORGE_TDX4, FORGE_TDX5 };
		struct forge *f = qv_fresh(kinds[kind]);
		qv_build(f);
		whole.n = 0;
		sb_put(&whole, qv.in.quote.p, qv.in.quote.n);
		for (size_t n = 0; n < whole.n; n += n < 1400 || n + 40 > whole.n ? 1 : 37) {
			qv.in.quote = span_of(whole.p, n);
			qv_verify("quote.truncated");
		}
		// Bytes behind belong to nothing, whatever they are.
		for (int fill = 0; fill < 2; fill++) {
			memset(junk, fill ? 0xa5 : 0, sizeof junk);
			f->quote.trailing = span_of(junk, sizeof junk);
			qv_expect(f, "ok");
		}
	}
	static uint8_t big[QUOTE_MAX + 1];
	qv.in.quote = span_of(big, sizeof big);
	refused("evidence.too_large");
	qv.in.quote = span_of(big, sizeof big - 1);
	refused("quote.version");
	qv.in.quote = (struct span){ 0 };
	refused("quote.truncated");
	print_message("slowest refusal %llu us\n", (unsigned long long)slowest / 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qv_18_matrix),
		cmocka_unit_test(qv_18_body_of_another_tee),
		cmocka_unit_test(qv_18_body_types_and_sizes),
		cmocka_unit_test(qv_18_certification_types),
		cmocka_unit_test(qv_18_lengths),
		cmocka_unit_test(qv_18_cut_and_padded),
	};
	return cmocka_run_group_tests(tests, qv_setup, qv_teardown);
}
