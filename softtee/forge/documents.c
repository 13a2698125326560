// TCB info, QE identity and the collateral that holds them all. Spec: docs/formats/collateral.md.
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/strings.h"
#include "forge/layers.h"

enum { DAY = 86400 };

#define ZEROS_48                                                                                             \
	"000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
#define QE_TD_SIGNER  "DC9E2A7C6F948F17474E34A7FC43ED030F7C1563F1BABDDF6340C82E0E54A8C5"
#define QE_SGX_SIGNER "8C4F5775D796503E96137F77C68A829A0056AC8DED70140B081B094490C57BFF"
#define NO_ATTRIBUTES "\"attributes\":\"0000000000000000\",\"attributesMask\":\"FFFFFFFFFFFFFFFF\""
#define MODULE_LEVELS                                                                                        \
	"\"tcbLevels\":[{\"tcb\":{\"isvsvn\":5},\"tcbDate\":\"2024-11-13T00:00:00Z\",\"tcbStatus\":"         \
	"\"UpToDate\"},{\"tcb\":{\"isvsvn\":3},\"tcbDate\":\"2024-03-13T00:00:00Z\",\"tcbStatus\":"          \
	"\"OutOfDate\",\"advisoryIDs\":[\"INTEL-SA-01036\"]},{\"tcb\":{\"isvsvn\":1},\"tcbDate\":"           \
	"\"2023-03-13T00:00:00Z\",\"tcbStatus\":\"Revoked\"}]"
#define MODULE(id) "{\"id\":\"" id "\",\"mrsigner\":\"" ZEROS_48 "\"," NO_ATTRIBUTES "," MODULE_LEVELS "}"
#define QE_LEVELS                                                                                            \
	"[{\"tcb\":{\"isvsvn\":4},\"tcbDate\":\"2024-11-13T00:00:00Z\",\"tcbStatus\":\"UpToDate\"},"         \
	"{\"tcb\":{\"isvsvn\":2},\"tcbDate\":\"2023-11-13T00:00:00Z\",\"tcbStatus\":\"OutOfDate\","          \
	"\"advisoryIDs\":[\"INTEL-SA-00615\"]},{\"tcb\":{\"isvsvn\":1},\"tcbDate\":\"2022-11-13T00:00:"      \
	"00Z\","                                                                                             \
	"\"tcbStatus\":\"Revoked\"}]"

const struct forge_member *layer_member(const struct forge *f, enum forge_layer l, const char *name)
{
	const struct forge_member *m = NULL;

	for (size_t i = 0; i < f->members; i++)
		if (f->member[i].layer == l && !strcmp(f->member[i].name, name))
			m = &f->member[i];
	return m;
}

static void put_key(struct sb *b, const char *name)
{
	sb_str(b, b->p[b->n - 1] == '{' ? "" : ",");
	sb_json_str(b, name);
	sb_chr(b, ':');
}

// One member, unless it is overridden; `json` is JSON text.
static void put_member(const struct forge *f, enum forge_layer l, struct sb *b, const char *name,
		       const char *json)
{
	const struct forge_member *m = layer_member(f, l, name);

	if (m)
		json = m->json;
	if (!json)
		return;
	put_key(b, name);
	sb_str(b, json);
}

static void put_time(const struct forge *f, enum forge_layer l, struct sb *b, const char *name, int64_t at)
{
	time_t t = (time_t)at;
	struct tm tm;
	char text[40];

	gmtime_r(&t, &tm);
	strftime(text, sizeof text, "\"%Y-%m-%dT%H:%M:%SZ\"", &tm);
	put_member(f, l, b, name, text);
}

// Members that none of the documents has by itself.
static void put_others(const struct forge *f, enum forge_layer l, struct sb *b)
{
	static const char own[] =
		" id version issueDate nextUpdate fmspc pceId tcbType tcbEvaluationDataNumber tdxModule "
		"tdxModuleIdentities tcbLevels miscselect miscselectMask attributes attributesMask mrsigner "
		"isvprodid pck_crl_issuer_chain root_ca_crl pck_crl tcb_info_issuer_chain tcb_info "
		"tcb_info_signature qe_identity_issuer_chain qe_identity qe_identity_signature "
		"pck_certificate_chain ";

	for (size_t i = 0; i < f->members; i++) {
		const struct forge_member *m = &f->member[i];
		char name[64];

		snprintf(name, sizeof name, " %s ", m->name);
		if (m->layer == l && layer_member(f, l, m->name) == m && !strstr(own, name))
			put_member(f, l, b, m->name, NULL);
	}
}

static void put_components(struct sb *b, const char *name, const uint8_t svn[static 16])
{
	sb_fmt(b, "\"%s\":[", name);
	for (int i = 0; i < 16; i++)
		sb_fmt(b, "%s{\"svn\":%d}", i ? "," : "", svn[i]);
	sb_chr(b, ']');
}

static void put_levels(const struct forge *f, struct sb *out)
{
	static const uint8_t tdx[2][16] = { { 5, 0, 3 }, { 3, 0, 1 } };
	auto_sb b = { 0 };
	uint8_t sgx[16];

	sb_chr(&b, '[');
	for (int i = 0; i < 2; i++) {
		memset(sgx, i ? 3 : 5, sizeof sgx);
		sb_str(&b, i ? ",{\"tcb\":{" : "{\"tcb\":{");
		put_components(&b, "sgxtcbcomponents", sgx);
		sb_fmt(&b, ",\"pcesvn\":%d", i ? 11 : 13);
		if (f->kind != FORGE_SGX3) {
			sb_chr(&b, ',');
			put_components(&b, "tdxtcbcomponents", tdx[i]);
		}
		sb_fmt(&b, "},\"tcbDate\":\"2024-11-13T00:00:00Z\",\"tcbStatus\":\"%s\"%s}",
		       i ? "OutOfDate" : "UpToDate",
		       i ? ",\"advisoryIDs\":[\"INTEL-SA-00837\",\"INTEL-SA-00960\"]" : "");
	}
	sb_chr(&b, ']');
	put_member(f, FORGE_TCB_INFO, out, "tcbLevels", b.p);
	out->bad |= b.bad;
}

static void put_tcb_info(const struct forge *f, struct sb *b)
{
	enum forge_layer l = FORGE_TCB_INFO;
	bool tdx = f->kind != FORGE_SGX3;

	sb_chr(b, '{');
	put_member(f, l, b, "id", tdx ? "\"TDX\"" : "\"SGX\"");
	put_member(f, l, b, "version", "3");
	put_time(f, l, b, "issueDate", f->now - 10 * DAY);
	put_time(f, l, b, "nextUpdate", f->now + 20 * DAY);
	put_member(f, l, b, "fmspc", "\"B0C06F000000\"");
	put_member(f, l, b, "pceId", "\"0000\"");
	put_member(f, l, b, "tcbType", "0");
	put_member(f, l, b, "tcbEvaluationDataNumber", "18");
	if (tdx) {
		put_member(f, l, b, "tdxModule", "{\"mrsigner\":\"" ZEROS_48 "\"," NO_ATTRIBUTES "}");
		put_member(f, l, b, "tdxModuleIdentities", "[" MODULE("TDX_01") "," MODULE("TDX_03") "]");
	}
	put_levels(f, b);
	put_others(f, l, b);
	sb_chr(b, '}');
}

static void put_qe_identity(const struct forge *f, struct sb *b)
{
	enum forge_layer l = FORGE_QE_IDENTITY;
	bool tdx = f->kind != FORGE_SGX3;

	sb_chr(b, '{');
	put_member(f, l, b, "id", tdx ? "\"TD_QE\"" : "\"QE\"");
	put_member(f, l, b, "version", "2");
	put_time(f, l, b, "issueDate", f->now - 10 * DAY);
	put_time(f, l, b, "nextUpdate", f->now + 20 * DAY);
	put_member(f, l, b, "tcbEvaluationDataNumber", "18");
	put_member(f, l, b, "miscselect", "\"00000000\"");
	put_member(f, l, b, "miscselectMask", "\"FFFFFFFF\"");
	put_member(f, l, b, "attributes", "\"11000000000000000000000000000000\"");
	put_member(f, l, b, "attributesMask", "\"FBFFFFFFFFFFFFFF0000000000000000\"");
	put_member(f, l, b, "mrsigner", tdx ? "\"" QE_TD_SIGNER "\"" : "\"" QE_SGX_SIGNER "\"");
	put_member(f, l, b, "isvprodid", tdx ? "2" : "1");
	put_member(f, l, b, "tcbLevels", QE_LEVELS);
	put_others(f, l, b);
	sb_chr(b, '}');
}

int layer_documents(const struct forge *f, struct forge_out *out, struct err *e)
{
	for (int i = 0; i < 2; i++) {
		enum forge_layer l = i ? FORGE_QE_IDENTITY : FORGE_TCB_INFO;
		struct sb *b = &out->layer[l];

		b->n = 0;
		if (f->text[i].p)
			layer_take(b, f->text[i].p, f->text[i].n);
		else if (i)
			put_qe_identity(f, b);
		else
			put_tcb_info(f, b);
		if (layer_edit(f, l, false, b, e) || layer_sign(f, l, FORGE_KEY_TCB, out, e) ||
		    layer_edit(f, l, true, b, e))
			return -1;
	}
	return 0;
}

static void put_text(const struct forge *f, struct sb *b, const char *name, const struct sb *text)
{
	auto_sb json = { 0 };

	sb_json_str_n(&json, text->p, text->n);
	put_member(f, FORGE_COLLATERAL, b, name, json.p);
	b->bad |= json.bad;
}

static void put_bytes(const struct forge *f, struct sb *b, const char *name, const struct sb *bytes)
{
	auto_sb json = { 0 };

	sb_chr(&json, '"');
	sb_hex(&json, bytes->p, bytes->n);
	sb_chr(&json, '"');
	put_member(f, FORGE_COLLATERAL, b, name, json.p);
	b->bad |= json.bad;
}

int layer_collateral(const struct forge *f, struct forge_out *out, struct err *e)
{
	static const char *const chain_member[FORGE_CHAINS] = { NULL, "pck_certificate_chain",
								"pck_crl_issuer_chain",
								"tcb_info_issuer_chain",
								"qe_identity_issuer_chain" };
	struct sb *b = &out->layer[FORGE_COLLATERAL];
	auto_sb pem = { 0 };

	b->n = 0;
	sb_chr(b, '{');
	for (int c = FORGE_CHAIN_PCK; c < FORGE_CHAINS; c++) {
		if (!f->chain[c]) {
			put_member(f, FORGE_COLLATERAL, b, chain_member[c], NULL);
			continue;
		}
		if (layer_chain(f, f->chain[c], out, &pem, e))
			return -1;
		put_text(f, b, chain_member[c], &pem);
	}
	put_bytes(f, b, "root_ca_crl", &out->layer[FORGE_ROOT_CRL]);
	put_bytes(f, b, "pck_crl", &out->layer[FORGE_PCK_CRL]);
	put_text(f, b, "tcb_info", &out->layer[FORGE_TCB_INFO]);
	put_bytes(f, b, "tcb_info_signature", &out->sig[FORGE_TCB_INFO]);
	put_text(f, b, "qe_identity", &out->layer[FORGE_QE_IDENTITY]);
	put_bytes(f, b, "qe_identity_signature", &out->sig[FORGE_QE_IDENTITY]);
	put_others(f, FORGE_COLLATERAL, b);
	sb_chr(b, '}');
	return layer_edit(f, FORGE_COLLATERAL, false, b, e) || layer_edit(f, FORGE_COLLATERAL, true, b, e)
		       ? -1
		       : 0;
}
