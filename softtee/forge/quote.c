// The quote: QE report, header and body, signature data.
#include <openssl/sha.h>
#include <string.h>

#include "forge/layers.h"

enum { BODY_SGX = 1, BODY_TD10 = 2, BODY_TD15 = 3, BODY_TD15_EX = 4 };

static void put_le(struct sb *b, uint64_t v, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		sb_chr(b, (char)(v >> 8 * i));
}

static struct span body_of(const struct forge_quote *q)
{
	static const size_t size[] = { [BODY_TD10] = 584, [BODY_TD15] = 648, [BODY_TD15_EX] = FORGE_TD };

	if (q->body.p)
		return q->body;
	if (q->body_type < BODY_TD10 || q->body_type > BODY_TD15_EX)
		return span_of(q->enclave, FORGE_ENCLAVE);
	return span_of(q->td, size[q->body_type]);
}

static struct span attestation_key(const struct forge *f)
{
	const struct forge_quote *q = &f->quote;

	return q->attestation_key.p ? q->attestation_key : span_of(f->keys->key[FORGE_KEY_ATT].pub, KEY_RAW);
}

static int make_qe_report(const struct forge *f, struct forge_out *out, struct err *e)
{
	const struct forge_quote *q = &f->quote;
	struct sb *b = &out->layer[FORGE_QE_REPORT];
	struct span key = attestation_key(f), data = q->qe_auth_hashed.p ? q->qe_auth_hashed : q->qe_auth;
	auto_sb hashed = { 0 };

	layer_take(b, q->qe, FORGE_ENCLAVE);
	sb_put(&hashed, key.p, key.n);
	sb_put(&hashed, data.p, data.n);
	if (hashed.bad || b->bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (q->bind)
		SHA256((uint8_t *)hashed.p, hashed.n, (uint8_t *)b->p + SGX_REPORT_DATA);
	return layer_edit(f, FORGE_QE_REPORT, false, b, e) ||
			       layer_sign(f, FORGE_QE_REPORT, FORGE_KEY_PCK, out, e) ||
			       layer_edit(f, FORGE_QE_REPORT, true, b, e)
		       ? -1
		       : 0;
}

static int make_signed(const struct forge *f, struct forge_out *out, struct err *e)
{
	const struct forge_quote *q = &f->quote;
	struct sb *b = &out->layer[FORGE_QUOTE];
	struct span body = body_of(q);

	b->n = 0;
	put_le(b, q->version, 2);
	put_le(b, q->key_type, 2);
	put_le(b, q->tee, 4);
	put_le(b, q->qe_svn, 2);
	put_le(b, q->pce_svn, 2);
	sb_put(b, q->vendor, sizeof q->vendor);
	sb_put(b, q->user_data, sizeof q->user_data);
	if (q->version == 5) {
		put_le(b, q->body_type, 2);
		put_le(b, q->body_size == FORGE_AUTO ? body.n : (uint64_t)q->body_size, 4);
	}
	sb_put(b, body.p, body.n);
	return layer_edit(f, FORGE_QUOTE, false, b, e) || layer_sign(f, FORGE_QUOTE, FORGE_KEY_ATT, out, e) ||
			       layer_edit(f, FORGE_QUOTE, true, b, e)
		       ? -1
		       : 0;
}

static int make_chain(const struct forge *f, struct forge_out *out, struct err *e)
{
	const struct forge_quote *q = &f->quote;
	struct sb *b = &out->layer[FORGE_CHAIN];
	const char *names = f->chain[FORGE_CHAIN_QUOTE];

	if (q->cert_data.p)
		layer_take(b, q->cert_data.p, q->cert_data.n);
	else if (layer_chain(f, names ? names : "", out, b, e))
		return -1;
	return layer_edit(f, FORGE_CHAIN, false, b, e) || layer_edit(f, FORGE_CHAIN, true, b, e) ? -1 : 0;
}

static void put_sb(struct sb *b, const struct sb *more)
{
	sb_put(b, more->p, more->n);
	b->bad |= more->bad;
}

static uint64_t claimed(int64_t given, size_t real)
{
	return given == FORGE_AUTO ? real : (uint64_t)given;
}

static int make_auth(const struct forge *f, struct forge_out *out, struct err *e)
{
	const struct forge_quote *q = &f->quote;
	struct sb *b = &out->layer[FORGE_AUTH];
	struct span key = attestation_key(f);
	auto_sb part = { 0 };

	put_sb(&part, &out->layer[FORGE_QE_REPORT]);
	put_sb(&part, &out->sig[FORGE_QE_REPORT]);
	put_le(&part, claimed(q->qe_auth_len, q->qe_auth.n), 2);
	sb_put(&part, q->qe_auth.p, q->qe_auth.n);
	put_le(&part, q->cert_type, 2);
	put_le(&part, claimed(q->cert_len, out->layer[FORGE_CHAIN].n), 4);
	put_sb(&part, &out->layer[FORGE_CHAIN]);

	b->n = 0;
	put_sb(b, &out->sig[FORGE_QUOTE]);
	sb_put(b, key.p, key.n);
	if (q->version > 3) {
		put_le(b, q->outer_type, 2);
		put_le(b, claimed(q->outer_len, part.n), 4);
	}
	put_sb(b, &part);
	return layer_edit(f, FORGE_AUTH, false, b, e) || layer_edit(f, FORGE_AUTH, true, b, e) ? -1 : 0;
}

int layer_quote(const struct forge *f, struct forge_out *out, struct err *e)
{
	struct sb *b = &out->layer[FORGE_WHOLE];

	if (make_chain(f, out, e) || make_qe_report(f, out, e) || make_signed(f, out, e) ||
	    make_auth(f, out, e))
		return -1;
	b->n = 0;
	put_sb(b, &out->layer[FORGE_QUOTE]);
	put_le(b, claimed(f->quote.auth_len, out->layer[FORGE_AUTH].n), 4);
	put_sb(b, &out->layer[FORGE_AUTH]);
	sb_put(b, f->quote.trailing.p, f->quote.trailing.n);
	return layer_edit(f, FORGE_WHOLE, false, b, e) || layer_edit(f, FORGE_WHOLE, true, b, e) ? -1 : 0;
}
