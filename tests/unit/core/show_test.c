// What is shown of a quote and of a refusal: every kind of quote as JSON that parses and as text, names that
// would steer a terminal, hex in place of bytes, explanations for the page.
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/attest/dcap_text.h"
#include "core/attest/quote_show.h"
#include "core/codec/base64.h"
#include "core/codec/json.h"
#include "core/codec/pem.h"
#include "core/codec/x509.h"
#include "evidence_files.h"

static char out[QUOTE_SHOW_MAX];

static struct span show(struct span bytes, bool json)
{
	struct quote q;
	struct wr w = wr_to(out, sizeof out);

	assert_int_equal(quote_parse(&q, bytes), REASON_OK);
	quote_show(&w, &q, json);
	assert_false(w.bad);
	assert_int_equal(out[w.n - 1], '\n');
	return span_of(out, json ? w.n - 1 : w.n);
}

static bool has(struct span text, const char *what)
{
	return memmem(text.p, text.n, what, strlen(what)) != NULL;
}

static void check(const char *dir, const char *file, const char *const *fields)
{
	struct span bytes = file_read(dir, file), text = show(bytes, true);
	struct json root, group, value;

	assert_int_equal(json_parse(&root, text, NULL), 0);
	for (; *fields; fields += 3) {
		assert_true(json_get(root, fields[0], &group));
		assert_true(json_get(group, fields[1], &value));
		if (json_kind(value) == JSON_STRING)
			assert_true(json_is(value, fields[2]));
		else
			assert_true(span_is(value.text, fields[2]));
	}
	text = show(bytes, false);
	assert_true(has(text, "\nreport\n") && has(text, "\ncertification\n"));
}

static void every_kind(void **state)
{
	(void)state;
	check("real/dcap-qvl", "sgx_quote",
	      (const char *[]){ "header", "version", "3", "header", "tee_type", "sgx", "platform", "fmspc",
				"00a067110000", "certification", "certificate_2",
				"Intel SGX Root CA, 2018-05-21T10:45:10Z to 2049-12-31T23:59:59Z", NULL });
	check("real/dcap-qvl", "tdx_quote",
	      (const char *[]){ "header", "version", "4", "header", "tee_type", "tdx", "platform", "fmspc",
				"b0c06f000000", "certification", "type", "5", NULL });
	check("real/go-tdx-guest/testing/testdata", "quote_v5_sample.dat",
	      (const char *[]){ "header", "body_type", "3", "platform", "fmspc", "90c06f000000", NULL });
	assert_true(has(show(file_read("real/go-tdx-guest/testing/testdata", "quote_v5_sample.dat"), false),
			"mr_service_td"));
	check("real/intel-qvl/Src/AttestationApp/sampleData", "quote.dat",
	      (const char *[]){ "certification", "type", "1", NULL }); // a platform's id, no chain
}

// The first certificate of the chain with another byte in its common name, signed by nobody.
static struct span renamed(struct span quote, uint8_t with)
{
	struct quote q;
	uint8_t *bytes = (uint8_t *)(uintptr_t)file_keep(quote.p, quote.n).p, der[8192], text[8192];
	struct x509 c;
	size_t n;

	assert_int_equal(quote_parse(&q, span_of(bytes, quote.n)), REASON_OK);
	struct rd in = rd_span(q.cert_data);
	assert_int_equal(pem_next(&in, der, sizeof der, &n), 1);
	assert_int_equal(x509_parse(&c, span_of(der, n)), 0);
	der[c.common_name.p - der] = with;
	struct wr w = wr_to(text, sizeof text);
	wr_base64(&w, span_of(der, n));
	uint8_t *at = (uint8_t *)(uintptr_t)q.cert_data.p + strlen("-----BEGIN CERTIFICATE-----\n");
	for (size_t i = 0; i < w.n; at++)
		if (*at != '\n')
			*at = text[i++];
	return span_of(bytes, quote.n);
}

static void names(void **state)
{
	struct span quote = file_read("real/dcap-qvl", "tdx_quote");

	(void)state;
	assert_true(has(show(quote, false), "Intel SGX PCK Certificate, "));
	assert_true(has(show(renamed(quote, 0x1b), false), "?ntel SGX PCK Certificate, "));
	assert_false(has(show(renamed(quote, 0x1b), false), "\x1b"));
	assert_true(has(show(renamed(quote, 0x7f), false), "?ntel SGX PCK Certificate, "));
	assert_true(has(show(renamed(quote, 0x1b), true), "\\u001bntel SGX"));
}

// A chain that cannot be read ends the list; what is before it is shown.
static void broken_chain(void **state)
{
	struct span quote = file_read("real/dcap-qvl", "tdx_quote");
	struct quote q;

	(void)state;
	for (int i = 0; i < 2; i++) {
		uint8_t *bytes = (uint8_t *)(uintptr_t)file_keep(quote.p, quote.n).p;

		assert_int_equal(quote_parse(&q, span_of(bytes, quote.n)), REASON_OK);
		// not base 64; base 64 of no certificate
		((uint8_t *)(uintptr_t)q.cert_data.p)[28] = i ? 'A' : '*';
		struct span text = show(span_of(bytes, quote.n), false);
		assert_false(has(text, "certificate_0") || has(text, "\nplatform\n"));
	}
}

static void unhex(void **state)
{
	static const struct {
		const char *in;
		size_t n;
		uint8_t first;
	} cases[] = { { "0102ff", 3, 1 },  { "ff00", 2, 255 }, { "0x0aFf\r\n\t ", 2, 10 },
		      { "0Xab", 1, 0xab }, { "012", 3, '0' },  { "01zz", 4, '0' },
		      { "", 0, 0 },        { "  \n", 3, ' ' }, { "0x", 2, '0' } };
	uint8_t bytes[32];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t n = strlen(cases[i].in);

		memcpy(bytes, cases[i].in, n);
		struct span s = quote_unhex(bytes, n);
		assert_int_equal(s.n, cases[i].n);
		if (n)
			assert_int_equal(s.p[0], cases[i].first);
	}
}

static void refusals(void **state)
{
	static struct verdict v;
	struct wr w = wr_to(out, sizeof out);

	(void)state;
	wr_refusal(&w, "input.time", "a \"time\"");
	assert_true(span_is(span_of(out, w.n),
			    "{\"ok\":false,\"code\":\"input.time\",\"error\":\"a \\\"time\\\"\"}"));
	assert_false(dcap_verdict(&v, NULL, "quote.length", "too short"));
	assert_string_equal(v.code, "quote.length");
	assert_true(dcap_unreadable(REASON_COLLATERAL_FORMAT) && dcap_unreadable(REASON_ROOT_FORMAT));
	assert_false(dcap_unreadable(REASON_OK) || dcap_unreadable(REASON_QUOTE_SIGNATURE));
}

static void explanations(void **state)
{
	static const char *const known[] = { "quote.signature", "td.debug", "events.rtmr3",
					     "compose_hash.mismatch", "policy.unknown_field" };

	(void)state;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		const struct reason_text *r = reason_find_evidence(span_str(known[i]));
		assert_non_null(r);
		assert_ptr_equal(r, reason_find(span_str(known[i])));
	}
	assert_non_null(reason_find(span_str("config.unknown_key")));
	assert_null(reason_find_evidence(span_str("config.unknown_key")));
	assert_null(reason_find_evidence(span_str("")));
}

static int done(void **state)
{
	(void)state;
	file_free_all();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind), cmocka_unit_test(names),    cmocka_unit_test(broken_chain),
		cmocka_unit_test(unhex),      cmocka_unit_test(refusals), cmocka_unit_test(explanations),
	};
	return cmocka_run_group_tests(tests, NULL, done);
}
