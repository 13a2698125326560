// What is said of evidence: decoded quotes and reports, results as claims and JSON, reasons, boot info; and
// which checks and documents are refused before anything is computed.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/attest/collateral.h"
#include "core/attest/dcap_text.h"
#include "core/attest/quote_show.h"
#include "core/attest/reportdata.h"
#include "core/attest/show.h"
#include "core/attest/snp.h"
#include "core/sig/rsa.h"
#include "core/verify/bootinfo.h"
#include "core/verdict/reason_more.h"
#include "evidence_files.h"

#define S(text) span_of(text, sizeof text - 1)
static char text[64 * 1024];

static const char *shown(const struct quote *q, bool json)
{
	struct wr w = wr_to(text, sizeof text - 1);

	quote_show(&w, q, json);
	assert_false(w.bad);
	text[w.n] = 0;
	return text;
}

static void has(const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void quotes_of_every_certification(void **state)
{
	static uint8_t data[16 + 16 + 2 + 2 + 368];
	struct quote q;
	struct quote_ppid p;

	(void)state;
	assert_int_equal(quote_parse(&q, file_read("real/dcap-qvl", "tdx_quote")), REASON_OK);
	shown(&q, false);
	has("\nplatform\n  ppid");
	has("  certificate_0            Intel SGX PCK Certificate, ");
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)i;
	static const size_t sizes[] = { 0, 36, 276, 404 };
	static const char *const field[] = { NULL, "\n  ppid ", "\n  encrypted_ppid ",
					     "\n  encrypted_ppid " };
	for (uint16_t type = 1; type <= 3; type++) {
		q.cert_type = type;
		q.cert_data = span_of(data, sizes[type]);
		assert_int_equal(quote_ppid(&q, &p), 0);
		assert_true(p.ppid.n == sizes[type] - 20 && p.cpu_svn[0] == (uint8_t)(sizes[type] - 20));
		assert_int_equal(p.pce_svn & 255, (uint8_t)(sizes[type] - 4));
		shown(&q, false);
		has(field[type]);
		assert_null(strstr(text, "\nplatform"));
		for (int off = -1; off <= 1; off += 2) { // of no other length
			q.cert_data.n = sizes[type] + (size_t)off;
			assert_int_equal(quote_ppid(&q, &p), -1);
		}
		q.cert_data.n = 8;
		shown(&q, true);
		has("\"data\":\"0001020304050607\"");
	}
	for (uint16_t type = 0; type <= 9; type++)
		assert_int_equal(quote_cert_name(type) != NULL, type >= 1 && type <= 7);
	q.cert_type = 0;
	assert_int_equal(quote_ppid(&q, &p), -1);
	shown(&q, true);
	assert_null(strstr(text, "\"name\""));
	q.cert_type = QUOTE_CERT_PCK;
	q.cert_data = S("-----BEGIN CERTIFICATE-----AQID-----END CERTIFICATE-----"); // no certificate in it
	shown(&q, false);
	assert_null(strstr(text, "certificate_0"));
}

static void reports_of_every_kind(void **state)
{
	static uint8_t ex[QUOTE_TD15_EX];
	struct quote q;
	struct td_report td;
	struct sgx_report sgx;

	(void)state;
	assert_int_equal(
		quote_parse(&q, file_read("real/go-tdx-guest/testing/testdata", "quote_v5_sample.dat")),
		REASON_OK);
	assert_int_equal(quote_sgx(&q, &sgx), -1);
	q.body_type = 3;
	q.body = span_of(ex, QUOTE_TD15);
	assert_int_equal(quote_td(&q, &td), 0);
	assert_true(td.is_15);
	shown(&q, true);
	has("\"mr_service_td\":");
	assert_null(strstr(text, "td_id"));
	q.body_type = 4;
	q.body = span_of(ex, QUOTE_TD15_EX);
	shown(&q, true);
	has("\"cur_servtd_attributes\":\"0000000000000000\"");
	q.body = span_of(ex, QUOTE_TD15 - 1); // never from a parsed quote
	assert_int_equal(quote_td(&q, &td), -1);
	assert_int_equal(quote_parse(&q, file_read("real/dcap-qvl", "sgx_quote")), REASON_OK);
	assert_int_equal(quote_td(&q, &td), -1);
	assert_int_equal(quote_sgx(&q, &sgx), 0);
	shown(&q, false);
	has("mr_enclave");
	q.body.n--;
	assert_int_equal(quote_sgx(&q, &sgx), -1);
	shown(&q, true);
	has("\"report\":{}");
}

static void names_do_not_steer_a_terminal(void **state)
{
	struct wr w = wr_to(text, sizeof text);
	struct show s = { &w, false, false, false };

	(void)state;
	show_text(&s, "name", S("a\x1b[2J\x7f\xc3\xa9"));
	assert_true(span_is(span_of(text, w.n), "  name                     a?[2J?\xc3\xa9\n"));
}

static void quote_as_text(void **state)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{ "0401", "\4\1" },   { "0x0401 \t\r\n", "\4\1" },
		{ "0X0401", "\4\1" }, { "040", "040" },
		{ "0x", "0x" },       { "", "" },
		{ " ", " " },         { "04 01", "04 01" },
		{ "1x01", "1x01" },   { "0401z", "0401z" },
		{ "\n\n", "\n\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t copy[32];
		size_t n = strlen(cases[i].in);

		memcpy(copy, cases[i].in, n);
		assert_true(span_is(quote_unhex(copy, n), cases[i].want));
	}
}

static void results_in_words(void **state)
{
	struct dcap_result r = { .anchor = ANCHOR_INTEL,
				 .version = 4,
				 .is_tdx = true,
				 .relaunch_advised = true,
				 .issued = 1,
				 .expires = 86400 };
	struct verdict v;

	(void)state;
	assert_true(dcap_verdict(&v, &r, NULL, NULL));
	assert_string_equal(verdict_find(&v, "quote")->value, "tdx v4 td 1.0");
	assert_string_equal(verdict_find(&v, "tcb")->detail, "relaunch advised");
	assert_string_equal(verdict_find(&v, "debug")->value, "off");
	assert_string_equal(verdict_find(&v, "collateral")->value,
			    "1970-01-01T00:00:01Z to 1970-01-02T00:00:00Z");
	strcpy(r.tcb.advisory[0], "INTEL-SA-00001");
	strcpy(r.tcb.advisory[1], "INTEL-SA-00002");
	r.tcb.n = 2;
	r.td.is_15 = true;
	r.td.td_attributes[0] = 1;
	assert_true(dcap_verdict(&v, &r, NULL, NULL));
	assert_string_equal(verdict_find(&v, "quote")->value, "tdx v4 td 1.5");
	assert_string_equal(verdict_find(&v, "tcb")->detail,
			    "advisories: INTEL-SA-00001, INTEL-SA-00002; relaunch advised");
	assert_string_equal(verdict_find(&v, "debug")->value, "on (allowed)");
	struct wr w = wr_to(text, sizeof text - 1);
	dcap_json(&w, &r, &v);
	text[w.n] = 0;
	has("\"advisory_ids\":[\"INTEL-SA-00001\",\"INTEL-SA-00002\"]");
	has(",\"relaunch_advised\":true}");
	r.relaunch_advised = r.is_tdx = false;
	r.version = 3;
	r.sgx.attributes[0] = 2;
	assert_true(dcap_verdict(&v, &r, NULL, NULL));
	assert_string_equal(verdict_find(&v, "quote")->value, "sgx v3");
	assert_string_equal(verdict_find(&v, "debug")->value, "on (allowed)");
	for (size_t i = 0; i < 20; i++) // more than the sentence holds: none, rather than half of them
		strcpy(r.tcb.advisory[i], "INTEL-SA-00003");
	r.tcb.n = 20;
	assert_true(dcap_verdict(&v, &r, NULL, NULL));
	assert_true(strlen(verdict_find(&v, "tcb")->detail) < sizeof v.claim[0].detail);
	assert_false(dcap_verdict(&v, NULL, "quote.length", "cut"));
	assert_string_equal(v.code, "quote.length");
	assert_string_equal(tcb_status_name((enum tcb_status)7), "unknown");
	assert_string_equal(tcb_status_name(TCB_REVOKED), "Revoked");
	assert_true(dcap_unreadable(REASON_ROOT_FORMAT) && dcap_unreadable(REASON_COLLATERAL_FORMAT) &&
		    !dcap_unreadable(REASON_CRL_FORMAT));
	w = wr_to(text, sizeof text - 1);
	wr_refusal(&w, "a.b", "say \"no\"");
	assert_true(
		span_is(span_of(text, w.n), "{\"ok\":false,\"code\":\"a.b\",\"error\":\"say \\\"no\\\"\"}"));
}

static void snp_results_in_words(void **state)
{
	struct snp_result r = { .anchor = ANCHOR_AMD, .product = SNP_GENOA, .report = { .version = 5 } };
	struct verdict v;

	(void)state;
	assert_true(snp_verdict(&v, &r, NULL, NULL));
	assert_string_equal(verdict_find(&v, "quote")->value, "sev-snp v5 Genoa");
	assert_string_equal(verdict_find(&v, "tcb")->value, "OutOfDate");
	assert_string_equal(verdict_find(&v, "collateral")->detail,
			    "no revocation list was given, so none was checked");
	assert_string_equal(verdict_find(&v, "debug")->value, "off");
	r.up_to_date = r.revocation_checked = true;
	r.report.policy = SNP_POLICY_DEBUG;
	assert_true(snp_verdict(&v, &r, NULL, NULL));
	assert_string_equal(verdict_find(&v, "tcb")->value, "UpToDate");
	assert_string_equal(verdict_find(&v, "collateral")->detail, "not revoked");
	assert_string_equal(verdict_find(&v, "debug")->value, "on (allowed)");
	assert_string_equal(snp_product_name(SNP_PRODUCTS), "unknown");
	struct wr w = wr_to(text, sizeof text - 1);
	snp_json(&w, &r, &v);
	text[w.n] = 0;
	has("{\"ok\":true,\"status\":\"UpToDate\",\"advisory_ids\":[],\"code\":\"\"");
	assert_false(snp_verdict(&v, NULL, "snp.length", "cut"));
	w = wr_to(text, sizeof text - 1);
	snp_json(&w, NULL, &v);
	text[w.n] = 0;
	has("{\"ok\":false,\"status\":\"\",\"advisory_ids\":[],\"code\":\"snp.length\",\"error\":\"quote: "
	    "cut\"");
}

// A report of made-up fields, version by version.
static void snp_reports_in_words(void **state)
{
	static uint8_t report[SNP_REPORT];
	uint32_t arg[2];
	struct wr w;

	(void)state;
	assert_int_equal(quote_show_any(&w, S("neither"), true, arg), REASON_QUOTE_LENGTH);
	for (uint8_t version = 2; version <= 5; version++) {
		report[0] = version;
		report[8 + 2] = 0x0b;                    // policy: SMT, the bit that is always one, debug
		report[0x34] = 1;                        // ECDSA P-384
		report[0x40] = 3;                        // platform: SMT, TSME
		report[0x188] = version >= 3 ? 0x1a : 0; // Turin
		report[0x189] = version >= 3 ? 2 : 0;
		w = wr_to(text, sizeof text - 1);
		enum reason why = quote_show_any(&w, span_of(report, sizeof report), false, arg);
		text[w.n] = 0;
		if (version == 4) {
			assert_int_equal(why, REASON_SNP_VERSION);
			continue;
		}
		assert_int_equal(why, REASON_OK);
		has("tee_type                 sev-snp");
		has("policy_bits              smt reserved-one debug");
		has("platform_bits            smt tsme");
		assert_int_equal(strstr(text, "cpu_family") != NULL, version >= 3);
		assert_int_equal(strstr(text, "launch_mit_vector") != NULL, version >= 5);
		assert_false(snp_is_report(span_of(report, sizeof report - 1)));
		has(version >= 3 ? ": fmc=0 boot=0 tee=0 snp=0 ucode=0" : ": boot=0 tee=0 snp=0 ucode=0");
	}
}

static void every_reason_has_its_words(void **state)
{
	const struct reason_text *r;
	size_t n = 0;

	(void)state;
	for (; (r = reason_at(n)); n++) {
		assert_true(r->code && r->text);
		if (n)
			assert_string_equal(reason_find(span_str(r->code))->code, r->code);
	}
	assert_true(n > REASON_COUNT);
	assert_null(reason_find(S("no.such.code")));
	assert_null(reason_find_evidence(S("no.such.code")));
	assert_null(reason_find_evidence(S("vmm.full"))); // not said of evidence
	assert_string_equal(reason_find_evidence(S("tcb.revoked"))->code, "tcb.revoked");
	assert_string_equal(reason_find_evidence(S("events.name"))->code, "events.name");
	assert_ptr_equal(reason_find_evidence(span_str(reason_verdict.text[0].code)),
			 &reason_verdict.text[0]);
	assert_ptr_equal(reason_text((enum reason)REASON_COUNT), reason_text(REASON_LIMIT));
}

static void checks_have_the_lengths_of_their_kind(void **state)
{
	static const uint8_t key[512 + 128] = { 0x80 }, even[512];
	static const struct {
		enum sig_alg alg;
		size_t key, sig;
		bool ok;
	} cases[] = {
		{ SIG_P256_SHA256, 64, 64, true },       { SIG_P256_SHA256, 65, 64, false },
		{ SIG_P256_SHA256, 64, 63, false },      { SIG_P384_SHA384, 96, 96, true },
		{ SIG_P384_SHA384, 64, 96, false },      { SIG_P384_SHA384, 96, 64, false },
		{ SIG_RSA_PSS_SHA384, 256, 256, true },  { SIG_RSA_PSS_SHA384, 384, 384, true },
		{ SIG_RSA_PSS_SHA384, 512, 512, true },  { SIG_RSA_PSS_SHA384, 128, 128, false },
		{ SIG_RSA_PSS_SHA384, 640, 640, false }, { SIG_RSA_PSS_SHA384, 300, 300, false },
		{ SIG_RSA_PSS_SHA384, 256, 255, false }, { (enum sig_alg)3, 64, 64, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sig_check c = { .alg = cases[i].alg,
				       .key = span_of(key, cases[i].key),
				       .sig = span_of(key, cases[i].sig) };

		assert_int_equal(sig_check_is_sound(&c), cases[i].ok);
		if (cases[i].alg == SIG_RSA_PSS_SHA384) {
			assert_false(rsa_pss_sha384(c.key, S("nothing"), c.sig));
			c.key.p = even; // a modulus shorter than it says
			assert_false(sig_check_is_sound(&c));
			assert_false(rsa_pss_sha384(c.key, S("nothing"), c.sig));
		}
	}
}

static void verdicts_are_cut_between_characters(void **state)
{
	struct verdict v;
	char long_name[64];

	(void)state;
	verdict_init(&v);
	memset(long_name, 'x', sizeof long_name);
	memcpy(long_name + 38, "\xe2\x82\xac", 3); // byte 39 would be its second
	long_name[63] = 0;
	struct claim *c = verdict_pass(&v, long_name, S("v"), ANCHOR_INTEL);
	assert_int_equal(strlen(c->name), 38);
	memset(long_name, 0x80, 63);
	assert_int_equal(strlen(verdict_pass(&v, long_name, S("v"), ANCHOR_INTEL)->name),
			 0); // nothing but tails
	c->fresh = true;
	static const uint8_t wide[300];
	verdict_pass_hex(&v, "wide", wide, sizeof wide, ANCHOR_INTEL);
	assert_int_equal(strlen(verdict_find(&v, "wide")->value), 199);
	verdict_close(&v, NULL);
	struct wr w = wr_to(text, sizeof text - 1);
	dcap_json(&w, NULL, &v);
	text[w.n] = 0;
	has("{\"ok\":true,\"status\":\"\"");
	has("\"anchor\":\"intel\"");
	has("\"fresh\":true");
	char sentence[400];
	memset(sentence, 'y', sizeof sentence - 1);
	sentence[399] = 0;
	verdict_init(&v);
	verdict_fail(&v, "quote", S(""), ANCHOR_NONE, "a.b", sentence);
	assert_false(verdict_close(&v, NULL));
	assert_true(strlen(v.error) < sizeof v.error && v.error[0]);
}

static void boot_info_in_json(void **state)
{
	struct boot_info b = { .tee_variant = "dstack-tdx", .tcb_status = "UpToDate" };

	(void)state;
	struct wr w = wr_to(text, sizeof text - 1);
	boot_info_write_json(&w, &b);
	text[w.n] = 0;
	has("\"osImageHash\":\"\",");
	has("\"appId\":\"\",\"composeHash\":\"\",\"instanceId\":\"\",");
	has("\"keyProviderInfo\":\"\",\"tcbStatus\":\"UpToDate\",\"advisoryIds\":[]}");
	b.has_app_id = b.has_compose_hash = b.has_instance_id = b.has_os_image_hash = true;
	b.app_id[0] = b.compose_hash[0] = b.instance_id[0] = b.os_image_hash[0] = 0xab;
	strcpy(b.advisory_ids[0], "INTEL-SA-00001");
	strcpy(b.advisory_ids[1], "INTEL-SA-00002");
	b.n_advisory_ids = 2;
	w = wr_to(text, sizeof text - 1);
	boot_info_write_json(&w, &b);
	text[w.n] = 0;
	has("\"appId\":\"ab00000000000000000000000000000000000000\"");
	has("\"osImageHash\":\"ab00");
	has("\"composeHash\":\"ab00");
	has("\"instanceId\":\"ab00");
	has("\"advisoryIds\":[\"INTEL-SA-00001\",\"INTEL-SA-00002\"]}");
}

static void documents_of_a_pcs(void **state)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"tcbInfo\":{}}",
		"{\"tcbInfo\":\"{}\",\"signature\":\"00\"}",
		"{\"tcbInfo\":{},\"signature\":\"00\"}",
		"{\"tcbInfo\":{},\"signature\":0}",
	};
	struct span s;
	uint8_t sig[64];
	char body[200];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(collateral_signed(span_str(bad[i]), "tcbInfo", &s, sig), -1);
		assert_int_equal(s.n, 0);
	}
	int n = snprintf(body, sizeof body, "{\"tcbInfo\":{\"a\" : 1 },\"signature\":\"%0128d\"}", 7);
	assert_int_equal(collateral_signed(span_of(body, (size_t)n), "tcbInfo", &s, sig), 0);
	assert_true(span_is(s, "{\"a\" : 1 }") && sig[63] == 7); // byte for byte
	struct collateral c;
	size_t used;
	static uint8_t arena[64 * 1024];
	struct span doc = file_read("real/dcap-qvl", "tdx_quote_collateral.json");
	assert_int_equal(collateral_parse(&c, doc, arena, sizeof arena, &used), 0);
	for (size_t cap = 0; cap < used; cap += 97) {
		size_t u;
		assert_int_equal(collateral_parse(&c, doc, arena, cap, &u), -1);
		assert_true(u <= cap);
	}
	assert_int_equal(collateral_parse(&c, doc, arena, used, &used), 0);
	assert_int_equal(c.pck_certificate_chain.n, 0);
	c.pck_certificate_chain = S("chain");
	struct wr w = wr_to(text, sizeof text);
	collateral_write(&w, &c);
	assert_false(w.bad);
	static uint8_t again[64 * 1024];
	assert_int_equal(collateral_parse(&c, span_of(text, w.n), again, sizeof again, &used), 0);
	assert_true(span_is(c.pck_certificate_chain, "chain"));
	w.n -= sizeof "\"chain\"}" - 1;
	wr_str(&w, "null}"); // as some servers write it
	assert_int_equal(collateral_parse(&c, span_of(text, w.n), again, sizeof again, &used), 0);
	assert_int_equal(c.pck_certificate_chain.n, 0);
}

static int free_files(void **state)
{
	(void)state;
	file_free_all();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quotes_of_every_certification),
		cmocka_unit_test(reports_of_every_kind),
		cmocka_unit_test(names_do_not_steer_a_terminal),
		cmocka_unit_test(quote_as_text),
		cmocka_unit_test(results_in_words),
		cmocka_unit_test(snp_results_in_words),
		cmocka_unit_test(snp_reports_in_words),
		cmocka_unit_test(every_reason_has_its_words),
		cmocka_unit_test(checks_have_the_lengths_of_their_kind),
		cmocka_unit_test(verdicts_are_cut_between_characters),
		cmocka_unit_test(boot_info_in_json),
		cmocka_unit_test(documents_of_a_pcs),
	};
	return cmocka_run_group_tests(tests, NULL, free_files);
}
