// Steps 1, 2, 4, 5, 6: the pinned root, revocation lists, signed documents, the PCK chain.
//
// A chain is exactly leaf - root or leaf - PCK CA - root. Which certificate plays which part is told by the
// common names that Intel's profile prescribes; without that rule any PCK certificate could sign TCB info.
#include "core/attest/dcap_job.h"

// From the `from`th on there is nothing but `ca` (NULL: none) and the root: bytes that nobody checks have no
// place.
static bool is_exact(const struct dcap_job *j, const struct dcap_certs *c, size_t from, const struct x509 *ca)
{
	for (size_t i = from; i < c->n; i++)
		if (!span_eq(c->cert[i].der, j->col->root.der) && !(ca && span_eq(c->cert[i].der, ca->der)))
			return false;
	return true;
}

// A chain that can be read and does not bring another root.
static int check_certs(struct dcap_job *j, const struct dcap_certs *c, enum reason bad)
{
	return c->other_root ? dcap_fail(j, REASON_ROOT_OTHER, 0, 0) : c->bad ? dcap_fail(j, bad, 0, 0) : 0;
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
	return c->has_constraints && !c->is_ca && c->usage & X509_DIGITAL_SIGNATURE && c->for_server &&
	       in_time(j, c) && x509_name_has(c, name);
}

static int check_crl(struct dcap_job *j, bool readable, const struct x509_crl *crl)
{
	if (!readable)
		return dcap_fail(j, REASON_CRL_FORMAT, 0, 0);
	if (crl->this_update > j->in->now || j->in->now >= crl->next_update)
		return dcap_fail(j, REASON_CRL_TIME, 0, 0);
	dcap_window(j, crl->this_update, crl->next_update - 1);
	return 0;
}

// The PCK revocation list comes from a PCK CA below the root.
static int pck_crl(struct dcap_job *j)
{
	const struct dcap_certs *chain = &j->col->crl_issuer;
	const struct x509 *root = &j->col->root, *ca;
	const struct x509_crl *crl = &j->col->pck_crl;
	size_t i = 0;

	if (check_crl(j, j->col->has_pck_crl, crl) || check_certs(j, chain, REASON_CRL_FORMAT))
		return -1;
	while (i < chain->n && !span_eq(chain->cert[i].subject, crl->issuer))
		i++;
	ca = &chain->cert[i];
	if (i == chain->n || !span_eq(ca->issuer, root->subject) || !is_authority(j, ca, 0) ||
	    !x509_name_has(ca, "CA") || !is_exact(j, chain, 0, ca))
		return dcap_fail(j, REASON_CRL_ISSUER, 0, 0);
	if (x509_crl_has(&j->col->root_crl, ca->serial))
		return dcap_fail(j, REASON_CERT_REVOKED, 0, 0);
	return dcap_want(j, REASON_CRL_SIGNATURE, ca->tbs, root->key, ca->sig) ||
			       dcap_want(j, REASON_CRL_SIGNATURE, crl->tbs, ca->key, crl->sig)
		       ? -1
		       : 0;
}

int dcap_roots(struct dcap_job *j)
{
	const struct x509 *r = &j->col->root;
	const struct x509_crl *crl = &j->col->root_crl;

	if (!j->col->has_root || !r->is_ca || !(r->usage & X509_CERT_SIGN) ||
	    !x509_name_has(r, "SGX Root CA"))
		return dcap_fail(j, REASON_ROOT_FORMAT, 0, 0);
	if (!in_time(j, r))
		return dcap_fail(j, REASON_ROOT_TIME, 0, 0);
	if (!is_authority(j, r, 1)) // the PCK CA lies between it and the PCK certificate
		return dcap_fail(j, REASON_ROOT_FORMAT, 0, 0);
	if (check_crl(j, j->col->has_root_crl, crl))
		return -1;
	if (!span_eq(crl->issuer, r->subject))
		return dcap_fail(j, REASON_CRL_ISSUER, 0, 0);
	if (dcap_want(j, REASON_CRL_SIGNATURE, crl->tbs, r->key, crl->sig) || pck_crl(j))
		return -1;
	if (x509_crl_has(crl, r->serial))
		return dcap_fail(j, REASON_ROOT_REVOKED, 0, 0);
	dcap_window(j, r->not_before, r->not_after);
	return 0;
}

int dcap_signed(struct dcap_job *j, const struct dcap_document *doc, const struct dcap_names *name)
{
	const struct x509 *root = &j->col->root, *leaf = &doc->signer->cert[0];

	if (!doc->readable)
		return dcap_fail(j, name->format, 0, 0);
	if (j->in->now < doc->issued)
		return dcap_fail(j, name->future, 0, 0);
	if (j->in->now > doc->next)
		return dcap_fail(j, name->expired, 0, 0);
	dcap_window(j, doc->issued, doc->next);
	if (check_certs(j, doc->signer, name->chain_bad))
		return -1;
	if (!doc->signer->n)
		return dcap_fail(j, name->chain_short, 0, 0);
	if (!is_leaf(j, leaf, "SGX TCB Signing") || !span_eq(leaf->issuer, root->subject) ||
	    !is_exact(j, doc->signer, 1, NULL))
		return dcap_fail(j, name->chain_bad, 0, 0);
	if (x509_crl_has(&j->col->root_crl, leaf->serial))
		return dcap_fail(j, REASON_CERT_REVOKED, 0, 0);
	if (doc->sig.n != 64)
		return dcap_fail(j, name->signature, 0, 0);
	dcap_window(j, leaf->not_before, leaf->not_after);
	return dcap_want(j, name->chain_bad, leaf->tbs, root->key, leaf->sig) ||
			       dcap_want(j, name->signature, doc->text, leaf->key, doc->sig.p)
		       ? -1
		       : 0;
}

// The chain of the collateral when it brings one, else that of the quote.
static const struct dcap_certs *pck_certs(struct dcap_job *j)
{
	struct wr arena = wr_to(j->d->arena, sizeof j->d->arena);

	if (j->col->has_pck)
		return &j->col->pck;
	dcap_certs_read(&j->d->pck, j->quote.cert_data, &j->col->root, &arena);
	return &j->d->pck;
}

int dcap_pck(struct dcap_job *j)
{
	const struct dcap_collateral *c = j->col;
	size_t i = 1;
	enum reason why;

	if (!quote_cert_name(j->quote.cert_type) || j->quote.cert_type == QUOTE_CERT_QE_REPORT ||
	    (!c->has_pck && j->quote.cert_type != QUOTE_CERT_PCK_CHAIN))
		return dcap_fail(j, REASON_PCK_TYPE, j->quote.cert_type, 0);
	const struct dcap_certs *chain = pck_certs(j);
	if (check_certs(j, chain, REASON_PCK_CHAIN))
		return -1;
	if (chain->n < 2)
		return dcap_fail(j, REASON_PCK_CHAIN_SHORT, 0, 0);
	const struct x509 *leaf = &chain->cert[0];
	if (!is_leaf(j, leaf, "SGX PCK Certificate") || span_eq(leaf->issuer, c->root.subject))
		return dcap_fail(j, REASON_PCK_CHAIN, 0, 0);
	while (i < chain->n && !span_eq(chain->cert[i].subject, leaf->issuer))
		i++;
	if (i == chain->n)
		return dcap_fail(j, REASON_PCK_CHAIN, 0, 0);
	const struct x509 *ca = &chain->cert[i];
	// Unknown revocation status is refused: the list must be of this CA.
	if (!is_authority(j, ca, 0) || !x509_name_has(ca, "CA") || !span_eq(ca->issuer, c->root.subject) ||
	    !span_eq(c->pck_crl.issuer, ca->subject) || !is_exact(j, chain, 1, ca))
		return dcap_fail(j, REASON_PCK_CHAIN, 0, 0);
	if (x509_crl_has(&c->root_crl, ca->serial) || x509_crl_has(&c->pck_crl, leaf->serial))
		return dcap_fail(j, REASON_CERT_REVOKED, 0, 0);
	dcap_window(j, leaf->not_before, leaf->not_after);
	dcap_window(j, ca->not_before, ca->not_after);
	if (dcap_want(j, REASON_PCK_CHAIN, leaf->tbs, ca->key, leaf->sig) ||
	    dcap_want(j, REASON_PCK_CHAIN, ca->tbs, c->root.key, ca->sig))
		return -1;
	if ((why = pck_parse(&j->pck, leaf)))
		return dcap_fail(j, why, 0, 0);
	j->leaf = leaf;
	return 0;
}
