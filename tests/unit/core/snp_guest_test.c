// Whole SEV-SNP guests under a root of the test's own: envelopes as a guest makes them, with every document
// behind the host data, and certificates from elsewhere; and what is shown of them.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/attest/snp_show.h"
#include "core/measure/mrconfig.h"
#include "ratls/verify.h"
#include "snp_fixture.h"

#define MEASURED                                                                                             \
	"\"snp_measurement\":["                                                                              \
	"\"7777777777777777777777777777777777777777777777777777777777777777777777777777777777"               \
	"77777777777777\"]"
#define HASH "\"compose_hash\":\"4444444444444444444444444444444444444444444444444444444444444444\""

static const char full[] = "{\"app_id\":\"1111111111111111111111111111111111111111\"," HASH
			   ",\"instance_id\":\"2222222222222222222222222222222222222222\","
			   "\"key_provider\":\"kms\",\"key_provider_id\":\"3059\",\"version\":3}";

static struct engine *engine;
static struct verify *last;

// The envelope of a guest launched with this document; its report is signed again.
static struct span guest(struct made *m, const char *document, bool chain)
{
	static uint8_t bytes[16384];
	struct wr w = wr_to(bytes, sizeof bytes);
	struct envelope env = { .kind = ENVELOPE_SNP,
				.mr_config = span_str(document),
				.config = span_str("{}") };
	struct fault f;

	mr_config_digest(m->report + 0xc0, env.mr_config);
	made_sign_report(m, snp_key(2));
	env.quote = span_of(m->report, SNP_REPORT);
	memcpy(env.report_data, m->report + 0x50, 64);
	env.n_chain = chain ? 2 : 0;
	env.chain[0] = span_of(m->ask.der, m->ask.n);
	env.chain[1] = span_of(m->vcek.der, m->vcek.n);
	assert_int_equal(envelope_write(&w, &env, &f), 0);
	assert_false(w.bad);
	return span_of(bytes, w.n);
}

static void says(struct span evidence, struct span certificates, const char *expect, const char *code)
{
	struct err e;
	struct verify_input in = { .evidence = evidence,
				   .collateral = certificates,
				   .expect = span_str(expect),
				   .binding = VERIFY_BIND_STATED,
				   .now = SNP_NOW };

	free(last);
	last = evidence_new(&in, &e);
	assert_non_null(last);
	if (evidence_read(last, &in))
		(void)evidence_check(engine, last);
	verify_finish(last, 0, NULL);
	if (strcmp(last->verdict.code, code) != 0)
		fail_msg("%s: %s, expected %s", last->verdict.code, last->verdict.error, code);
	assert_int_equal(last->verdict.ok, !*code);
}

static void trust(const struct made *m)
{
	struct err e;

	assert_int_equal(engine_only_root(engine, span_of(m->ark.der, m->ark.n), &e), 0);
	assert_true(engine_has_development(engine));
}

static void every_product(void **state)
{
	struct span none = { 0 };

	(void)state;
	for (enum snp_product p = SNP_MILAN; p < SNP_PRODUCTS; p++)
		for (uint32_t version = 2; version < 4; version++) {
			struct made *m = made_new(p, version);
			trust(m);
			says(guest(m, full, true), none, "{" MEASURED "}", "");
			assert_int_equal(last->verdict.anchor, ANCHOR_DEVELOPMENT);
			assert_string_equal(last->boot.tcb_status, "UpToDate");
			says(guest(m, full, true), none, "{}", "measure.base_unverified");
			m->report[0x38]++;
			says(guest(m, full, true), none, "{" MEASURED "}", "policy.tcb_not_allowed");
		}
}

static void documents(void **state)
{
	static const struct {
		const char *document, *code;
	} cases[] = {
		{ full, "" },
		{ "{\"app_id\":\"1111111111111111111111111111111111111111\"," HASH
		  ",\"key_provider\":\"none\",\"version\":3}",
		  "" },
		{ "{" HASH ",\"key_provider\":\"none\",\"version\":3}", "snp.app_id" },
		{ "{" HASH ",\"key_provider\":\"none\",\"version\":2}", "config_id.document" },
		{ "{" HASH ",\"key_provider\":\"none\",\"unknown\":1,\"version\":3}", "config_id.document" },
		{ " " HASH, "config_id.document" },
		{ "", "config_id.document" },
	};
	struct made *m = made_new(SNP_MILAN, 3);
	struct span none = { 0 };

	(void)state;
	trust(m);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		says(guest(m, cases[i].document, true), none, "{" MEASURED "}", cases[i].code);
	// Who is expected: the document must say so.
	says(guest(m, full, true), none, "{" MEASURED ",\"key_provider_id\":[\"3059\"]}", "");
	says(guest(m, cases[1].document, true), none, "{" MEASURED ",\"key_provider_id\":[\"3059\"]}",
	     "key_provider.mismatch");
	// The right hash of another document.
	struct span s = guest(m, full, true);
	memset(m->report + 0xc0, 0, 32);
	made_sign_report(m, snp_key(2));
	memcpy((uint8_t *)(uintptr_t)s.p + 4, m->report, SNP_REPORT);
	says(s, none, "{" MEASURED "}", "snp.host_data");
}

static void certificates_from_elsewhere(void **state)
{
	static uint8_t both[4096];
	struct made *m = made_new(SNP_MILAN, 3);
	struct span none = { 0 }, ask = span_of(m->ask.der, m->ask.n);

	(void)state;
	trust(m);
	says(guest(m, full, false), none, "{" MEASURED "}", "snp.certs_missing");
	says(guest(m, full, false), ask, "{" MEASURED "}", "snp.certs_missing");
	memcpy(both, m->ask.der, m->ask.n); // DER is one certificate
	memcpy(both + m->ask.n, m->vcek.der, m->vcek.n);
	says(guest(m, full, true), span_of(both, m->ask.n + m->vcek.n), "{" MEASURED "}", "snp.cert_format");
	assert_int_equal(engine_only_root(engine, amd_root(SNP_MILAN), &(struct err){ 0 }), 0);
	says(guest(m, full, true), none, "{" MEASURED "}", "snp.ask_signature");
}

static void what_is_said(void **state)
{
	static char text[1 << 16];
	static struct snp work;
	struct made *m = made_new(SNP_MILAN, 3);
	struct verdict v;

	(void)state;
	m->report[0xa] |= 8; // debug
	made_sign_report(m, snp_key(2));
	m->in.allow_debug = true;
	assert_int_equal(made_judge(m, &result), REASON_OK);
	result.revocation_checked = true;
	assert_true(snp_verdict(&v, &result, "", ""));
	assert_string_equal(verdict_find(&v, "debug")->value, "on (allowed)");
	assert_string_equal(verdict_find(&v, "collateral")->detail, "not revoked");
	struct wr w = wr_to(text, sizeof text - 1);
	snp_json(&w, &result, &v);
	assert_non_null(strstr(text, "\"status\":\"UpToDate\""));
	m->report[0x30] = 2;
	snp_begin(&work, &m->in, span_of(m->ark.der, m->ark.n), ANCHOR_DEVELOPMENT);
	assert_int_equal(snp_finish(&work, UINT32_MAX, &result), REASON_SNP_VMPL);
	snp_explain(&work, REASON_SNP_VMPL, text, 100);
	assert_string_equal(text, "The report was requested at VMPL 2, not 0");
	snp_explain(&work, REASON_SNP_VMPL, text, 10); // no room: nothing
	assert_string_equal(text, "");
	assert_false(snp_verdict(&v, NULL, "snp.vmpl", "why"));
	assert_string_equal(v.code, "snp.vmpl");
	memset(text, 0, sizeof text);
	w = wr_to(text, sizeof text - 1);
	snp_json(&w, NULL, &v);
	assert_non_null(
		strstr(text, "{\"ok\":false,\"status\":\"\",\"advisory_ids\":[],\"code\":\"snp.vmpl\""));
}

static void shown(void **state)
{
	static char text[SNP_SHOW_MAX];
	uint32_t arg[2];
	struct wr w = wr_to(text, sizeof text);
	struct made *m = made_new(SNP_TURIN, 5);

	(void)state;
	m->report[0x1f8] = 3;
	assert_int_equal(snp_show(&w, m->in.report, true, arg), REASON_OK);
	assert_false(w.bad);
	text[w.n] = 0;
	assert_non_null(strstr(text, "\"product\":\"Turin\""));
	assert_non_null(strstr(text, "fmc=1 boot=2 tee=3 snp=4 ucode=72"));
	assert_non_null(strstr(text, "\"launch_mit_vector\":3"));
	m->in.report.n--;
	assert_int_equal(snp_show(&w, m->in.report, true, arg), REASON_SNP_LENGTH);
	assert_int_equal(arg[0], SNP_REPORT - 1);
	m = made_new(SNP_MILAN, 2); // for people, of a version that names no processor
	m->report[0x40] |= 0x40;
	w = wr_to(text, sizeof text);
	assert_int_equal(snp_show(&w, m->in.report, false, arg), REASON_OK);
	text[w.n] = 0;
	assert_non_null(strstr(text, "unknown\n"));
	assert_null(strstr(text, "cpu_family"));
	m = made_new(SNP_GENOA, 3);
	w = wr_to(text, sizeof text);
	assert_int_equal(snp_show(&w, m->in.report, false, arg), REASON_OK);
	text[w.n] = 0;
	assert_non_null(strstr(text, "Genoa\n"));
	assert_non_null(strstr(text, "boot=10 tee=2 snp=23 ucode=84"));
	assert_null(strstr(text, "mit_vector"));
	// What is taken for a report: neither a quote nor something longer.
	m = made_new(SNP_TURIN, 3);
	assert_true(snp_is_report(m->in.report));
	for (size_t i = 2; i < 4; i++) {
		m->report[i] = 2;
		assert_false(snp_is_report(m->in.report));
		m->report[i] = 0;
	}
}

static int setup(void **state)
{
	struct err e;

	engine = engine_new(&e);
	return engine ? snp_fixture_new(state) : -1;
}

static int teardown(void **state)
{
	free(last);
	engine_free(engine);
	return snp_fixture_free(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_product),
		cmocka_unit_test(documents),
		cmocka_unit_test(certificates_from_elsewhere),
		cmocka_unit_test(what_is_said),
		cmocka_unit_test(shown),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
