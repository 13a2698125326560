#include "core/attest/dcap.h"

#include "core/attest/dcap_job.h"
#include "core/codec/pem.h"
#include "core/hash/sha2.h"

int dcap_fail(struct dcap_job *j, enum reason why, uint32_t a, uint32_t b)
{
	if (!j->d->reason) {
		j->d->reason = why;
		j->d->arg[0] = a;
		j->d->arg[1] = b;
	}
	return -1;
}

// List a signature check. Equal ones are listed once, under the reason that comes first.
int dcap_want(struct dcap_job *j, enum reason why, struct span msg, const uint8_t key[64],
	      const uint8_t sig[64])
{
	struct dcap *d = j->d;
	struct sig_check want = { why, SIG_P256_SHA256, msg, span_of(key, 64), span_of(sig, 64) };

	for (size_t i = 0; i < d->checks; i++) {
		struct sig_check *c = &d->check[i];
		if (c->msg.n != msg.n || !span_eq(c->sig, want.sig) || !span_eq(c->key, want.key) ||
		    !span_eq(c->msg, msg))
			continue;
		if (why < c->reason)
			c->reason = why;
		return 0;
	}
	if (d->checks == DCAP_CHECKS)
		return dcap_fail(j, REASON_LIMIT, 0, 0);
	d->check[d->checks++] = want;
	return 0;
}

void dcap_window(struct dcap_job *j, uint64_t from, uint64_t to)
{
	struct dcap_result *r = &j->d->result;

	if (from > r->issued)
		r->issued = from;
	if (to < r->expires)
		r->expires = to;
}

// Step 3.
static int read_quote(struct dcap_job *j)
{
	struct dcap_result *r = &j->d->result;
	enum reason why = quote_parse(&j->quote, j->in->quote);
	const struct quote *q = &j->quote;

	if (why)
		return dcap_fail(j, why, q->tee, 0);
	if (q->qe_auth.n != 32)
		return dcap_fail(j, REASON_QE_AUTH, 0, 0);
	r->version = q->version;
	r->is_tdx = q->tee == QUOTE_TDX;
	sgx_report_read(&j->qe, q->qe_report);
	if (r->is_tdx ? quote_td(q, &r->td) : quote_sgx(q, &r->sgx))
		return dcap_fail(j, REASON_QUOTE_FORMAT, 0, 0);
	struct rd data = rd_span(quote_report_data(q)), user = rd_span(q->user_data);
	rd_copy(&data, r->report_data, sizeof r->report_data);
	rd_copy(&user, r->qe_id, sizeof r->qe_id);
	return 0;
}

static int qe_kind(struct dcap_job *j)
{
	const struct dcap_qe_identity *id = &j->col->qe;
	bool tdx = j->d->result.is_tdx;

	if (!id->has_kind)
		return dcap_fail(j, REASON_QEID_FORMAT, 0, 0);
	if (!json_is(id->id, tdx ? "TD_QE" : "QE") || (id->version != 2 && !(tdx && id->version == 3)))
		return dcap_fail(j, REASON_QEID_KIND, 0, 0);
	return 0;
}

// The identity's hex strings and the report's little-endian fields are compared byte by byte.
static int masked(struct dcap_job *j, const struct dcap_masked *f, size_t at, size_t n, enum reason why)
{
	const uint8_t *has = j->quote.qe_report.p + at;

	if (!f->readable)
		return dcap_fail(j, REASON_QEID_FORMAT, 0, 0);
	for (size_t i = 0; i < n; i++)
		if (f->want[i] & ~f->mask[i] || (has[i] & f->mask[i]) != f->want[i])
			return dcap_fail(j, why, (uint32_t)i, 0);
	return 0;
}

// Step 9.
static int qe_policy(struct dcap_job *j)
{
	const struct dcap_qe_identity *id = &j->col->qe;

	if (!id->has_signer)
		return dcap_fail(j, REASON_QEID_FORMAT, 0, 0);
	if (!span_eq(span_of(id->signer, 32), span_of(j->qe.mr_signer, 32)))
		return dcap_fail(j, REASON_QE_SIGNER, 0, 0);
	if (j->qe.attributes[0] & 2)
		return dcap_fail(j, REASON_QE_DEBUG, 0, 0);
	if (j->qe.isv_prod_id != id->product)
		return dcap_fail(j, REASON_QE_PRODUCT, 0, 0);
	return masked(j, &id->misc, 16, 4, REASON_QE_MISC) ||
			       masked(j, &id->attributes, 48, 16, REASON_QE_ATTRIBUTES)
		       ? -1
		       : 0;
}

// Steps 7 to 9 and 11.
int dcap_qe(struct dcap_job *j)
{
	const struct quote *q = &j->quote;
	struct sha256 h;
	uint8_t digest[64] = { 0 }; // the second half of the report data must be zero

	if (dcap_want(j, REASON_QE_SIGNATURE, q->qe_report, j->leaf->key, q->qe_report_sig.p))
		return -1;
	sha256_init(&h);
	sha256_add(&h, q->att_key.p, q->att_key.n);
	sha256_add(&h, q->qe_auth.p, q->qe_auth.n);
	sha256_end(&h, digest);
	if (!span_eq(span_of(digest, 64), span_of(j->qe.report_data, 64)))
		return dcap_fail(j, REASON_QE_HASH, 0, 0);
	if (qe_policy(j))
		return -1;
	return dcap_want(j, REASON_QUOTE_SIGNATURE, q->signed_part, q->att_key.p, q->sig.p);
}

static int td_attributes(struct dcap_job *j, const struct td_report *td)
{
	const uint8_t *a = td->td_attributes;
	uint8_t signer = 0, service = 0;

	for (size_t i = 0; i < 48; i++) {
		signer |= td->mr_signer_seam[i];
		service |= td->mr_service_td[i];
	}
	// Bits 7:1, 27:8, 29 and 62:32 are reserved; PKS, KL and PERFMON are free.
	if (a[0] & 0xfe || a[1] || a[2] || a[3] & 0x2f || a[4] || a[5] || a[6] || a[7] & 0x7f)
		return dcap_fail(j, REASON_TD_RESERVED, 0, 0);
	if (a[0] & 1 && !j->in->allow_debug)
		return dcap_fail(j, REASON_TD_DEBUG, 0, 0);
	if (!(a[3] & 0x10))
		return dcap_fail(j, REASON_TD_SEPT, 0, 0);
	if (signer)
		return dcap_fail(j, REASON_TD_SEAM_SIGNER, 0, 0);
	return service && !j->in->allow_service_td ? dcap_fail(j, REASON_TD_SERVICE, 0, 0) : 0;
}

int dcap_attributes(struct dcap_job *j)
{
	const struct dcap_result *r = &j->d->result;

	if (r->is_tdx)
		return td_attributes(j, &r->td);
	return r->sgx.attributes[0] & 2 && !j->in->allow_debug ? dcap_fail(j, REASON_SGX_DEBUG, 0, 0) : 0;
}

static int read_collateral(struct dcap_job *j)
{
	return j->col->why ? dcap_fail(j, j->col->why, 0, 0) : 0;
}

static int documents(struct dcap_job *j)
{
	static const struct dcap_names tcb = {
		REASON_TCB_FORMAT,      REASON_TCB_FUTURE, REASON_TCB_EXPIRED,
		REASON_TCB_CHAIN_SHORT, REASON_TCB_CHAIN,  REASON_TCB_SIGNATURE
	};
	static const struct dcap_names qe = { REASON_QEID_FORMAT,  REASON_QEID_FUTURE,
					      REASON_QEID_EXPIRED, REASON_QEID_CHAIN_SHORT,
					      REASON_QEID_CHAIN,   REASON_QEID_SIGNATURE };

	if (dcap_signed(j, &j->col->tcb_info, &tcb) || dcap_signed(j, &j->col->qe_identity, &qe))
		return -1;
	j->d->result.tcb_eval = j->col->tcb_info.eval;
	j->d->result.qe_eval = j->col->qe_identity.eval;
	return qe_kind(j);
}

void dcap_begin(struct dcap *d, const struct dcap_input *in, const struct dcap_collateral *col)
{
	struct dcap_job j = { .d = d, .in = in, .col = col };

	d->reason = REASON_OK;
	d->arg[0] = d->arg[1] = 0;
	d->checks = 0;
	d->result = (struct dcap_result){ .anchor = col->anchor, .expires = UINT64_MAX };
	if (read_quote(&j) || read_collateral(&j) || dcap_roots(&j) || documents(&j) || dcap_pck(&j) ||
	    dcap_qe(&j) || dcap_tcb(&j) || dcap_attributes(&j))
		return;
	for (size_t i = 0; i < 16; i++)
		d->result.ppid[i] = j.pck.ppid[i];
	for (size_t i = 0; i < 6; i++)
		d->result.fmspc[i] = j.pck.fmspc[i];
}

enum reason dcap_finish(struct dcap *d, uint32_t passed, struct dcap_result *out)
{
	// Without a signature to check there is no evidence: nothing was begun.
	enum reason why = d->reason || d->checks ? d->reason : REASON_QUOTE_FORMAT;

	for (size_t i = 0; i < d->checks; i++)
		if (!(passed >> i & 1) && (why == REASON_OK || d->check[i].reason < why))
			why = d->check[i].reason;
	if (why != d->reason)
		d->arg[0] = d->arg[1] = 0;
	if (why == REASON_OK)
		*out = d->result;
	else
		*out = (struct dcap_result){ 0 };
	return why;
}

enum reason dcap_platform(struct span bytes, struct dcap_platform *out)
{
	struct quote q;
	struct x509 leaf;
	struct pck pck;
	enum reason why = quote_parse(&q, bytes);
	uint8_t der[4096];
	size_t n;

	*out = (struct dcap_platform){ 0 };
	if (why)
		return why;
	if (q.cert_type != QUOTE_CERT_PCK_CHAIN)
		return REASON_PCK_TYPE;
	struct rd in = rd_span(q.cert_data);
	if (pem_next(&in, der, sizeof der, &n) != 1 || x509_parse(&leaf, span_of(der, n)))
		return REASON_PCK_CHAIN;
	if ((why = pck_parse(&pck, &leaf)))
		return why;
	for (size_t i = 0; i < 6; i++)
		out->fmspc[i] = pck.fmspc[i];
	out->is_tdx = q.tee == QUOTE_TDX;
	// Intel's two PCK CAs differ in one word of their name.
	static const char word[] = "Processor";
	for (size_t i = 0; i + sizeof word - 1 <= leaf.issuer.n; i++)
		if (span_is(span_of(leaf.issuer.p + i, sizeof word - 1), word))
			out->processor_ca = true;
	return REASON_OK;
}
