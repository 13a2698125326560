#include "core/attest/dcap_text.h"

#include "core/codec/json.h"

bool dcap_verdict(struct verdict *v, const struct dcap_result *r, const char *code, const char *error)
{
	static const char *const required[] = { "quote", "tcb", "collateral", NULL };

	verdict_init(v);
	if (r)
		dcap_claims(r, v);
	else
		verdict_fail(v, "quote", span_str(""), ANCHOR_NONE, code, error);
	return verdict_close(v, r ? required : NULL);
}

bool dcap_unreadable(enum reason r)
{
	return r == REASON_COLLATERAL_FORMAT || r == REASON_ROOT_FORMAT;
}

void wr_refusal(struct wr *w, const char *code, const char *error)
{
	wr_str(w, "{\"ok\":false,\"code\":");
	wr_json(w, span_str(code));
	wr_str(w, ",\"error\":");
	wr_json(w, span_str(error));
	wr_u8(w, '}');
}
