// Evidence from real machines, under Intel's root: every file is recognised, decodes and gets its verdict.
// None can be trusted here (there is no image of them, or no collateral of their time), and each says why.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../evidence/load.h"
#include "core/codec/json.h"
#include "ratls/verify.h"

static struct engine *engine;

// Of a pool file: the collateral and a time inside its window.
static uint64_t pool(const char *name, struct span *collateral)
{
	struct span text = load(name);
	struct json root, m;
	uint64_t now = 0;

	*collateral = (struct span){ 0 };
	if (json_parse(&root, text, NULL) || !json_get(root, "collateral", &m))
		fail_msg("%s", name);
	*collateral = m.text;
	if (!json_get(root, "now", &m) || json_u64(m, UINT32_MAX, &now))
		fail_msg("%s has no time", name);
	return now;
}

static struct verify *judged(struct span evidence, const char *from, const char *expect)
{
	struct verify_input in = { .evidence = evidence,
				   .binding = VERIFY_BIND_STATED,
				   .expect = span_str(expect) };
	struct err e = { 0 };

	in.now = pool(from, &in.collateral);
	struct verify *v = evidence_new(&in, &e);

	assert_non_null(v);
	if (evidence_read(v, &in))
		(void)evidence_check(engine, v);
	assert_false(verify_finish(v, 0, NULL));
	return v;
}

#define POOL "real/collateral-pool/"

static void files_get_their_verdict(void **state)
{
	static const struct {
		const char *file, *pool, *code;
		const char *status; // NULL: the quote is not genuine at that time
		enum verify_form form;
	} all[] = {
		{ "real/dcap-qvl/tdx_quote", POOL "dcap-qvl_tdx_quote_collateral.json", "events.absent",
		  "UpToDate", VERIFY_QUOTE },
		{ "real/dcap-qvl/sgx_quote", POOL "dcap-qvl_sgx_quote_collateral.json", "envelope.platform",
		  "ConfigurationAndSWHardeningNeeded", VERIFY_QUOTE },
		{ "real/go-tdx-guest/testing/testdata/quote_v5_sample.dat",
		  POOL "go-tdx-guest_tcbinfo_v5_dcap-qvl_outdated_QE_identity_CRLs.json", "events.absent",
		  "UpToDate", VERIFY_QUOTE },
		{ "real/dcap-qvl/quote-from-tappd.hex", POOL "dcap-qvl_tdx_quote_collateral.json",
		  "tcb.no_level", NULL, VERIFY_QUOTE },
		{ "real/trustee/deps/verifier/test_data/tdx_quote_4.dat",
		  POOL "go-tdx-guest_2023_responses.json", "td.debug", NULL, VERIFY_QUOTE },
		{ "real/dstack/verifier/tdx-lite-getquote.json",
		  POOL "go-tdx-guest_tcbinfo_v5_dcap-qvl_outdated_QE_identity_CRLs.json", "pck.chain", NULL,
		  VERIFY_JSON },
		{ "real/dstack/verifier/tdx-lite-attestation.json",
		  POOL "go-tdx-guest_tcbinfo_v5_dcap-qvl_outdated_QE_identity_CRLs.json", "pck.chain", NULL,
		  VERIFY_JSON },
		{ "real/dstack/sdk-simulator/attestation.bin", POOL "dcap-qvl_tdx_quote_collateral.json",
		  "pck.chain", NULL, VERIFY_ENVELOPE },
		{ "real/dstack/guest-agent/attestation.bin", POOL "dcap-qvl_tdx_quote_collateral.json",
		  "pck.chain", NULL, VERIFY_ENVELOPE },
		{ "real/dstack/dstack-attest/nitro_attestation.bin",
		  POOL "dcap-qvl_tdx_quote_collateral.json", "envelope.platform", NULL, VERIFY_ENVELOPE },
		{ "real/dstack/dstack-attest/nitro_attestation_dbg.bin",
		  POOL "dcap-qvl_tdx_quote_collateral.json", "envelope.platform", NULL, VERIFY_ENVELOPE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct verify *v = judged(load(all[i].file), all[i].pool, "{}");

		if (strcmp(v->verdict.code, all[i].code) != 0)
			fail_msg("%s: %s, not %s: %s", all[i].file, v->verdict.code, all[i].code,
				 v->verdict.error);
		assert_int_equal(v->evidence.form, all[i].form);
		assert_int_equal(v->has_quote, all[i].status != NULL);
		if (all[i].status) {
			assert_string_equal(tcb_status_name(v->quote.tcb.status), all[i].status);
			assert_int_equal(v->verdict.anchor, ANCHOR_INTEL);
		}
		free(v);
	}
}

// What is in the lite sample: one list, the image's hash and its measurement.
static void the_lite_sample_is_decoded(void **state)
{
	static const char *const files[] = { "real/dstack/verifier/tdx-lite-getquote.json",
					     "real/dstack/verifier/tdx-lite-attestation.json" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct verify *v = judged(load(files[i]), POOL "dcap-qvl_tdx_quote_collateral.json", "{}");
		struct fault f;

		assert_true(v->has_image_hash && v->config.tdx_measurement.n);
		assert_int_equal(measurement_bound(v->config.os_image_hash, v->config.tdx_checksum_file,
						   v->config.tdx_measurement, &f),
				 0);
		assert_int_equal(v->config.memory_size, 0x80000000);
		assert_true(v->evidence.env.runtime.n > 5);
		free(v);
	}
}

static int set_up(void **state)
{
	struct err e;

	(void)state;
	return !(engine = engine_new(&e));
}

static int tear_down(void **state)
{
	(void)state;
	engine_free(engine);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_get_their_verdict),
		cmocka_unit_test(the_lite_sample_is_decoded),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
