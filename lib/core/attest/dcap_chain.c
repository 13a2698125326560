// Steps 1, 2, 4, 5, 6: the pinned root, revocation lists, signed documents, the PCK chain.
//
// A chain is exactly leaf - root or leaf - PCK CA - root. Which certificate plays which part is told by the
// common names that Intel's profile prescribes; without that rule any PCK certificate could sign TCB info.
#include "core/attest/dcap_job.h"

#include "core/codec/pem.h"
#include "core/codec/utc.h"

// A chain may bring the root; another one of its name is told apart here, for a clear reason.
static bool is_other_root(const struct dcap_job *j, const struct x509 *c)
{
	return span_eq(c->subject, c->issuer) && span_eq(c->subject, j->root.subject) &&
	       !span_eq(c->der, j->root.der);
}

// From the `from`th on there is nothing but `ca` (NULL: none) and the root: bytes that nobody checks have no
// place.
static bool is_exact(const struct dcap_job *j, const struct chain *c, size_t from, const struct x509 *ca)
{
	for (size_t i = from; i < c->n; i++)
		if (!span_eq(c->cert[i].der, j->root.der) && !(ca && span_eq(c->cert[i].der, ca->der)))
			return false;
	return true;
}

int dcap_chain(struct dcap_job *j, struct span pem, struct chain *out)
{
	struct dcap *d = j->d;
	struct rd in = rd_span(pem);
	size_t n;
	int more;

	if (j->last_pem.n && span_eq(pem, j->last_pem)) {
		*out = j->last_chain;
		return 0;
	}
	out->n = 0;
	while ((more = pem_next(&in, d->arena + d->used, sizeof d->arena - d->used, &n)) == 1) {
		if (out->n == CHAIN_MAX || x509_parse(&out->cert[out->n++], span_of(d->arena + d->used, n)))
			return -1;
		d->used += n;
		if (is_other_root(j, &out->cert[out->n - 1]))
			return dcap_fail(j, REASON_ROOT_OTHER, 0, 0);
	}
	if (!more) {
		j->last_pem = pem;
		j->last_chain = *out;
	}
	return more;
}

static bool in_time(const struct dcap_job *j, const struct x509 *c)
{
	return c->not_before <= j->in->now && j->in->now <= c->not_after;
}

// May sign certificates and revocation lists, `below` CAs lying between it and the leaf.
static bool is_authority(const struct dcap_job *j, const struct x509 *c, uint32_t below)
{
	return c->has_constraints && c->is_ca && c->usage & X509_CERT_SIGN && c->usage & X509_CRL_SIGN &&
	       c->for_server && c->path_limit >= below && in_time(j, c);
}

static bool is_leaf(const struct dcap_job *j, const struct x509 *c, const char *name)
{
	return !c->is_ca && c->usage & X509_DIGITAL_SIGNATURE && c->for_server && in_time(j, c) &&
	       x509_name_has(c, name);
}

static int read_crl(struct dcap_job *j, struct span der, struct x509_crl *crl)
{
	if (x509_crl_parse(crl, der))
		return dcap_fail(j, REASON_CRL_FORMAT, 0, 0);
	if (crl->this_update > j->in->now || j->in->now >= crl->next_update)
		return dcap_fail(j, REASON_CRL_TIME, 0, 0);
	dcap_window(j, crl->this_update, crl->next_update - 1);
	return 0;
}

// The PCK revocation list comes from a PCK CA below the root.
static int pck_crl(struct dcap_job *j)
{
	struct chain chain;
	size_t i = 0;

	if (read_crl(j, j->col.pck_crl, &j->pck_crl))
		return -1;
	if (dcap_chain(j, j->col.pck_crl_issuer_chain, &chain))
		return dcap_fail(j, REASON_CRL_FORMAT, 0, 0);
	while (i < chain.n && !span_eq(chain.cert[i].subject, j->pck_crl.issuer))
		i++;
	if (i == chain.n || !span_eq(chain.cert[i].issuer, j->root.subject) ||
	    !is_authority(j, &chain.cert[i], 0) || !x509_name_has(&chain.cert[i], "CA") ||
	    !is_exact(j, &chain, 0, &chain.cert[i]))
		return dcap_fail(j, REASON_CRL_ISSUER, 0, 0);
	if (x509_crl_has(&j->root_crl, chain.cert[i].serial))
		return dcap_fail(j, REASON_CERT_REVOKED, 0, 0);
	return dcap_want(j, REASON_CRL_SIGNATURE, chain.cert[i].tbs, j->root.key, chain.cert[i].sig) ||
			       dcap_want(j, REASON_CRL_SIGNATURE, j->pck_crl.tbs, chain.cert[i].key,
					 j->pck_crl.sig)
		       ? -1
		       : 0;
}

int dcap_roots(struct dcap_job *j, struct span root)
{
	struct x509 *r = &j->root;

	if (x509_parse(r, root) || !r->is_ca || !(r->usage & X509_CERT_SIGN) ||
	    !x509_name_has(r, "SGX Root CA"))
		return dcap_fail(j, REASON_ROOT_FORMAT, 0, 0);
	if (!in_time(j, r))
		return dcap_fail(j, REASON_ROOT_TIME, 0, 0);
	if (!is_authority(j, r, 0))
		return dcap_fail(j, REASON_ROOT_FORMAT, 0, 0);
	if (read_crl(j, j->col.root_ca_crl, &j->root_crl))
		return -1;
	if (!span_eq(j->root_crl.issuer, r->subject))
		return dcap_fail(j, REASON_CRL_ISSUER, 0, 0);
	if (dcap_want(j, REASON_CRL_SIGNATURE, j->root_crl.tbs, r->key, j->root_crl.sig) || pck_crl(j))
		return -1;
	if (x509_crl_has(&j->root_crl, r->serial))
		return dcap_fail(j, REASON_ROOT_REVOKED, 0, 0);
	return 0;
}

static int document_time(struct dcap_job *j, const struct dcap_document *doc, struct json v)
{
	struct json issue, next;
	struct span a, b;
	uint64_t from, to;

	if (!json_get(v, "issueDate", &issue) || json_plain(issue, &a) || utc_rfc3339(a, &from) ||
	    !json_get(v, "nextUpdate", &next) || json_plain(next, &b) || utc_rfc3339(b, &to))
		return dcap_fail(j, doc->format, 0, 0);
	if (j->in->now < from)
		return dcap_fail(j, doc->future, 0, 0);
	if (j->in->now > to)
		return dcap_fail(j, doc->expired, 0, 0);
	dcap_window(j, from, to);
	return 0;
}

int dcap_signed(struct dcap_job *j, const struct dcap_document *doc, struct json *out, uint32_t *eval)
{
	struct chain chain;
	struct json v;
	uint64_t n;

	if (json_parse(out, doc->text, NULL) || json_kind(*out) != JSON_OBJECT ||
	    !json_get(*out, "tcbEvaluationDataNumber", &v) || json_u64(v, UINT32_MAX, &n))
		return dcap_fail(j, doc->format, 0, 0);
	*eval = (uint32_t)n;
	if (document_time(j, doc, *out))
		return -1;
	if (dcap_chain(j, doc->chain, &chain))
		return dcap_fail(j, doc->chain_bad, 0, 0);
	if (!chain.n)
		return dcap_fail(j, doc->chain_short, 0, 0);
	struct x509 *leaf = &chain.cert[0];
	if (!is_leaf(j, leaf, "SGX TCB Signing") || !span_eq(leaf->issuer, j->root.subject) ||
	    !is_exact(j, &chain, 1, NULL))
		return dcap_fail(j, doc->chain_bad, 0, 0);
	if (x509_crl_has(&j->root_crl, leaf->serial))
		return dcap_fail(j, REASON_CERT_REVOKED, 0, 0);
	if (doc->sig.n != 64)
		return dcap_fail(j, doc->signature, 0, 0);
	dcap_window(j, leaf->not_before, leaf->not_after);
	return dcap_want(j, doc->chain_bad, leaf->tbs, j->root.key, leaf->sig) ||
			       dcap_want(j, doc->signature, doc->text, leaf->key, doc->sig.p)
		       ? -1
		       : 0;
}

int dcap_pck(struct dcap_job *j)
{
	struct span pem = j->col.pck_certificate_chain;
	struct chain chain;
	size_t i = 1;
	enum reason why;

	if (!pem.n && j->quote.cert_type != QUOTE_CERT_PCK_CHAIN)
		return dcap_fail(j, REASON_PCK_TYPE, j->quote.cert_type, 0);
	if (dcap_chain(j, pem.n ? pem : j->quote.cert_data, &chain))
		return dcap_fail(j, REASON_PCK_CHAIN, 0, 0);
	if (chain.n < 2)
		return dcap_fail(j, REASON_PCK_CHAIN_SHORT, 0, 0);
	struct x509 *leaf = &chain.cert[0];
	if (!is_leaf(j, leaf, "SGX PCK Certificate") || span_eq(leaf->issuer, j->root.subject))
		return dcap_fail(j, REASON_PCK_CHAIN, 0, 0);
	while (i < chain.n && !span_eq(chain.cert[i].subject, leaf->issuer))
		i++;
	if (i == chain.n)
		return dcap_fail(j, REASON_PCK_CHAIN, 0, 0);
	struct x509 *ca = &chain.cert[i];
	// Unknown revocation status is refused: the list must be of this CA.
	if (!is_authority(j, ca, 0) || !x509_name_has(ca, "CA") || !span_eq(ca->issuer, j->root.subject) ||
	    !span_eq(j->pck_crl.issuer, ca->subject) || !is_exact(j, &chain, 1, ca))
		return dcap_fail(j, REASON_PCK_CHAIN, 0, 0);
	if (x509_crl_has(&j->root_crl, ca->serial) || x509_crl_has(&j->pck_crl, leaf->serial))
		return dcap_fail(j, REASON_CERT_REVOKED, 0, 0);
	dcap_window(j, leaf->not_before, leaf->not_after);
	if (dcap_want(j, REASON_PCK_CHAIN, leaf->tbs, ca->key, leaf->sig) ||
	    dcap_want(j, REASON_PCK_CHAIN, ca->tbs, j->root.key, ca->sig))
		return -1;
	if ((why = pck_parse(&j->pck, leaf)))
		return dcap_fail(j, why, 0, 0);
	j->leaf = *leaf;
	return 0;
}
