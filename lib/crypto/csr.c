#include "crypto/csr.h"

#include <string.h>

#include "core/codec/json_text.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"

static const char confirm_word[] = "please sign cert:";

// SCALE (spec 20 section 2.6). Lengths in the big-integer mode pass any bound here and are refused.
static size_t rd_compact(struct rd *r)
{
	uint8_t first = rd_u8(r);

	switch (first & 3) {
	case 0:
		return first >> 2;
	case 1:
		return (size_t)(rd_u8(r) << 6 | first >> 2);
	case 2: {
		size_t low = first >> 2, mid = rd_u8(r), high = rd_le16(r);
		return high << 14 | mid << 6 | low;
	}
	default:
		r->bad = true;
		return 0;
	}
}

static struct span rd_vec(struct rd *r)
{
	size_t n = rd_compact(r);

	return rd_bytes(r, n);
}

static bool rd_bool(struct rd *r)
{
	uint8_t b = rd_u8(r);

	r->bad |= b > 1;
	return b == 1;
}

// Text that goes into a certificate: UTF-8 of bounded length without control characters.
static struct span rd_text(struct rd *r)
{
	struct span s = rd_vec(r);
	struct rd in = rd_span(s);

	r->bad |= s.n > CSR_TEXT_MAX;
	while (!r->bad && rd_left(&in)) {
		size_t n = json_utf8_len(in.p, rd_left(&in));
		r->bad |= !n || *in.p < 0x20 || *in.p == 0x7f;
		rd_bytes(&in, n);
	}
	return s;
}

static void rd_config(struct rd *r, unsigned version, struct csr *c)
{
	c->has_org = rd_bool(r);
	if (c->has_org)
		c->org = rd_text(r);
	c->subject = rd_text(r);
	c->n_sans = rd_compact(r);
	if (c->n_sans > CSR_SANS_MAX) {
		r->bad = true;
		c->n_sans = 0;
	}
	for (size_t i = 0; i < c->n_sans; i++)
		c->sans[i] = rd_text(r);
	c->server_auth = rd_bool(r);
	c->client_auth = rd_bool(r);
	c->ext_quote = rd_bool(r);
	if (version == 1)
		return;
	c->ext_app_info = rd_bool(r);
	c->has_not_before = rd_bool(r);
	if (c->has_not_before)
		c->not_before = rd_le64(r);
	c->has_not_after = rd_bool(r);
	if (c->has_not_after)
		c->not_after = rd_le64(r);
}

int csr_parse(struct span in, unsigned version, struct csr *out, struct err *e)
{
	struct rd r = rd_span(in);

	memset(out, 0, sizeof *out);
	if (version != 1 && version != 2)
		return err_code(e, ERR_INPUT, "csr.version", "unsupported certificate request version %u",
				version);
	if (in.n > CSR_MAX)
		return err_code(e, ERR_INPUT, "csr.format", "certificate request of %zu bytes is too large",
				in.n);
	struct span confirm = rd_vec(&r);
	out->pubkey = rd_vec(&r);
	rd_config(&r, version, out);
	if (version == 1) {
		out->quote = rd_vec(&r);
		out->event_log = rd_vec(&r);
	} else {
		out->attestation = rd_bytes(&r, rd_left(&r));
	}
	if (r.bad || rd_left(&r))
		return err_code(e, ERR_INPUT, "csr.format", "malformed certificate request");
	if (!span_is(confirm, confirm_word))
		return err_code(e, ERR_INPUT, "csr.confirm", "Invalid confirm word");
	return 0;
}

static void wr_compact(struct wr *w, size_t n)
{
	if (n < 1 << 6)
		wr_u8(w, (uint8_t)(n << 2));
	else if (n < 1 << 14)
		wr_le16(w, (uint16_t)(n << 2 | 1));
	else if (n < 1 << 30)
		wr_le32(w, (uint32_t)(n << 2 | 2));
	else
		w->bad = true;
}

static void wr_vec(struct wr *w, struct span s)
{
	wr_compact(w, s.n);
	wr_span(w, s);
}

static void wr_time(struct wr *w, bool has, uint64_t t)
{
	wr_u8(w, has);
	if (has)
		wr_le64(w, t);
}

int csr_write(const struct csr *c, struct wr *w, struct err *e)
{
	wr_vec(w, span_str(confirm_word));
	wr_vec(w, c->pubkey);
	wr_u8(w, c->has_org);
	if (c->has_org)
		wr_vec(w, c->org);
	wr_vec(w, c->subject);
	wr_compact(w, c->n_sans);
	for (size_t i = 0; i < c->n_sans; i++)
		wr_vec(w, c->sans[i]);
	wr_u8(w, c->server_auth);
	wr_u8(w, c->client_auth);
	wr_u8(w, c->ext_quote);
	wr_u8(w, c->ext_app_info);
	wr_time(w, c->has_not_before, c->not_before);
	wr_time(w, c->has_not_after, c->not_after);
	wr_span(w, c->attestation);
	if (w->bad)
		return err_set(e, ERR_INPUT, "certificate request needs %zu bytes of room", w->n);
	return 0;
}

int csr_verify(struct span in, const struct csr *c, struct span sig, struct err *e)
{
	auto_pkey EVP_PKEY *k = p256_from_spki(c->pubkey, e);

	if (!k)
		return err_code(e, ERR_INPUT, "csr.key",
				"Unsupported algorithm: the certificate request's key is not P-256");
	if (p256_verify(k, in, sig, e))
		return err_code(e, ERR_UNTRUSTED, "csr.signature",
				"Invalid signature: the certificate request is not signed by its own key");
	return 0;
}
