#include "core/attest/collateral.h"

#include "core/codec/hex.h"

struct arena {
	uint8_t *p;
	size_t cap, used;
};

static int text(struct json v, struct arena *a, struct span *out)
{
	size_t n;

	*out = (struct span){ 0 };
	if (json_string(v, a->p + a->used, a->cap - a->used, &n))
		return -1;
	*out = span_of(a->p + a->used, n);
	a->used += n;
	return 0;
}

static int bytes(struct json v, struct arena *a, struct span *out)
{
	struct span hex;

	*out = (struct span){ 0 };
	if (json_plain(v, &hex) || hex.n / 2 > a->cap - a->used || hex_decode(a->p + a->used, hex.n / 2, hex))
		return -1;
	*out = span_of(a->p + a->used, hex.n / 2);
	a->used += hex.n / 2;
	return 0;
}

int collateral_parse(struct collateral *c, struct span json, uint8_t *arena, size_t cap, size_t *used)
{
	static const char *const name[] = {
		"pck_crl_issuer_chain",     "root_ca_crl", "pck_crl",
		"tcb_info_issuer_chain",    "tcb_info",    "tcb_info_signature",
		"qe_identity_issuer_chain", "qe_identity", "qe_identity_signature",
		"pck_certificate_chain"
	};
	struct arena a = { arena, cap, 0 };
	struct json doc, v[10];
	bool bad;

	*c = (struct collateral){ 0 };
	*used = 0;
	if (json_parse(&doc, json, NULL))
		return -1;
	json_pick(doc, name, v, 10);
	bad = text(v[0], &a, &c->pck_crl_issuer_chain) || bytes(v[1], &a, &c->root_ca_crl) ||
	      bytes(v[2], &a, &c->pck_crl) || text(v[3], &a, &c->tcb_info_issuer_chain) ||
	      text(v[4], &a, &c->tcb_info) || bytes(v[5], &a, &c->tcb_info_signature) ||
	      text(v[6], &a, &c->qe_identity_issuer_chain) || text(v[7], &a, &c->qe_identity) ||
	      bytes(v[8], &a, &c->qe_identity_signature);
	if (!bad && json_kind(v[9]) != JSON_NONE && json_kind(v[9]) != JSON_NULL)
		bad = text(v[9], &a, &c->pck_certificate_chain);
	*used = a.used;
	return bad ? -1 : 0;
}

static void put(struct wr *w, const char *head, struct span s, bool hex)
{
	wr_str(w, head);
	if (hex)
		wr_json_hex(w, s.p, s.n);
	else
		wr_json(w, s);
}

void collateral_write(struct wr *w, const struct collateral *c)
{
	put(w, "{\"pck_crl_issuer_chain\":", c->pck_crl_issuer_chain, false);
	put(w, ",\"root_ca_crl\":", c->root_ca_crl, true);
	put(w, ",\"pck_crl\":", c->pck_crl, true);
	put(w, ",\"tcb_info_issuer_chain\":", c->tcb_info_issuer_chain, false);
	put(w, ",\"tcb_info\":", c->tcb_info, false);
	put(w, ",\"tcb_info_signature\":", c->tcb_info_signature, true);
	put(w, ",\"qe_identity_issuer_chain\":", c->qe_identity_issuer_chain, false);
	put(w, ",\"qe_identity\":", c->qe_identity, false);
	put(w, ",\"qe_identity_signature\":", c->qe_identity_signature, true);
	if (c->pck_certificate_chain.n)
		put(w, ",\"pck_certificate_chain\":", c->pck_certificate_chain, false);
	wr_u8(w, '}');
}

int collateral_signed(struct span body, const char *member, struct span *signed_text, uint8_t sig[static 64])
{
	struct json doc, v, s;

	*signed_text = (struct span){ 0 };
	if (json_parse(&doc, body, NULL) || !json_get(doc, member, &v) || json_kind(v) != JSON_OBJECT ||
	    !json_get(doc, "signature", &s) || json_hex(s, sig, 64))
		return -1;
	*signed_text = v.text;
	return 0;
}
