// QV-01, QV-02, QV-08, QV-09: roots, chains, revocation.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "evidence_files.h"
#include "qv_fixture.h"

static void forged_evidence_is_genuine(void **state)
{
	static const struct {
		enum forge_kind kind;
		int version;
	} kinds[] = { { FORGE_TDX4, 4 }, { FORGE_TDX5, 5 }, { FORGE_TDX5_10, 5 }, { FORGE_SGX3, 3 } };

	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		qv_expect(qv_fresh(kinds[i].kind), "ok");
		assert_int_equal(qv.result.tcb.status, TCB_UP_TO_DATE);
		assert_int_equal(qv.result.version, kinds[i].version);
		assert_int_equal(qv.result.is_tdx, kinds[i].kind != FORGE_SGX3);
		assert_int_equal(qv.result.anchor, ANCHOR_DEVELOPMENT);
	}
	qv_expect(qv_fresh(FORGE_TDX5_EX), "quote.body_ex");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forged_evidence_is_genuine),
	};
	return cmocka_run_group_tests(tests, qv_setup, qv_teardown);
}
