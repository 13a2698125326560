// QV-14: every artefact at the last second before it is valid, its first, its last, and the one after.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "qv_fixture.h"

enum artefact { ROOT, CA, PCK, TCB, ROOT_CRL, PCK_CRL, TCB_INFO, QE_IDENTITY, ARTEFACTS };

static const char *const before[ARTEFACTS] = { "root.time",       "crl.issuer",        "pck.chain",
					       "tcb_info.chain",  "crl.time",          "crl.time",
					       "tcb_info.future", "qe_identity.future" };
static const char *const after[ARTEFACTS] = { "root.time",        "crl.issuer",         "pck.chain",
					      "tcb_info.chain",   "crl.time",           "crl.time",
					      "tcb_info.expired", "qe_identity.expired" };

static const char *json_time(int64_t at)
{
	static char turn[4][40];
	static size_t next;
	char *out = turn[next++ % 4];
	time_t t = (time_t)at;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, sizeof turn[0], "\"%Y-%m-%dT%H:%M:%SZ\"", &tm);
	return out;
}

static void set_window(struct forge *f, enum artefact a, int64_t from, int64_t to)
{
	if (a <= TCB) {
		f->cert[a].not_before = from;
		f->cert[a].not_after = to;
	} else if (a <= PCK_CRL) {
		f->crl[a - ROOT_CRL].this_update = from;
		f->crl[a - ROOT_CRL].next_update = to;
	} else {
		enum forge_layer l = a == TCB_INFO ? FORGE_TCB_INFO : FORGE_QE_IDENTITY;
		forge_member(f, l, "issueDate", json_time(from));
		forge_member(f, l, "nextUpdate", json_time(to));
	}
}

static void at(struct forge *f, int64_t now, const char *code)
{
	qv_expect_own_root(f, "ok");
	assert_int_equal(engine_only_root(qv.engine,
					  span_of(qv.out.layer[FORGE_ROOT].p, qv.out.layer[FORGE_ROOT].n),
					  &qv.err),
			 0);
	qv.in.now = (uint64_t)now;
	qv_verify(code);
	assert_int_equal(engine_only_root(qv.engine, span_of(qv.root.p, qv.root.n), &qv.err), 0);
	qv.in.now = QV_NOW;
}

static void qv_14_each_artefact(void **state)
{
	(void)state;
	for (int kind = 0; kind < 2; kind++)
		for (int a = 0; a < ARTEFACTS; a++) {
			bool is_crl = a == ROOT_CRL || a == PCK_CRL;
			struct forge *f = qv_fresh(kind ? FORGE_SGX3 : FORGE_TDX5);
			set_window(f, (enum artefact)a, QV_NOW - 100, QV_NOW + 100);
			at(f, QV_NOW - 101, before[a]);
			at(f, QV_NOW - 100, "ok");
			at(f, QV_NOW + 99, "ok");
			// The second of a CRL's nextUpdate is the next list's; of all others it is still
			// theirs.
			at(f, QV_NOW + 100, is_crl ? after[a] : "ok");
			at(f, QV_NOW + 101, after[a]);
			// What the result is good for ends with the artefact.
			qv_expect_own_root(f, "ok");
			assert_int_equal(qv.result.expires, QV_NOW + 100 - is_crl);
			assert_int_equal(qv.result.issued, QV_NOW - 100);
		}
}

// The far ends of the clock, and a validity that began before 1970's second billion and ends after 2050.
static void qv_14_far_clocks(void **state)
{
	struct forge *f = qv_fresh(FORGE_TDX4);

	(void)state;
	qv_build(f);
	qv.in.now = 0;
	qv_verify("root.time");
	qv.in.now = UINT64_MAX;
	qv_verify("root.time");
	f = qv_fresh(FORGE_TDX4);
	for (int l = 0; l < FORGE_CERTS; l++) {
		f->cert[l].not_before = 946684800;   // 2000-01-01
		f->cert[l].not_after = 253402300799; // 9999-12-31T23:59:59Z, RFC 5280 section 4.1.2.5
	}
	qv_expect_own_root(f, "ok");
	f->cert[FORGE_PCK].not_after = 2524607999; // 2049-12-31T23:59:59Z, the last UTCTime
	qv_expect_own_root(f, "ok");
	f->cert[FORGE_PCK].not_after = 2524608000; // the first GeneralizedTime
	qv_expect_own_root(f, "ok");
}

// A window that is empty, or turned round.
static void qv_14_empty_windows(void **state)
{
	(void)state;
	for (int a = 0; a < ARTEFACTS; a++) {
		struct forge *f = qv_fresh(FORGE_TDX4);
		set_window(f, (enum artefact)a, QV_NOW + 10, QV_NOW - 10);
		qv_expect_own_root(f, before[a]);
	}
}

static void qv_14_dates(void **state)
{
	static const struct {
		const char *date;
		bool good;
	} dates[] = {
		{ "\"2026-01-10T00:00:00Z\"", true },
		{ "\"2026-01-10T00:00:00\"", false },
		{ "\"2026-01-10 00:00:00Z\"", false },
		{ "\"2026-01-10\"", false },
		{ "\"2026-13-10T00:00:00Z\"", false },
		{ "\"2026-02-30T00:00:00Z\"", false },
		{ "\"2026-01-10T24:00:00Z\"", false },
		{ "\"2026-01-10T00:60:00Z\"", false },
		{ "\"26-01-10T00:00:00Z\"", false },
		{ "\"\"", false },
		{ "\"2026-01-10T00:00:00Zx\"", false },
		{ "1768003200", false },
		{ "null", false },
		{ "\"\\u0032026-01-10T00:00:00Z\"", false },
		{ "\"+2026-01-10T00:00:00Z\"", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof dates / sizeof *dates; i++)
		for (int l = 0; l < 2; l++) {
			struct forge *f = qv_fresh(FORGE_TDX4);
			forge_member(f, l ? FORGE_QE_IDENTITY : FORGE_TCB_INFO, "issueDate", dates[i].date);
			qv_expect(f, dates[i].good ? "ok" : l ? "qe_identity.format" : "tcb_info.format");
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qv_14_each_artefact),
		cmocka_unit_test(qv_14_far_clocks),
		cmocka_unit_test(qv_14_empty_windows),
		cmocka_unit_test(qv_14_dates),
	};
	return cmocka_run_group_tests(tests, qv_setup, qv_teardown);
}
