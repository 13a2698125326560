// QV-10, QV-11, QV-12: TCB info, the choice of a level, the merging of statuses. What is right is decided by
// a second implementation here, written from the specification and kept as plain as possible.
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "qv_fixture.h"

static void qv_10_members(void **state)
{
	static const struct {
		enum forge_kind kind;
		const char *member, *json, *code;
	} cases[] = {
		{ FORGE_TDX4, "fmspc", "\"b0c06f000000\"", "ok" }, // hex of either case
		{ FORGE_TDX4, "fmspc", "\"B0C06F000001\"", "tcb_info.fmspc" },
		{ FORGE_TDX4, "fmspc", "\"000000000000\"", "tcb_info.fmspc" },
		{ FORGE_SGX3, "fmspc", "\"30C06F000000\"", "tcb_info.fmspc" },
		{ FORGE_TDX4, "fmspc", "\"B0C06F0000\"", "tcb_info.format" },
		{ FORGE_TDX4, "fmspc", "\"B0C06F00000000\"", "tcb_info.format" },
		{ FORGE_TDX4, "fmspc", NULL, "tcb_info.format" },
		{ FORGE_TDX4, "pceId", "\"0001\"", "tcb_info.pceid" },
		{ FORGE_SGX3, "pceId", "\"0100\"", "tcb_info.pceid" },
		{ FORGE_TDX4, "pceId", "\"00\"", "tcb_info.format" },
		{ FORGE_TDX4, "pceId", NULL, "tcb_info.format" },
		{ FORGE_TDX4, "id", "\"SGX\"", "tcb_info.kind" },
		{ FORGE_TDX4, "id", "\"tdx\"", "tcb_info.kind" },
		{ FORGE_TDX4, "id", NULL, "tcb_info.format" },
		{ FORGE_SGX3, "id", "\"TDX\"", "tcb_info.kind" },
		{ FORGE_TDX4, "version", "2", "tcb_info.kind" },
		{ FORGE_TDX4, "version", "4", "ok" },
		{ FORGE_TDX4, "version", "259", "tcb_info.format" },
		{ FORGE_TDX4, "version", "3.0", "tcb_info.format" },
		{ FORGE_TDX4, "version", "-3", "tcb_info.format" },
		{ FORGE_SGX3, "version", "2", "ok" },
		{ FORGE_SGX3, "version", "1", "tcb_info.kind" },
		{ FORGE_TDX4, "tcbType", "1", "tcb_info.format" },
		{ FORGE_TDX4, "tcbType", NULL, "tcb_info.format" },
		{ FORGE_TDX4, "tcbEvaluationDataNumber", "4294967295", "ok" },
		{ FORGE_TDX4, "tcbEvaluationDataNumber", "4294967296", "tcb_info.format" },
		{ FORGE_TDX4, "tcbEvaluationDataNumber", NULL, "tcb_info.format" },
		{ FORGE_TDX4, "tcbLevels", "[]", "tcb.no_level" },
		{ FORGE_TDX4, "tcbLevels", NULL, "tcb_info.format" },
		{ FORGE_TDX4, "tcbLevels", "[1]", "tcb_info.format" },
		{ FORGE_TDX4, "tdxModule", NULL, "tdx_module.missing" },
		{ FORGE_TDX4, "tdxModule", "{}", "tcb_info.format" },
		{ FORGE_TDX4, "tdxModuleIdentities", NULL, "tdx_module.unknown" },
		{ FORGE_TDX4, "tdxModuleIdentities", "[]", "tdx_module.unknown" },
		{ FORGE_TDX4, "tdxModuleIdentities", "{}", "tcb_info.format" },
		{ FORGE_TDX4, "tdxModuleIdentities", "[{\"id\":\"TDX_01\"}]", "tcb_info.format" },
		{ FORGE_TDX4, "somethingNew", "[null,{\"tcbLevels\":1}]", "ok" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct forge *f = qv_fresh(cases[i].kind);
		forge_member(f, FORGE_TCB_INFO, cases[i].member, cases[i].json);
		qv_expect(f, cases[i].code);
	}
	// The platform's side of the comparison.
	struct forge *f = qv_fresh(FORGE_TDX4);
	f->sgx.fmspc = qv_hex("b0c06f000100");
	qv_expect(f, "tcb_info.fmspc");
	f = qv_fresh(FORGE_TDX4);
	f->sgx.pce_id = qv_hex("0100");
	qv_expect(f, "tcb_info.pceid");
	// The other TEE's documents, complete and signed.
	qv_build(qv_fresh(FORGE_SGX3));
	auto_sb sgx = { 0 };
	sb_put(&sgx, qv.in.collateral.p, qv.in.collateral.n);
	qv_build(qv_fresh(FORGE_TDX4));
	qv.in.collateral = span_of(sgx.p, sgx.n);
	qv_verify("qe_identity.kind");
}

static void qv_10_duplicates(void **state)
{
	static const struct {
		enum forge_layer layer;
		const char *from, *to, *code;
	} cases[] = {
		{ FORGE_TCB_INFO, "\"id\":", "\"id\":\"TDX\",\"id\":", "tcb_info.format" },
		{ FORGE_TCB_INFO, "\"id\":", "\"\\u0069d\":\"SGX\",\"id\":", "tcb_info.format" },
		{ FORGE_TCB_INFO, "\"fmspc\":", "\"fmspc\":\"000000000000\",\"fmspc\":", "tcb_info.format" },
		{ FORGE_TCB_INFO, "\"pcesvn\":", "\"pcesvn\":0,\"pcesvn\":", "tcb_info.format" },
		{ FORGE_TCB_INFO, "{\"svn\":5}", "{\"svn\":0,\"svn\":5}", "tcb_info.format" },
		{ FORGE_TCB_INFO, "\"isvsvn\":3", "\"isvsvn\":3,\"isvsvn\":9", "tcb_info.format" },
		{ FORGE_TCB_INFO,
		  "\"tcbStatus\":", "\"tcbStatus\":\"Revoked\",\"tcbStatus\":", "tcb_info.format" },
		{ FORGE_QE_IDENTITY,
		  "\"isvprodid\":", "\"isvprodid\":1,\"isvprodid\":", "qe_identity.format" },
		{ FORGE_QE_IDENTITY, "\"new\":1", "\"new\":1,\"new\":1", "qe_identity.format" },
		{ FORGE_COLLATERAL, "\"pck_crl\":", "\"pck_crl\":\"\",\"pck_crl\":", "collateral.format" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct forge *f = qv_fresh(FORGE_TDX4);
		forge_member(f, FORGE_QE_IDENTITY, "new", "1");
		forge_edit(f, (struct forge_edit){ .layer = cases[i].layer,
						   .op = FORGE_REPLACE,
						   .from = span_str(cases[i].from),
						   .bytes = span_str(cases[i].to) });
		qv_expect(f, cases[i].code);
	}
}

// What is signed is what was received: another spelling of the same values is another text.
static void qv_10_spelling(void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = { { "{\"id\"", "{ \"id\"" },
		      { ",\"version\":3", ",\n  \"version\" : 3" },
		      { "\"UpToDate\"", "\"\\u0055pToDate\"" },
		      { "\"fmspc\":\"B0C06F000000\"", "\"fmspc\":\"b0c06f000000\"" } };
	static const enum forge_layer layer[2] = { FORGE_TCB_INFO, FORGE_QE_IDENTITY };

	(void)state;
	for (int l = 0; l < 2; l++)
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
			for (int late = 0; late < 2; late++) {
				struct forge *f = qv_fresh(FORGE_TDX4);
				if (l && i)
					continue;
				forge_edit(f, (struct forge_edit){ .layer = layer[l],
								   .late = late,
								   .op = FORGE_REPLACE,
								   .from = span_str(cases[i].from),
								   .bytes = span_str(cases[i].to) });
				qv_expect(f, !late ? "ok"
					     : l   ? "qe_identity.signature"
						   : "tcb_info.signature");
			}
	// Signed, and then no JSON.
	static const char *const texts[] = { "",        "{",   "null",       "[]",
					     "\"TDX\"", "{}x", "{\"a\":1,}", "\xef\xbb\xbf{}" };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct forge *f = qv_fresh(FORGE_TDX4);
		f->text[0] = span_str(texts[i]);
		qv_expect(f, "tcb_info.format");
		f = qv_fresh(FORGE_TDX4);
		f->text[1] = span_str(texts[i]);
		qv_expect(f, "qe_identity.format");
	}
	// Ten thousand levels deep.
	static char deep[20001];
	memset(deep, '[', 10000);
	memset(deep + 10000, ']', 10000);
	struct forge *f = qv_fresh(FORGE_TDX4);
	forge_member(f, FORGE_TCB_INFO, "deep", deep);
	qv_expect(f, "tcb_info.format");
}

// The SGX form of version 2, one member a component: told apart from a damaged document.
static void qv_10_version_2_form(void **state)
{
	auto_sb levels = { 0 };
	struct forge *f = qv_fresh(FORGE_SGX3);

	(void)state;
	sb_str(&levels, "[{\"tcb\":{");
	for (int i = 1; i <= 16; i++)
		sb_fmt(&levels, "\"sgxtcbcomp%02dsvn\":5,", i);
	sb_str(&levels, "\"pcesvn\":13},\"tcbDate\":\"2024-11-13T00:00:00Z\",\"tcbStatus\":\"UpToDate\"}]");
	forge_member(f, FORGE_TCB_INFO, "version", "2");
	forge_member(f, FORGE_TCB_INFO, "tcbLevels", levels.p);
	qv_expect(f, "tcb_info.version_2");
	assert_non_null(strstr(qv.err.text, "Failed to decode TcbInfo"));
}

// ---- the reference

struct versions {
	int sgx[16], pce, tdx[16];
};
struct level {
	struct versions v;
	const char *status, *advisory;
};
enum { LEVELS = 3 };

static int compare(const struct level *a, const struct level *b, bool tdx)
{
	for (int i = 0; i < 16; i++)
		if (a->v.sgx[i] != b->v.sgx[i])
			return b->v.sgx[i] - a->v.sgx[i];
	if (a->v.pce != b->v.pce)
		return b->v.pce - a->v.pce;
	for (int i = 0; i < 16 && tdx; i++)
		if (a->v.tdx[i] != b->v.tdx[i])
			return b->v.tdx[i] - a->v.tdx[i];
	return 0;
}

static const struct level *reference_level(const struct versions *have, const struct level *l, size_t n,
					   bool tdx, bool intel)
{
	static struct level sorted[LEVELS];

	for (size_t k = 0; k < n; k++) { // sorted as it comes in, equal ones in the order of the file
		size_t at = k;
		for (; at > 0 && compare(&sorted[at - 1], &l[k], tdx) > 0; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = l[k];
	}
	for (size_t k = 0; k < n; k++) {
		bool fits = have->pce >= sorted[k].v.pce;
		for (int i = 0; i < 16; i++)
			if (have->sgx[i] < sorted[k].v.sgx[i])
				fits = false;
		for (int i = intel && have->tdx[1] > 0 ? 2 : 0; i < 16; i++)
			if (tdx && have->tdx[i] < sorted[k].v.tdx[i])
				fits = false;
		if (fits)
			return &sorted[k];
	}
	return NULL;
}

static const char *const severity[] = { "UpToDate",
					"SWHardeningNeeded",
					"ConfigurationNeeded",
					"ConfigurationAndSWHardeningNeeded",
					"OutOfDate",
					"OutOfDateConfigurationNeeded",
					"Revoked" };

static const char *worse(const char *a, const char *b)
{
	int x = 0, y = 0;

	while (strcmp(severity[x], a) != 0)
		x++;
	while (strcmp(severity[y], b) != 0)
		y++;
	return x >= y ? a : b;
}

// Of the modules in the forged TCB info: version 1 and 3, levels 5, 3 and 1.
static const char *reference_module(int version, int svn, const char **code)
{
	if (version != 1 && version != 3)
		*code = "tdx_module.unknown";
	else if (svn < 1)
		*code = "tdx_module.level";
	return svn >= 5 ? "UpToDate" : svn >= 3 ? "OutOfDate" : "Revoked";
}

static void reference(const struct versions *have, const struct level *l, size_t n, bool tdx, bool intel,
		      const char **code, const char **status)
{
	const struct level *best = reference_level(have, l, n, tdx, intel);

	*code = "ok";
	*status = "";
	if (!best) {
		*code = "tcb.no_level";
		return;
	}
	*status = best->status;
	if (tdx && have->tdx[1] > 0)
		*status = worse(best->status, reference_module(have->tdx[1], have->tdx[0], code));
	if (!strcmp(*code, "ok") && !strcmp(*status, "Revoked"))
		*code = "tcb.revoked";
}

// ---- QV-11

static void put_components(struct sb *b, const char *name, const int *svn)
{
	sb_fmt(b, "\"%s\":[", name);
	for (int i = 0; i < 16; i++)
		sb_fmt(b, "%s{\"svn\":%d}", i ? "," : "", svn[i]);
	sb_str(b, "]");
}

static void put_levels(struct sb *b, const struct level *l, size_t n, bool tdx)
{
	b->n = 0;
	sb_str(b, "[");
	for (size_t i = 0; i < n; i++) {
		sb_str(b, i ? ",{\"tcb\":{" : "{\"tcb\":{");
		put_components(b, "sgxtcbcomponents", l[i].v.sgx);
		sb_fmt(b, ",\"pcesvn\":%d,", l[i].v.pce);
		if (tdx)
			put_components(b, "tdxtcbcomponents", l[i].v.tdx);
		if (!tdx)
			b->n--; // the comma
		sb_fmt(b,
		       "},\"tcbDate\":\"2024-11-13T00:00:00Z\",\"tcbStatus\":\"%s\",\"advisoryIDs\":[\"%s\"]"
		       "}",
		       l[i].status, l[i].advisory);
	}
	sb_str(b, "]");
}

static size_t vectors, answers[2];

static void judge(const struct versions *have, const struct level *l, size_t n, enum forge_kind kind,
		  bool intel)
{
	static struct sb json;
	struct forge *f = qv_fresh(kind);
	bool tdx = kind != FORGE_SGX3;
	const char *code, *status;

	put_levels(&json, l, n, tdx);
	forge_member(f, FORGE_TCB_INFO, "tcbLevels", json.p);
	for (int i = 0; i < 16; i++) {
		f->sgx.component[i] = (uint8_t)have->sgx[i];
		f->quote.td[TD_SVN + i] = (uint8_t)have->tdx[i];
	}
	f->sgx.pce_svn = (uint32_t)have->pce;
	reference(have, l, n, tdx, intel, &code, &status);
	qv.in.intel_components = intel;
	qv_expect(f, code);
	if (!strcmp(code, "ok")) {
		assert_string_equal(tcb_status_name(qv.result.tcb.status), status);
		assert_string_equal(qv.result.tcb.advisory[0],
				    reference_level(have, l, n, tdx, intel)->advisory);
	}
	answers[!strcmp(code, "ok")]++;
	vectors++;
	sb_free(&json);
}

static const struct level three[LEVELS] = {
	{ { { 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9 },
	    13,
	    { 5, 0, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6 } },
	  "UpToDate",
	  "A-TOP" },
	{ { { 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9 },
	    13,
	    { 5, 0, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4 } },
	  "SWHardeningNeeded",
	  "A-TDX" },
	{ { { 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3 },
	    5,
	    { 2, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 } },
	  "OutOfDate",
	  "A-OLD" },
};

static int *component(struct versions *v, int i)
{
	return i < 16 ? &v->sgx[i] : i < 32 ? &v->tdx[i - 16] : &v->pce;
}

static void qv_11_one_below(void **state)
{
	(void)state;
	for (size_t l = 0; l < LEVELS; l++)
		for (int i = -1; i < 33; i++)
			for (int delta = -1; delta <= 1; delta += 2) {
				struct versions have = three[l].v;
				if (i >= 0 && *component(&have, i) + delta >= 0)
					*component(&have, i) += delta;
				judge(&have, three, LEVELS, FORGE_TDX4, false);
				judge(&have, three, LEVELS, FORGE_SGX3, false);
			}
	print_message("%zu vectors: %zu accepted, %zu without level\n", vectors, answers[1], answers[0]);
	assert_true(vectors >= 200 && answers[0] > 20 && answers[1] > 100);
}

static void qv_11_module_branch(void **state)
{
	(void)state;
	for (int version = 0; version <= 4; version++)
		for (int svn = 0; svn <= 6; svn++)
			for (int intel = 0; intel < 2; intel++) {
				struct versions have = three[0].v;
				have.tdx[0] = svn;
				have.tdx[1] = version;
				judge(&have, three, LEVELS, FORGE_TDX4, intel);
				have.tdx[15] = 5;
				judge(&have, three, LEVELS, FORGE_TDX5_10, intel);
			}
}

// Any numbers, levels in any order.
static void qv_11_random(void **state)
{
	uint32_t x = 0x2545f491;

	(void)state;
	for (int round = 0; round < 400; round++) {
		struct versions have = { .pce = 13 };
		struct level l[LEVELS];
		size_t a = 0, b = 0;
		for (int i = 0; i < 33; i++) {
			x = x * 1664525 + 1013904223;
			*component(&have, i) = x >> 29 ? 9 + (int)(x >> 20 & 1) : (int)(x >> 16 & 15);
		}
		have.tdx[1] = (int)(x >> 13 & 1);
		have.tdx[0] = 5;
		memcpy(l, three, sizeof l);
		for (size_t k = 0; k < LEVELS; k++) {
			x = x * 1664525 + 1013904223;
			*component(&l[k].v, (int)(x >> 8) % 33) = (int)(x >> 24) % 12;
		}
		a = x >> 5 & 1;
		b = 1 + (x >> 6 & 1);
		struct level swap = l[a];
		l[a] = l[b];
		l[b] = swap;
		judge(&have, l, LEVELS, round % 3 ? FORGE_TDX4 : FORGE_SGX3, x >> 7 & 1);
	}
}

static void qv_11_malformed_levels(void **state)
{
	static const struct {
		const char *from, *to, *code, *text;
	} cases[] = {
		{ "{\"svn\":9},{\"svn\":9}", "{\"svn\":9}", "tcb_info.format",
		  "SGX component count mismatch" },
		{ "{\"svn\":9}", "{\"svn\":9},{\"svn\":9}", "tcb_info.format",
		  "SGX component count mismatch" },
		{ "{\"svn\":6},{\"svn\":6}", "{\"svn\":6}", "tcb_info.format",
		  "TDX component count mismatch" },
		{ "{\"svn\":6}", "{\"svn\":6},{\"svn\":6}", "tcb_info.format",
		  "TDX component count mismatch" },
		{ "{\"svn\":9}", "{\"svn\":-1}", "tcb_info.format", "" },
		{ "{\"svn\":9}", "{\"svn\":256}", "tcb_info.format", "" },
		{ "{\"svn\":9}", "{\"svn\":9.5}", "tcb_info.format", "" },
		{ "{\"svn\":9}", "{\"svn\":\"9\"}", "tcb_info.format", "" },
		{ "{\"svn\":9}", "9", "tcb_info.format", "" },
		{ "{\"svn\":9}", "{}", "tcb_info.format", "" },
		{ "\"pcesvn\":13", "\"pcesvn\":65536", "tcb_info.format", "" },
		{ "\"pcesvn\":13", "\"pcesv\":13", "tcb_info.format", "" },
		{ "tdxtcbcomponents", "tdxtcbcomponent", "tcb_info.format", "" },
		{ "\"tcbStatus\":\"OutOfDate\"", "\"tcbStatus\":\"Unknown\"", "tcb_info.format", "" },
		{ "\"tcbStatus\":\"OutOfDate\"", "\"tcbStatus\":\"outofdate\"", "tcb_info.format", "" },
		{ "\"tcbStatus\":\"OutOfDate\"", "\"tcbStatus\":4", "tcb_info.format", "" },
		{ ",\"advisoryIDs\":[\"A-OLD\"]", "", "ok", "" },
		{ "\"advisoryIDs\":[\"A-OLD\"]", "\"advisoryIDs\":null", "ok", "" },
		{ "\"advisoryIDs\":[\"A-OLD\"]", "\"advisoryIDs\":\"A-OLD\"", "tcb_info.format", "" },
		{ "\"advisoryIDs\":[\"A-OLD\"]", "\"advisoryIDs\":[7]", "tcb_info.format", "" },
		{ "\"tcbDate\":\"2024-11-13T00:00:00Z\",", "", "tcb_info.format", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		static struct sb json;
		struct forge *f = qv_fresh(FORGE_TDX4);
		struct level l[LEVELS];

		memcpy(l, three, sizeof l);
		for (size_t k = 0; k < 16; k++) // the newest level is reached; a later one is malformed
			f->sgx.component[k] = f->quote.td[TD_SVN + k] = 9;
		f->quote.td[TD_SVN + 1] = 1;
		put_levels(&json, l, LEVELS, true);
		forge_member(f, FORGE_TCB_INFO, "tcbLevels", json.p);
		forge_edit(f, (struct forge_edit){ .layer = FORGE_TCB_INFO,
						   .op = FORGE_REPLACE,
						   .from = span_str(cases[i].from),
						   .bytes = span_str(cases[i].to) });
		qv_expect(f, cases[i].code);
		assert_non_null(strstr(qv.err.text, cases[i].text));
		sb_free(&json);
	}
}

// ---- QV-12

static void add_advisory(char list[][32], size_t *n, const char *id)
{
	for (size_t i = 0; i < *n; i++)
		if (!strcmp(list[i], id))
			return;
	snprintf(list[(*n)++], 32, "%s", id);
}

static void qv_12_all_statuses(void **state)
{
	static const char module[] = "[{\"id\":\"tdx_01\",\"mrsigner\":\"%096d\",\"attributes\":"
				     "\"0000000000000000\",\"attributesMask\":"
				     "\"FFFFFFFFFFFFFFFF\",\"tcbLevels\":[{\"tcb\":{\"isvsvn\":5},"
				     "\"tcbDate\":\"2024-11-13T00:00:00Z\","
				     "\"tcbStatus\":\"%s\",\"advisoryIDs\":[\"SHARED\",\"MODULE\"]}]}]";
	static const char qe[] =
		"[{\"tcb\":{\"isvsvn\":4},\"tcbDate\":\"2024-11-13T00:00:00Z\",\"tcbStatus\":\"%s\","
		"\"advisoryIDs\":[\"QE\",\"PLATFORM\"]}]";
	char module_json[800], qe_json[300];
	size_t merges = 0;

	(void)state;
	for (size_t p = 0; p < 7; p++)
		for (size_t m = 0; m < 7; m++)
			for (size_t q = 0; q < 7; q++, merges++) {
				static struct sb json;
				struct forge *f = qv_fresh(q & 1 ? FORGE_TDX4 : FORGE_TDX5);
				struct level l = { { .pce = 13 }, severity[p], "PLATFORM\",\"SHARED" };
				char want[4][32];
				size_t n = 0;
				const char *status = worse(worse(severity[p], severity[m]), severity[q]);

				put_levels(&json, &l, 1, true);
				snprintf(module_json, sizeof module_json, module, 0, severity[m]);
				snprintf(qe_json, sizeof qe_json, qe, severity[q]);
				forge_member(f, FORGE_TCB_INFO, "tcbLevels", json.p);
				forge_member(f, FORGE_TCB_INFO, "tdxModuleIdentities", module_json);
				forge_member(f, FORGE_QE_IDENTITY, "tcbLevels", qe_json);
				qv_expect(f, strcmp(status, "Revoked") ? "ok" : "tcb.revoked");
				sb_free(&json);
				if (!strcmp(status, "Revoked"))
					continue;
				add_advisory(want, &n, "PLATFORM");
				add_advisory(want, &n, "SHARED");
				add_advisory(want, &n, "MODULE");
				add_advisory(want, &n, "QE");
				assert_string_equal(tcb_status_name(qv.result.tcb.status), status);
				assert_string_equal(tcb_status_name(qv.result.qe.status), severity[q]);
				assert_int_equal(qv.result.tcb.n, n);
				for (size_t i = 0; i < n; i++)
					assert_string_equal(qv.result.tcb.advisory[i], want[i]);
			}
	assert_int_equal(merges, 343);
}

// Step 15, both flavours: launched out of date (with or without configuration needed), in date by now.
static void qv_12_relaunch(void **state)
{
	(void)state;
	for (size_t launch = 0; launch < 6; launch++)
		for (size_t current = 0; current < 7; current++) {
			static struct sb json;
			struct forge *f = qv_fresh(FORGE_TDX5);
			struct level l[2] = { { { .pce = 13, .tdx = { 5, 0, 3 } }, severity[current], "NOW" },
					      { { .pce = 13 }, severity[launch], "THEN" } };
			bool advised = (!strcmp(severity[launch], "OutOfDate") ||
					!strcmp(severity[launch], "OutOfDateConfigurationNeeded")) &&
				       current < 4;

			f->quote.td[TD_SVN + 2] =
				2; // reaches the second level only, the present module the first
			put_levels(&json, l, 2, true);
			forge_member(f, FORGE_TCB_INFO, "tcbLevels", json.p);
			qv_expect(f, "ok");
			assert_string_equal(tcb_status_name(qv.result.tcb.status), severity[launch]);
			assert_int_equal(qv.result.relaunch_advised, advised);
			sb_free(&json);
		}
	// The module's own level counts on both sides.
	struct forge *f = qv_fresh(FORGE_TDX5);
	f->quote.td[TD_SVN] = 4;
	forge_member(f, FORGE_TCB_INFO, "tcbLevels", NULL);
	f->members = 0;
	qv_expect(f, "ok"); // component 0 below the newest level, module out of date; now neither
	assert_int_equal(qv.result.tcb.status, TCB_OUT_OF_DATE);
	assert_true(qv.result.relaunch_advised);
	f->quote.td[TD_SVN2] = 4;
	qv_expect(f, "ok");
	assert_false(qv.result.relaunch_advised);
	// A current module that nobody knows advises nothing and refuses nothing.
	f->quote.td[TD_SVN2] = 5;
	f->quote.td[TD_SVN2 + 1] = 9;
	qv_expect(f, "ok");
	assert_false(qv.result.relaunch_advised);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qv_10_members),      cmocka_unit_test(qv_10_duplicates),
		cmocka_unit_test(qv_10_spelling),     cmocka_unit_test(qv_10_version_2_form),
		cmocka_unit_test(qv_11_one_below),    cmocka_unit_test(qv_11_module_branch),
		cmocka_unit_test(qv_11_random),       cmocka_unit_test(qv_11_malformed_levels),
		cmocka_unit_test(qv_12_all_statuses), cmocka_unit_test(qv_12_relaunch),
	};
	return cmocka_run_group_tests(tests, qv_setup, qv_teardown);
}
