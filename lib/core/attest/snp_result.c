// What a verification has to say: names, sentences and claims.
#include "core/attest/snp.h"
#include "core/codec/json.h"
#include "core/codec/utc.h"

const char *snp_product_name(enum snp_product p)
{
	static const char *const name[] = { "Milan", "Genoa", "Turin" };

	return p < SNP_PRODUCTS ? name[p] : "unknown";
}

const char *snp_status_name(const struct snp_result *r)
{
	return r->up_to_date ? "UpToDate" : "OutOfDate";
}

void snp_explain(const struct snp *s, enum reason r, char *out, size_t cap)
{
	struct wr w = wr_to(out, cap - 1);

	wr_reason(&w, r, s->arg);
	out[w.bad ? 0 : w.n] = 0;
}

static void set_detail(struct claim *c, const struct wr *w)
{
	for (size_t i = 0; !w->bad && i < w->n && i < sizeof c->detail - 1; i++) {
		c->detail[i] = (char)w->p[i];
		c->detail[i + 1] = 0;
	}
}

static void tcb_claim(const struct snp_result *r, struct verdict *v)
{
	const struct snp_report *p = &r->report;
	char text[200];
	struct wr w = wr_to(text, sizeof text);

	wr_str(&w, "current ");
	wr_hex(&w, p->current, 8);
	wr_str(&w, ", committed ");
	wr_hex(&w, p->committed, 8);
	wr_str(&w, ", launch ");
	wr_hex(&w, p->launch, 8);
	wr_str(&w, ", reported ");
	wr_hex(&w, p->reported, 8);
	set_detail(verdict_pass(v, "tcb", span_str(snp_status_name(r)), r->anchor), &w);
}

void snp_claims(const struct snp_result *r, struct verdict *v)
{
	const struct snp_report *p = &r->report;
	char text[200];
	struct wr w = wr_to(text, sizeof text);
	enum anchor a = r->anchor;

	wr_str(&w, "sev-snp v");
	wr_dec(&w, p->version);
	wr_str(&w, " ");
	wr_str(&w, snp_product_name(r->product));
	verdict_pass(v, "quote", wr_done(&w), a);
	tcb_claim(r, v);
	w = wr_to(text, sizeof text);
	wr_utc_period(&w, r->issued, r->expires);
	struct claim *c = verdict_pass(v, "collateral", wr_done(&w), a);
	w = wr_to(text, sizeof text);
	wr_str(&w,
	       r->revocation_checked ? "not revoked" : "no revocation list was given, so none was checked");
	set_detail(c, &w);
	verdict_pass_hex(v, "chip_id", p->chip_id, sizeof p->chip_id, a);
	verdict_pass(v, "debug", span_str(p->policy & SNP_POLICY_DEBUG ? "on (allowed)" : "off"), a);
	verdict_pass_hex(v, "report_data", p->report_data, sizeof p->report_data, a);
}

bool snp_verdict(struct verdict *v, const struct snp_result *r, const char *code, const char *error)
{
	static const char *const required[] = { "quote", "tcb", "collateral", NULL };

	verdict_init(v);
	if (r) {
		snp_claims(r, v);
		verdict_pass_hex(v, "measurement", r->report.measurement, sizeof r->report.measurement,
				 r->anchor);
		verdict_pass_hex(v, "host_data", r->report.host_data, sizeof r->report.host_data, r->anchor);
	} else {
		verdict_fail(v, "quote", span_str(""), ANCHOR_NONE, code, error);
	}
	return verdict_close(v, r ? required : NULL);
}

void snp_json(struct wr *w, const struct snp_result *r, const struct verdict *v)
{
	wr_str(w, v->ok ? "{\"ok\":true,\"status\":" : "{\"ok\":false,\"status\":");
	wr_json(w, span_str(r ? snp_status_name(r) : ""));
	wr_str(w, ",\"advisory_ids\":[]");
	verdict_members_json(w, v);
	wr_u8(w, '}');
}
