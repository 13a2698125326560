#include "cases.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/attest/dcap_text.h"
#include "core/codec/json.h"
#include "core/codec/pem.h"
#include "evidence_files.h"

enum { CASES = 1000, BLOBS = 2000 };
static struct dcap_case all[CASES];
static size_t count;
static void *blob[BLOBS];
static size_t blobs;

static struct span keep(struct span s)
{
	uint8_t *p = malloc(s.n + 1);

	assert_non_null(p);
	assert_true(blobs < BLOBS);
	memcpy(p, s.p, s.n);
	blob[blobs++] = p;
	return span_of(p, s.n);
}

static struct span load(struct json c, const char *member)
{
	char name[64];

	file_name(name, sizeof name, c, member);
	struct span s = keep(file_read("mutants/blobs", name));
	file_free_all();
	return s;
}

static uint64_t number(struct json o, const char *member)
{
	struct json v;
	uint64_t n;

	assert_true(json_get(o, member, &v));
	assert_int_equal(json_u64(v, UINT64_MAX, &n), 0);
	return n;
}

static void load_mutants(void)
{
	struct json list, c;

	assert_int_equal(json_parse(&list, keep(file_read("mutants", "index.json")), NULL), 0);
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &c); count++) {
		struct dcap_case *to = &all[count];
		assert_true(count < CASES);
		file_name(to->name, sizeof to->name, c, "id");
		to->quote = load(c, "quote");
		to->collateral = load(c, "collateral");
		to->root = load(c, "root");
		to->now = number(c, "now");
	}
}

static struct span der_of(struct json pem)
{
	static uint8_t text[8192], der[4096];
	size_t n;

	assert_int_equal(json_string(pem, text, sizeof text, &n), 0);
	struct rd in = rd_from(text, n);
	assert_int_equal(pem_next(&in, der, sizeof der, &n), 1);
	return keep(span_of(der, n));
}

static void load_pool(const char *name)
{
	static const char *const quote[][2] = {
		{ "dcap-qvl", "sgx_quote" },
		{ "dcap-qvl", "tdx_quote" },
		{ "dstack/ra-tls", "tdx_quote" },
		{ "go-tdx-guest/testing/testdata", "quote_v5_sample.dat" },
		{ "go-tdx-guest/testing/testdata", "tdx_prod_quote_SPR_E4.dat" },
		{ "trustee/deps/verifier/test_data", "tdx_quote_4.dat" },
		{ "trustee/deps/verifier/test_data", "tdx_quote_5.dat" },
		{ "trustee/deps/verifier/test_data", "occlum_quote.dat" },
		{ "intel-qvl/Src/AttestationApp/sampleData", "quote.dat" },
	};
	struct json pool, collateral, root;
	char dir[200];

	assert_int_equal(json_parse(&pool, keep(file_read("real/collateral-pool", name)), NULL), 0);
	assert_true(json_get(pool, "collateral", &collateral));
	assert_true(json_get(pool, "root_pem", &root));
	struct span der = der_of(root);
	for (size_t i = 0; i < sizeof quote / sizeof *quote; i++) {
		struct dcap_case *to = &all[count++];
		assert_true(count < CASES);
		snprintf(to->name, sizeof to->name, "%s + %s", quote[i][1], name);
		snprintf(dir, sizeof dir, "real/%s", quote[i][0]);
		to->quote = keep(file_read(dir, quote[i][1]));
		to->collateral = collateral.text;
		to->root = der;
		to->now = number(pool, "now");
		file_free_all();
	}
}

size_t cases_load(const struct dcap_case **out)
{
	load_mutants();
	load_pool("dcap-qvl_sgx_quote_collateral.json");
	load_pool("dcap-qvl_tdx_quote_collateral.json");
	load_pool("go-tdx-guest_2023_responses.json");
	load_pool("go-tdx-guest_tcbinfo_v5_dcap-qvl_outdated_QE_identity_CRLs.json");
	load_pool("intel-qvl_SGX_sample.json");
	*out = all;
	return count;
}

void cases_free(void)
{
	while (blobs)
		free(blob[--blobs]);
	count = 0;
}

void case_answer(struct engine *g, const struct dcap_case *c, uint64_t now, char *out, size_t cap)
{
	struct dcap_input in = { .quote = c->quote, .collateral = c->collateral, .now = now };
	struct wr w = wr_to(out, cap - 1);
	struct dcap_result r;
	struct verdict v;
	struct err e = { 0 };

	assert_int_equal(engine_only_root(g, c->root, &e), 0);
	int rc = dcap_verify(g, &in, &r, &e);
	dcap_verdict(&v, rc ? NULL : &r, e.code, e.text);
	dcap_json(&w, rc ? NULL : &r, &v);
	assert_false(w.bad);
	out[w.n] = 0;
}
