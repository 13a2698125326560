// The rules of DCAP one by one, on the two-phase interface: signatures are taken for good, so that each rule
// is seen alone. Names are those of the security cases (QV-..).
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/codec/pem.h"
#include "dcap_fixture.h"
#include "evidence_files.h"

static void accepted(void **state)
{
	(void)state;
	expect(trial(base.v4), REASON_OK);
	assert_int_equal(result.tcb.status, TCB_UP_TO_DATE);
	assert_true(result.is_tdx && !result.td.is_15 && !result.relaunch_advised);
	assert_int_equal(result.tcb_eval, 18);
	assert_memory_equal(result.ppid, base.pck.ppid, 16);
	expect(trial(base.v5), REASON_OK);
	assert_true(result.td.is_15);
	assert_true(work.checks > 8 && work.checks <= DCAP_CHECKS);
}

// The reason is that of the failing check, whichever runs first; without a check nothing is accepted.
static void deferred_checks(void **state)
{
	(void)state;
	expect(trial(base.v4), REASON_OK);
	for (size_t i = 0; i < work.checks; i++) {
		assert_int_equal(dcap_finish(&work, ~(1u << i), &result), work.check[i].reason);
		assert_int_equal(result.version, 0);
		for (size_t k = 0; k < work.checks; k++) {
			enum reason a = work.check[i].reason, b = work.check[k].reason;
			assert_int_equal(dcap_finish(&work, ~(1u << i | 1u << k), &result), a < b ? a : b);
		}
	}
	assert_int_equal(dcap_finish(&work, 0, &result), REASON_CRL_SIGNATURE);
	// A later rule that fails gives way to an earlier signature, and the other way round.
	struct trial *t = trial(base.v4);
	t->quote[V4_BODY + 120] = 1;
	expect(t, REASON_TD_DEBUG);
	assert_int_equal(dcap_finish(&work, 0, &result), REASON_CRL_SIGNATURE);
}

static void qv_03_quoting_enclave(void **state)
{
	static const struct {
		size_t at;
		enum reason want;
	} cases[] = {
		{ 128, REASON_QE_SIGNER }, { 159, REASON_QE_SIGNER }, { 256, REASON_QE_PRODUCT },
		{ 16, REASON_QE_MISC },    { 19, REASON_QE_MISC },    { 49, REASON_QE_ATTRIBUTES },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			struct trial *t = trial(base.v4);
			t->quote[V4_QE + cases[i].at] ^= (uint8_t)(1u << bit);
			expect(t, cases[i].want);
		}
	struct trial *t = trial(base.v4);
	t->quote[V4_QE + 48] |= 2;
	expect(t, REASON_QE_DEBUG);
	t = trial(base.v4);
	t->quote[V4_QE + 258] = 0;
	expect(t, REASON_QE_LEVEL);
	char text[200];
	dcap_explain(&work, REASON_QE_LEVEL, text, sizeof text);
	assert_string_equal(text, "QE ISVSVN 0 is below minimum required 1");
	t = trial(base.v4);
	t->quote[V4_QE + 49] ^= 1;
	expect(t, REASON_QE_ATTRIBUTES);
	dcap_explain(&work, REASON_QE_ATTRIBUTES, text, sizeof text);
	assert_string_equal(text, "QE ATTRIBUTES mismatch at byte 1");
	// An identity that expects what it masks away is none.
	t = trial(base.v4);
	t->col.qe_identity = replaced(t->col.qe_identity, "FBFFFFFFFFFFFFFF0000000000000000",
				      "EBFFFFFFFFFFFFFF0000000000000000");
	expect(t, REASON_QE_ATTRIBUTES);
}

static void qv_04_vendor(void **state)
{
	(void)state;
	for (size_t at = 12; at < 28; at++) {
		struct trial *t = trial(base.v4);
		t->quote[at] ^= 0x10;
		expect(t, REASON_QUOTE_VENDOR);
	}
}

static void qv_05_key_binding(void **state)
{
	static const size_t at[] = { V4_QE - 6 - 64, V4_QE - 7,   V4_QE + 384 + 64 + 2, V4_QE + 384 + 64 + 33,
				     V4_QE + 320,    V4_QE + 351, V4_QE + 352,          V4_QE + 383 };

	(void)state;
	for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
		struct trial *t = trial(base.v4);
		t->quote[at[i]] ^= 1;
		expect(t, REASON_QE_HASH);
	}
}

static void qv_06_td_attributes(void **state)
{
	(void)state;
	for (size_t bit = 0; bit < 64; bit++) {
		struct trial *t = trial(base.v4);
		bool free_bit = bit == 30 || bit == 31 || bit == 63;
		t->quote[V4_BODY + 120 + bit / 8] ^= (uint8_t)(1u << bit % 8);
		expect(t, bit == 0    ? REASON_TD_DEBUG
			  : bit == 28 ? REASON_TD_SEPT
			  : free_bit  ? REASON_OK
				      : REASON_TD_RESERVED);
		t->in.allow_debug = true;
		if (bit == 0)
			expect(t, REASON_OK);
	}
}

static void qv_07_module(void **state)
{
	(void)state;
	for (size_t i = 0; i < 48; i++) {
		struct trial *t = trial(base.v5);
		t->quote[V5_BODY + 64 + i] = 1;
		expect(t, REASON_MODULE_SIGNER);
		t = trial(base.v5);
		t->quote[V5_BODY + 600 + i] = 0x80;
		expect(t, REASON_TD_SERVICE);
		t->in.allow_service_td = true;
		expect(t, REASON_OK);
	}
	for (size_t bit = 0; bit < 64; bit++) {
		struct trial *t = trial(base.v4);
		t->quote[V4_BODY + 112 + bit / 8] = (uint8_t)(1u << bit % 8);
		expect(t, REASON_MODULE_ATTRIBUTES);
	}
	struct trial *t = trial(base.v4);
	t->quote[V4_BODY + 1] = 9;
	expect(t, REASON_MODULE_ID);
	char text[200];
	dcap_explain(&work, REASON_MODULE_ID, text, sizeof text);
	assert_non_null(strstr(text, "No TDX module identity with id TDX_09"));
	t = trial(base.v4);
	t->col.tcb_info = replaced(t->col.tcb_info, "\"tdxModule\"", "\"tdxModul\"");
	expect(t, REASON_MODULE_MISSING);
}

static void qv_10_tcb_info(void **state)
{
	static const struct {
		const char *from, *to;
		enum reason want;
	} cases[] = {
		{ "\"fmspc\":\"B0C06F000000\"", "\"fmspc\":\"b0c06f000000\"",
		  REASON_OK }, // hex of either case
		{ "\"fmspc\":\"B0C06F000000\"", "\"fmspc\":\"B0C06F000001\"", REASON_FMSPC },
		{ "\"fmspc\":\"B0C06F000000\"", "\"fmspc\":\"B0C06F0000\"", REASON_TCB_FORMAT },
		{ "\"pceId\":\"0000\"", "\"pceId\":\"0001\"", REASON_PCEID },
		{ "\"id\":\"TDX\"", "\"id\":\"SGX\"", REASON_KIND_TDX },
		{ "\"id\":\"TDX\"", "\"id\":\"TDX\",\"id\":\"TDX\"", REASON_TCB_FORMAT },
		{ "\"id\":\"TDX\"", "\"id\":\"TDX\",\"\\u0069d\":\"SGX\"", REASON_TCB_FORMAT },
		{ "\"version\":3", "\"version\":2", REASON_KIND_TDX },
		{ "\"version\":3", "\"version\":4", REASON_OK },
		{ "\"version\":3", "\"version\":300", REASON_TCB_FORMAT },
		{ "\"version\":3", "\"version\":3.0", REASON_TCB_FORMAT },
		{ "\"tcbType\":0", "\"tcbType\":1", REASON_TCB_FORMAT },
		{ "\"tcbType\":0,", "", REASON_TCB_FORMAT },
		{ "\"tcbEvaluationDataNumber\":18", "\"tcbEvaluationDataNumber\":4294967296",
		  REASON_TCB_FORMAT },
		{ "\"pcesvn\":13", "\"pcesvn\":65536", REASON_TCB_FORMAT },
		{ "{\"svn\":5}", "{\"svn\":256}", REASON_TCB_FORMAT },
		{ "{\"svn\":5}", "{\"svn\":5,\"category\":\"BIOS\",\"type\":\"x\"}", REASON_OK },
		{ "\"tcbStatus\":\"UpToDate\"", "\"tcbStatus\":\"uptodate\"", REASON_TCB_FORMAT },
		{ "\"advisoryIDs\":[\"INTEL-SA-01036\"]", "\"advisoryIDs\":\"INTEL-SA-01036\"",
		  REASON_TCB_FORMAT },
		{ "\"advisoryIDs\":[\"INTEL-SA-01036\"]", "\"advisoryIDs\":[1]", REASON_TCB_FORMAT },
		{ "\"tcbDate\":\"2024-11-13T00:00:00Z\",", "", REASON_TCB_FORMAT },
		{ "\"isvsvn\":5", "\"isvsvn\":256", REASON_TCB_FORMAT },
		{ "\"nextUpdate\"", "\"nextUpdates\"", REASON_TCB_FORMAT },
		{ "{\"id\"", " {\n\t\"id\"", REASON_OK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct trial *t = trial(base.v4);
		t->col.tcb_info = replaced(t->col.tcb_info, cases[i].from, cases[i].to);
		if (begin(t) != cases[i].want)
			fail_msg("%s -> %s: %s", cases[i].from, cases[i].to, reason_text(begin(t))->code);
	}
}

// ---- levels

struct level {
	unsigned sgx[16], pce, tdx[16];
	const char *status;
};

static void put_components(struct wr *w, const char *head, const unsigned *v)
{
	wr_str(w, head);
	for (size_t i = 0; i < 16; i++) {
		wr_str(w, i ? ",{\"svn\":" : "{\"svn\":");
		wr_dec(w, v[i]);
		wr_u8(w, '}');
	}
	wr_u8(w, ']');
}

// TCB info with these levels in this order.
static struct span with_levels(const struct level *l, size_t n)
{
	static uint8_t text[1 << 17];
	static const char mark[] = "\"tcbLevels\":[{\"tcb\":{\"sgx";
	struct wr w = wr_to(text, sizeof text);
	size_t at = 0;

	while (memcmp(base.col.tcb_info.p + at, mark, sizeof mark - 1) != 0)
		at++;
	wr_put(&w, base.col.tcb_info.p, at);
	wr_str(&w, "\"tcbLevels\":[");
	for (size_t i = 0; i < n; i++) {
		put_components(&w,
			       i ? ",{\"tcb\":{\"sgxtcbcomponents\":[" : "{\"tcb\":{\"sgxtcbcomponents\":[",
			       l[i].sgx);
		wr_str(&w, ",\"pcesvn\":");
		wr_dec(&w, l[i].pce);
		put_components(&w, ",\"tdxtcbcomponents\":[", l[i].tdx);
		wr_str(&w, "},\"tcbDate\":\"2024-11-13T00:00:00Z\",\"tcbStatus\":\"");
		wr_str(&w, l[i].status);
		wr_str(&w, "\"}");
	}
	wr_str(&w, "]}");
	assert_false(w.bad);
	return span_of(text, w.n);
}

// Exactly what the platform has.
static struct level own_level(const char *status)
{
	struct level l = { .pce = base.pck.pce_svn, .status = status };

	for (size_t i = 0; i < 16; i++) {
		l.sgx[i] = base.pck.cpu_svn[i];
		l.tdx[i] = base.v4.p[V4_BODY + i];
	}
	return l;
}

static enum tcb_status status_with(const struct level *l, size_t n)
{
	struct trial *t = trial(base.v4);

	t->col.tcb_info = with_levels(l, n);
	expect(t, REASON_OK);
	return result.platform.status;
}

static void qv_11_levels(void **state)
{
	struct level l[3];
	size_t vectors = 0;

	(void)state;
	for (size_t part = 0; part < 33; part++)
		for (int delta = -1; delta <= 1; delta++) {
			l[0] = own_level("UpToDate");
			l[1] = (struct level){ .status = "OutOfDate" };
			unsigned *v = part < 16   ? &l[0].sgx[part]
				      : part < 32 ? &l[0].tdx[part - 16]
						  : &l[0].pce;
			if (delta < 0 && !*v)
				continue;
			*v += (unsigned)delta;
			enum tcb_status want = delta > 0 ? TCB_OUT_OF_DATE : TCB_UP_TO_DATE;
			assert_int_equal(status_with(l, 2), want);
			// The order in the file says nothing.
			struct level swapped[2] = { l[1], l[0] };
			assert_int_equal(status_with(swapped, 2), want);
			// Alone and out of reach there is no level.
			if (delta > 0) {
				struct trial *t = trial(base.v4);
				t->col.tcb_info = with_levels(l, 1);
				expect(t, REASON_TCB_LEVEL);
			}
			vectors += 3;
		}
	assert_true(vectors >= 200);
	// Of two that fit the higher counts; of two equal ones the first.
	l[0] = (struct level){ .status = "OutOfDate" };
	l[1] = own_level("SWHardeningNeeded");
	l[2] = own_level("ConfigurationNeeded");
	assert_int_equal(status_with(l, 3), TCB_SW_HARDENING_NEEDED);
	// SGX components rank before PCESVN, that before TDX components.
	l[0] = own_level("UpToDate");
	l[0].sgx[15]--;
	l[1] = own_level("ConfigurationNeeded");
	l[1].pce = 0;
	l[1].tdx[0] = 0;
	assert_int_equal(status_with(l, 2), TCB_CONFIGURATION_NEEDED);
	l[0] = own_level("UpToDate");
	l[0].pce--;
	l[1] = own_level("ConfigurationNeeded");
	l[1].tdx[0] = 0;
	assert_int_equal(status_with(l, 2), TCB_CONFIGURATION_NEEDED);
}

static void intel_component_rule(void **state)
{
	struct level l[2] = { own_level("UpToDate"), { .status = "OutOfDate" } };
	struct trial *t = trial(base.v4);

	(void)state;
	t->quote[V4_BODY + 1] = 1; // a module with a version is judged by its identity
	l[0].tdx[0] = 200;
	l[0].tdx[1] = 200;
	t->col.tcb_info = with_levels(l, 2);
	expect(t, REASON_OK);
	assert_int_equal(result.platform.status, TCB_OUT_OF_DATE);
	t->in.intel_components = true;
	expect(t, REASON_OK);
	assert_int_equal(result.platform.status, TCB_UP_TO_DATE);
	l[0].tdx[2] = 200;
	t->col.tcb_info = with_levels(l, 2);
	expect(t, REASON_OK);
	assert_int_equal(result.platform.status, TCB_OUT_OF_DATE);
}

static void qv_12_convergence(void **state)
{
	char module[64], qe[64];

	(void)state;
	for (int p = 0; p < 7; p++)
		for (int m = 0; m < 7; m++)
			for (int q = 0; q < 7; q++) {
				struct trial *t = trial(base.v4);
				struct level l = own_level(tcb_status_name((enum tcb_status)p));
				t->quote[V4_BODY + 1] = 1;
				l.tdx[1] = 1;
				snprintf(module, sizeof module, "\"tcbStatus\":\"%s\"",
					 tcb_status_name((enum tcb_status)m));
				snprintf(qe, sizeof qe, "\"tcbStatus\":\"%s\"",
					 tcb_status_name((enum tcb_status)q));
				t->col.tcb_info =
					replaced(with_levels(&l, 1), "\"tcbStatus\":\"UpToDate\"", module);
				t->col.qe_identity =
					replaced(t->col.qe_identity, "\"tcbStatus\":\"UpToDate\"", qe);
				int worst = p > m ? p : m;
				worst = worst > q ? worst : q;
				expect(t, worst == TCB_REVOKED ? REASON_TCB_REVOKED : REASON_OK);
				if (worst != TCB_REVOKED)
					assert_int_equal(result.tcb.status, worst);
			}
}

static void qv_14_clock(void **state)
{
	(void)state;
	expect(trial(base.v4), REASON_OK);
	uint64_t from = result.issued, to = result.expires;
	assert_true(from < NOW && NOW < to);
	for (int i = 0; i < 4; i++) {
		struct trial *t = trial(base.v4);
		t->in.now = i == 0 ? from - 1 : i == 1 ? from : i == 2 ? to : to + 1;
		enum reason why = begin(t);
		assert_int_equal(why == REASON_OK, i == 1 || i == 2);
	}
	struct trial *t = trial(base.v4);
	t->in.now = 0;
	expect(t, REASON_ROOT_TIME);
	t->in.now = UINT64_MAX;
	expect(t, REASON_ROOT_TIME);
}

static void qv_18_header_matrix(void **state)
{
	static const uint32_t tee[] = { 0, 0x81, 0x82, 0x8100, 0x80000000 };
	static const struct {
		size_t at, n;
	} lengths[] = {
		{ V4_BODY + 584, 4 }, { V4_QE - 4, 4 }, { V4_QE + 448, 2 }, { V4_QE + 448 + 2 + 32 + 2, 4 }
	};

	(void)state;
	for (unsigned version = 0; version < 8; version++)
		for (size_t k = 0; k < 5; k++)
			for (unsigned key = 0; key < 5; key++) {
				struct trial *t = trial(base.v4);
				t->quote[0] = (uint8_t)version;
				t->quote[2] = (uint8_t)key;
				for (size_t i = 0; i < 4; i++)
					t->quote[4 + i] = (uint8_t)(tee[k] >> 8 * i);
				bool same = version == 4 && tee[k] == 0x81 && key == 2;
				assert_int_equal(begin(t) == REASON_OK, same);
			}
	// Every length one off, and as large as can be.
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		for (int how = 0; how < 3; how++) {
			struct trial *t = trial(base.v4);
			uint8_t *p = t->quote + lengths[i].at;
			if (how == 2)
				memset(p, 0xff, lengths[i].n);
			else
				p[0] = (uint8_t)(p[0] + (how ? 1 : -1));
			assert_int_not_equal(begin(t), REASON_OK);
		}
	for (size_t n = 0; n < base.v4.n; n++) {
		struct trial *t = trial(base.v4);
		t->n = n;
		assert_int_equal(begin(t), REASON_QUOTE_LENGTH);
	}
	struct trial *t = trial(base.v4);
	t->n += 100; // trailing bytes belong to nothing
	expect(t, REASON_OK);
}

static void step_15_relaunch(void **state)
{
	struct level l[2] = { own_level("UpToDate"), { .status = "OutOfDate" } };

	(void)state;
	for (size_t i = 0; i < 16; i++)
		l[0].tdx[i] = base.v5.p[V5_BODY + i];
	for (int how = 0; how < 4; how++) {
		struct trial *t = trial(base.v5);
		uint8_t *launch = t->quote + V5_BODY, *current = t->quote + V5_BODY + 584;
		t->col.tcb_info = with_levels(l, 2);
		memcpy(current, launch, 16);
		if (how & 1)
			launch[2] = 0; // launched before the update
		if (how & 2)
			current[2] = 0; // and not updated since
		expect(t, REASON_OK);
		assert_int_equal(result.tcb.status, how & 1 ? TCB_OUT_OF_DATE : TCB_UP_TO_DATE);
		assert_int_equal(result.relaunch_advised, how == 1);
	}
}

// Room for levels is shared: the platform's come first, then those of the modules, then the enclave's.
static void too_many_levels(void **state)
{
	static struct level many[DCAP_LEVELS + 1];
	enum { OF_MODULES = 6, OF_ENCLAVE = 3 };
	static const struct {
		size_t n;
		enum reason want;
	} cases[] = { { DCAP_LEVELS - OF_MODULES - OF_ENCLAVE, REASON_OK },
		      { DCAP_LEVELS - OF_MODULES, REASON_QEID_FORMAT },
		      { DCAP_LEVELS, REASON_TCB_FORMAT },
		      { DCAP_LEVELS + 1, REASON_TCB_FORMAT } };

	(void)state;
	for (size_t i = 0; i <= DCAP_LEVELS; i++)
		many[i] = own_level("UpToDate");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct trial *t = trial(base.v4);
		t->col.tcb_info = with_levels(many, cases[i].n);
		expect(t, cases[i].want);
	}
}

static void too_many_modules(void **state)
{
	static const char list[] = "\"tdxModuleIdentities\":[";
	static char text[1 << 15], zeros[97];
	static const enum reason want[] = { REASON_OK, REASON_TCB_FORMAT };

	(void)state;
	memset(zeros, '0', sizeof zeros - 1);
	for (size_t more = 0; more < 2; more++) {
		size_t n = (size_t)sprintf(text, "%s", list);
		for (size_t i = 2; i < DCAP_MODULES + more; i++)
			n += (size_t)sprintf(
				text + n,
				"{\"id\":\"TDX_FF\",\"mrsigner\":\"%s\",\"attributes\":\"%.16s\","
				"\"attributesMask\":\"%.16s\",\"tcbLevels\":[]},",
				zeros, zeros, zeros);
		struct trial *t = trial(base.v4);
		t->col.tcb_info = replaced(base.col.tcb_info, list, text);
		expect(t, want[more]);
	}
}

static void judge(const struct dcap_input *in, struct span root)
{
	dcap_collateral_read(&held, in->collateral, root, ANCHOR_INTEL);
	dcap_begin(&work, in, &held);
}

static void limits(void **state)
{
	static uint8_t big[QUOTE_MAX + 1];
	static uint8_t text[DCAP_COLLATERAL_MAX + 1];
	struct dcap_input in = { span_of(big, sizeof big), base.col_text, NOW, false, false, false };

	(void)state;
	judge(&in, base.root);
	assert_int_equal(dcap_finish(&work, UINT32_MAX, &result), REASON_LIMIT);
	in.quote = base.v4;
	in.collateral = span_of(text, sizeof text);
	judge(&in, base.root);
	assert_int_equal(dcap_finish(&work, UINT32_MAX, &result), REASON_LIMIT);
	in.collateral = span_str("{}");
	judge(&in, base.root);
	assert_int_equal(dcap_finish(&work, UINT32_MAX, &result), REASON_COLLATERAL_FORMAT);
	in.collateral = base.col_text;
	judge(&in, span_str("no root"));
	assert_int_equal(dcap_finish(&work, UINT32_MAX, &result), REASON_ROOT_FORMAT);
}

static void json_result(void **state)
{
	static uint8_t text[1 << 15];
	struct verdict v;
	struct json doc, x;
	struct wr w = wr_to(text, sizeof text);

	(void)state;
	expect(trial(base.v4), REASON_OK);
	verdict_init(&v);
	dcap_claims(&result, &v);
	assert_true(verdict_close(&v, (const char *const[]){ "quote", "tcb", NULL }));
	dcap_json(&w, &result, &v);
	assert_false(w.bad);
	assert_int_equal(json_parse(&doc, span_of(text, w.n), NULL), 0);
	assert_true(json_get(doc, "status", &x) && json_is(x, "UpToDate"));
	assert_true(json_get(doc, "anchor", &x) && json_is(x, "development"));
	assert_true(json_get(doc, "advisory_ids", &x) && json_kind(x) == JSON_ARRAY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted),
		cmocka_unit_test(deferred_checks),
		cmocka_unit_test(qv_03_quoting_enclave),
		cmocka_unit_test(qv_04_vendor),
		cmocka_unit_test(qv_05_key_binding),
		cmocka_unit_test(qv_06_td_attributes),
		cmocka_unit_test(qv_07_module),
		cmocka_unit_test(qv_10_tcb_info),
		cmocka_unit_test(qv_11_levels),
		cmocka_unit_test(intel_component_rule),
		cmocka_unit_test(qv_12_convergence),
		cmocka_unit_test(qv_14_clock),
		cmocka_unit_test(qv_18_header_matrix),
		cmocka_unit_test(step_15_relaunch),
		cmocka_unit_test(limits),
		cmocka_unit_test(too_many_levels),
		cmocka_unit_test(too_many_modules),
		cmocka_unit_test(json_result),
	};
	return cmocka_run_group_tests(tests, load, NULL);
}
