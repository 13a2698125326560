#include "core/attest/dcap_text.h"

#include "core/codec/hex.h"
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

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

struct span quote_unhex(uint8_t *p, size_t n)
{
	struct span s = span_of(p, n);

	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	if (s.n > 2 && s.p[0] == '0' && (s.p[1] == 'x' || s.p[1] == 'X'))
		s = span_of(s.p + 2, s.n - 2);
	for (size_t i = 0; i < s.n; i++) // all of it, before a byte is overwritten
		if (hex_digit(s.p[i]) < 0)
			return span_of(p, n);
	if (!s.n || hex_decode(p, s.n / 2, s))
		return span_of(p, n);
	return span_of(p, s.n / 2);
}
