#include "core/attest/dcap_job.h"
#include "core/codec/pem.h"
#include "core/codec/utc.h"

// A chain may bring the root; another one of its name is told apart, for a clear reason.
static bool is_other_root(const struct x509 *root, const struct x509 *c)
{
	return span_eq(c->subject, c->issuer) && span_eq(c->subject, root->subject) &&
	       !span_eq(c->der, root->der);
}

void dcap_certs_read(struct dcap_certs *out, struct span pem, const struct x509 *root, struct wr *arena)
{
	struct rd in = rd_span(pem);
	size_t n;
	int more;

	out->bad = out->other_root = false;
	out->n = 0;
	while ((more = pem_next(&in, arena->p + arena->n, arena->cap - arena->n, &n)) == 1) {
		if (out->n == DCAP_CERTS || x509_parse(&out->cert[out->n++], span_of(arena->p + arena->n, n)))
			break;
		arena->n += n;
		if (is_other_root(root, &out->cert[out->n - 1])) {
			out->other_root = true;
			return;
		}
	}
	out->bad = more != 0;
}

static int read_date(struct json date, uint64_t *out)
{
	struct span s;

	return json_plain(date, &s) ? -1 : utc_rfc3339(s, out);
}

static void read_document(struct dcap_document *d, struct json *doc, struct span text, struct span sig,
			  const struct dcap_certs *signer)
{
	static const char *const name[] = { "issueDate", "nextUpdate", "tcbEvaluationDataNumber" };
	struct json v[3];
	uint64_t n = 0;

	*d = (struct dcap_document){ .text = text, .sig = sig, .signer = signer };
	if (json_parse(doc, text, NULL))
		return;
	json_pick(*doc, name, v, 3);
	d->readable =
		!read_date(v[0], &d->issued) && !read_date(v[1], &d->next) && !json_u64(v[2], UINT32_MAX, &n);
	d->eval = (uint32_t)n;
}

static void read_documents(struct dcap_collateral *c, const struct collateral *col,
			   const struct dcap_certs *qe_signer)
{
	struct json v;

	c->levels = 0;
	read_document(&c->tcb_info, &v, col->tcb_info, col->tcb_info_signature, &c->tcb_signer);
	if (c->tcb_info.readable)
		dcap_tcb_info_read(c, v);
	read_document(&c->qe_identity, &v, col->qe_identity, col->qe_identity_signature, qe_signer);
	if (c->qe_identity.readable)
		dcap_qe_identity_read(c, v);
}

static bool keep_root(struct dcap_collateral *c, struct span root, struct wr *arena)
{
	struct span kept = span_of(arena->p + arena->n, root.n);

	if (root.n > DCAP_ROOT_MAX)
		return false;
	wr_span(arena, root);
	return !x509_parse(&c->root, kept);
}

static void read_parts(struct dcap_collateral *c, const struct collateral *col, struct wr *arena)
{
	bool same = span_eq(col->qe_identity_issuer_chain, col->tcb_info_issuer_chain);

	c->has_root_crl = !x509_crl_parse(&c->root_crl, col->root_ca_crl);
	c->has_pck_crl = !x509_crl_parse(&c->pck_crl, col->pck_crl);
	dcap_certs_read(&c->crl_issuer, col->pck_crl_issuer_chain, &c->root, arena);
	dcap_certs_read(&c->tcb_signer, col->tcb_info_issuer_chain, &c->root, arena);
	if (!same)
		dcap_certs_read(&c->qe_signer, col->qe_identity_issuer_chain, &c->root, arena);
	read_documents(c, col, same ? &c->tcb_signer : &c->qe_signer);
	c->has_pck = col->pck_certificate_chain.n;
	if (c->has_pck)
		dcap_certs_read(&c->pck, col->pck_certificate_chain, &c->root, arena);
}

void dcap_collateral_read(struct dcap_collateral *c, struct span text, struct span root, enum anchor anchor)
{
	struct wr arena = wr_to(c->arena, sizeof c->arena);
	struct collateral col;

	c->why = REASON_OK;
	c->anchor = anchor;
	if (text.n > DCAP_COLLATERAL_MAX)
		c->why = REASON_LIMIT;
	else if (collateral_parse(&col, text, arena.p, DCAP_COLLATERAL_MAX, &arena.n))
		c->why = REASON_COLLATERAL_FORMAT;
	c->has_root = !c->why && keep_root(c, root, &arena);
	if (c->has_root)
		read_parts(c, &col, &arena);
}
