// What a verification has to say: names, sentences and claims.
#include "core/attest/dcap.h"
#include "core/codec/json.h"
#include "core/codec/utc.h"

const char *tcb_status_name(enum tcb_status s)
{
	static const char *const name[] = { "UpToDate",
					    "SWHardeningNeeded",
					    "ConfigurationNeeded",
					    "ConfigurationAndSWHardeningNeeded",
					    "OutOfDate",
					    "OutOfDateConfigurationNeeded",
					    "Revoked" };

	return s <= TCB_REVOKED ? name[s] : "unknown";
}

void dcap_explain(const struct dcap *d, enum reason r, char *out, size_t cap)
{
	struct wr w = wr_to(out, cap - 1);

	wr_reason(&w, r, d->arg);
	const char *name = r == REASON_PCK_TYPE ? quote_cert_name((uint16_t)d->arg[0]) : NULL;
	if (name) {
		wr_str(&w, " (");
		wr_str(&w, name);
		wr_str(&w, ")");
	}
	out[w.bad ? 0 : w.n] = 0;
}

void dcap_claims(const struct dcap_result *r, struct verdict *v)
{
	char text[200], detail[240];
	struct wr w = wr_to(text, sizeof text);
	enum anchor a = r->anchor;

	wr_str(&w, r->is_tdx ? "tdx v" : "sgx v");
	wr_dec(&w, r->version);
	if (r->is_tdx)
		wr_str(&w, r->td.is_15 ? " td 1.5" : " td 1.0");
	verdict_pass(v, "quote", wr_done(&w), a);

	struct claim *c = verdict_pass(v, "tcb", span_str(tcb_status_name(r->tcb.status)), a);
	w = wr_to(detail, sizeof c->detail - 1);
	for (size_t i = 0; i < r->tcb.n && !w.bad; i++) {
		wr_str(&w, i ? ", " : "advisories: ");
		wr_str(&w, r->tcb.advisory[i]);
	}
	if (r->relaunch_advised)
		wr_str(&w, r->tcb.n ? "; relaunch advised" : "relaunch advised");
	for (size_t i = 0; !w.bad && i < w.n; i++)
		c->detail[i] = detail[i];

	w = wr_to(text, sizeof text);
	wr_utc_period(&w, r->issued, r->expires);
	verdict_pass(v, "collateral", wr_done(&w), a);
	verdict_pass_hex(v, "fmspc", r->fmspc, sizeof r->fmspc, a);
	verdict_pass_hex(v, "ppid", r->ppid, sizeof r->ppid, a);
	bool debug = r->is_tdx ? r->td.td_attributes[0] & 1 : r->sgx.attributes[0] & 2;
	verdict_pass(v, "debug", span_str(debug ? "on (allowed)" : "off"), a);
	verdict_pass_hex(v, "report_data", r->report_data, sizeof r->report_data, a);
}

static void wr_level(struct wr *w, const char *status, const char *ids, const struct tcb_level *l)
{
	wr_str(w, status);
	wr_json(w, span_str(l ? tcb_status_name(l->status) : ""));
	wr_str(w, ids);
	for (size_t i = 0; l && i < l->n; i++) {
		wr_str(w, i ? "," : "");
		wr_json(w, span_str(l->advisory[i]));
	}
	wr_u8(w, ']');
}

void dcap_json(struct wr *w, const struct dcap_result *r, const struct verdict *v)
{
	wr_str(w, v->ok ? "{\"ok\":true" : "{\"ok\":false");
	wr_level(w, ",\"status\":", ",\"advisory_ids\":[", r ? &r->tcb : NULL);
	verdict_members_json(w, v);
	if (r && r->version) {
		wr_level(w, ",\"platform_status\":{\"status\":", ",\"advisory_ids\":[", &r->platform);
		wr_level(w, "},\"qe_status\":{\"status\":", ",\"advisory_ids\":[", &r->qe);
		wr_str(w,
		       r->relaunch_advised ? "},\"relaunch_advised\":true" : "},\"relaunch_advised\":false");
	}
	wr_u8(w, '}');
}
