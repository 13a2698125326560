// Certificates: which one plays which part is told by the names that AMD's profile prescribes.
//
// A chain is ARK - ASK - VCEK. The ARK is the pinned one; the chain may repeat it. Anything else has no
// place.
#include "core/attest/snp_job.h"
#include "core/codec/pem.h"

static const char *const ark_name[SNP_PRODUCTS] = { "ARK-Milan", "ARK-Genoa", "ARK-Turin" };
static const char *const ask_name[SNP_PRODUCTS] = { "SEV-Milan", "SEV-Genoa", "SEV-Turin" };

static bool starts(struct span s, const char *with)
{
	struct span head = span_str(with);

	return s.n >= head.n && span_eq(span_of(s.p, head.n), head);
}

static bool in_time(const struct snp_job *j, const struct amd_cert *c)
{
	return c->x.not_before <= j->in->now && j->in->now <= c->x.not_after;
}

static void window(struct snp_job *j, uint64_t from, uint64_t to)
{
	struct snp_result *r = &j->s->result;

	if (from > r->issued)
		r->issued = from;
	if (to < r->expires)
		r->expires = to;
}

static bool is_authority(const struct amd_cert *c)
{
	return !c->is_ec && c->x.has_constraints && c->x.is_ca && c->x.usage & X509_CERT_SIGN;
}

static bool is_root(const struct amd_cert *c, enum snp_product *p)
{
	if (!is_authority(c) || !span_eq(c->x.subject, c->x.issuer))
		return false;
	for (*p = SNP_MILAN; *p < SNP_PRODUCTS; ++*p)
		if (span_is(c->x.common_name, ark_name[*p]))
			return true;
	return false;
}

static int parse_root(struct amd_cert *c, struct span root)
{
	return amd_is_root(root) ? amd_tbs_parse(c, root) : amd_cert_parse(c, root);
}

bool snp_root_product(struct span root, enum snp_product *p)
{
	struct amd_cert c;

	return !parse_root(&c, root) && is_root(&c, p);
}

enum anchor snp_root_anchor(struct span root)
{
	struct amd_cert c;

	return !parse_root(&c, root) && amd_is_root(c.x.tbs) ? ANCHOR_AMD : ANCHOR_DEVELOPMENT;
}

// By the name of an authority.
static bool named_product(const struct amd_cert *c, enum snp_product *p)
{
	for (*p = SNP_MILAN; *p < SNP_PRODUCTS; ++*p)
		if (span_is(c->x.common_name, ask_name[*p]) || span_is(c->x.common_name, ark_name[*p]))
			return true;
	return false;
}

static bool item_product(struct span item, enum snp_product *p)
{
	struct rd in = rd_span(item);
	uint8_t der[SNP_CERT_MAX];
	struct amd_cert c;
	size_t n;

	if (item.n && item.p[0] == 0x30)
		return !amd_cert_parse(&c, item) && named_product(&c, p);
	for (size_t i = 0; i < SNP_CERTS && pem_next(&in, der, sizeof der, &n) == 1; i++)
		if (!amd_cert_parse(&c, span_of(der, n)) && named_product(&c, p))
			return true;
	return false;
}

struct span snp_default_root(const struct snp_input *in)
{
	struct snp_report r;
	uint32_t arg[2];
	enum snp_product p;

	if (!snp_report_read(&r, in->report, arg) && !snp_report_product(&r, &p))
		return amd_root(p);
	for (size_t i = 0; i < in->n_items && i < SNP_ITEMS; i++)
		if (item_product(in->items[i], &p))
			return amd_root(p);
	return amd_root(SNP_MILAN);
}

static int read_root(struct snp_job *j, struct span root)
{
	struct amd_cert *c = &j->root;

	if (parse_root(c, root) || !is_root(c, &j->s->result.product))
		return snp_fail(j, REASON_SNP_ROOT_FORMAT, 0, 0);
	if (!in_time(j, c))
		return snp_fail(j, REASON_SNP_ROOT_TIME, 0, 0);
	window(j, c->x.not_before, c->x.not_after);
	return c->sig.n ? snp_want(j, REASON_SNP_ROOT_FORMAT, SIG_RSA_PSS_SHA384, c->x.tbs, c->key, c->sig)
			: 0;
}

// One certificate into its place.
static int place(struct snp_job *j, struct span der)
{
	struct amd_cert c;

	if (amd_cert_parse(&c, der))
		return snp_fail(j, REASON_SNP_CERT_FORMAT, 0, 0);
	if (c.csp.p || starts(c.x.common_name, "SEV-VLEK"))
		return snp_fail(j, REASON_SNP_CERT_VLEK, 0, 0);
	if (span_eq(c.x.subject, c.x.issuer) && !span_eq(c.x.tbs, j->root.x.tbs))
		return snp_fail(j, REASON_SNP_ROOT_OTHER, 0, 0);
	if (span_eq(c.x.subject, c.x.issuer)) // the root again; nothing in it goes unchecked
		return snp_want(j, REASON_SNP_ROOT_OTHER, SIG_RSA_PSS_SHA384, c.x.tbs, j->root.key, c.sig);
	struct amd_cert *to = span_is(c.x.common_name, "SEV-VCEK") ? &j->vcek : &j->ask;
	if (to->x.der.n)
		return snp_fail(j, REASON_SNP_CHAIN, 0, 0);
	*to = c;
	return 0;
}

static int read_pem(struct snp_job *j, struct span text, size_t *count)
{
	struct snp *s = j->s;
	struct rd in = rd_span(text);
	size_t n;
	int more;

	while ((more = pem_next(&in, s->arena + s->used, sizeof s->arena - s->used, &n)) == 1) {
		struct span der = span_of(s->arena + s->used, n);
		s->used += n;
		if (++*count > SNP_CERTS)
			return snp_fail(j, REASON_SNP_CHAIN, 0, 0);
		if (place(j, der))
			return -1;
	}
	return more ? snp_fail(j, REASON_SNP_CERT_FORMAT, 0, 0) : 0;
}

static int read_items(struct snp_job *j)
{
	size_t count = 0;

	for (size_t i = 0; i < j->in->n_items && i < SNP_ITEMS; i++) {
		struct span item = j->in->items[i];
		if (!item.n || item.p[0] != 0x30) {
			if (read_pem(j, item, &count))
				return -1;
			continue;
		}
		if (item.n > SNP_CERT_MAX)
			return snp_fail(j, REASON_SNP_CERT_FORMAT, 0, 0);
		if (++count > SNP_CERTS)
			return snp_fail(j, REASON_SNP_CHAIN, 0, 0);
		if (place(j, item))
			return -1;
	}
	if (j->in->n_items > SNP_ITEMS)
		return snp_fail(j, REASON_SNP_CHAIN, 0, 0);
	if (!j->vcek.x.der.n || !j->ask.x.der.n)
		return snp_fail(j, REASON_SNP_CERTS_MISSING, 0, 0);
	return 0;
}

// The product by CPU, by root and by the certificates' names is the same.
static int same_product(struct snp_job *j)
{
	enum snp_product cpu, p = j->s->result.product;

	if (j->s->result.report.version >= 3) {
		if (snp_report_product(&j->s->result.report, &cpu))
			return snp_fail(j, REASON_SNP_PRODUCT, j->s->result.report.cpu_family,
					j->s->result.report.cpu_model);
		if (cpu != p)
			return snp_fail(j, REASON_SNP_PRODUCT_OTHER, 0, 0);
	}
	if (!span_eq(j->ask.x.issuer, j->root.x.subject) || !span_is(j->ask.x.common_name, ask_name[p]))
		return snp_fail(j, REASON_SNP_PRODUCT_OTHER, 0, 0);
	return 0;
}

static int revocation(struct snp_job *j)
{
	struct amd_crl crl;

	if (!j->in->crl.n)
		return 0;
	if (j->in->crl.n > SNP_CRL_MAX || amd_crl_parse(&crl, j->in->crl) ||
	    !span_eq(crl.x.issuer, j->root.x.subject) || !(j->root.x.usage & X509_CRL_SIGN))
		return snp_fail(j, REASON_SNP_CRL_FORMAT, 0, 0);
	if (crl.x.this_update > j->in->now || j->in->now >= crl.x.next_update)
		return snp_fail(j, REASON_SNP_CRL_TIME, 0, 0);
	if (snp_want(j, REASON_SNP_CRL_SIGNATURE, SIG_RSA_PSS_SHA384, crl.x.tbs, j->root.key, crl.sig))
		return -1;
	// The root issues ASKs only; every VCEK has the serial number 0 and is never listed.
	if (x509_crl_has(&crl.x, j->ask.x.serial) || x509_crl_has(&crl.x, j->root.x.serial))
		return snp_fail(j, REASON_SNP_REVOKED, 0, 0);
	window(j, crl.x.this_update, crl.x.next_update - 1);
	j->s->result.revocation_checked = true;
	return 0;
}

int snp_chain(struct snp_job *j, struct span root)
{
	struct amd_cert *ask = &j->ask, *vcek = &j->vcek;

	if (read_root(j, root) || read_items(j) || same_product(j))
		return -1;
	if (!is_authority(ask) || vcek->x.is_ca || !vcek->is_ec || !span_eq(vcek->x.issuer, ask->x.subject))
		return snp_fail(j, REASON_SNP_CHAIN, 0, 0);
	if (!in_time(j, ask) || !in_time(j, vcek))
		return snp_fail(j, REASON_SNP_CERT_TIME, 0, 0);
	window(j, ask->x.not_before, ask->x.not_after);
	window(j, vcek->x.not_before, vcek->x.not_after);
	if (snp_want(j, REASON_SNP_ASK_SIGNATURE, SIG_RSA_PSS_SHA384, ask->x.tbs, j->root.key, ask->sig) ||
	    revocation(j))
		return -1;
	return snp_want(j, REASON_SNP_VCEK_SIGNATURE, SIG_RSA_PSS_SHA384, vcek->x.tbs, ask->key, vcek->sig);
}

// ---- what the VCEK says

enum { SPL_BOOT = 1, SPL_TEE, SPL_SNP, SPL_4, SPL_5, SPL_6, SPL_7, SPL_UCODE, SPL_FMC };

// Publication 57230: which security patch level is in which byte of a TCB version.
static const uint8_t layout[SNP_PRODUCTS][8] = {
	[SNP_MILAN] = { SPL_BOOT, SPL_TEE, SPL_4, SPL_5, SPL_6, SPL_7, SPL_SNP, SPL_UCODE },
	[SNP_GENOA] = { SPL_BOOT, SPL_TEE, SPL_4, SPL_5, SPL_6, SPL_7, SPL_SNP, SPL_UCODE },
	[SNP_TURIN] = { SPL_FMC, SPL_BOOT, SPL_TEE, SPL_SNP, SPL_5, SPL_6, SPL_7, SPL_UCODE },
};

static bool is_of_product(struct span product, const char *name)
{
	size_t n = span_str(name).n;

	return starts(product, name) && (product.n == n || product.p[n] == '-');
}

static int chip(struct snp_job *j, bool is_turin)
{
	const uint8_t *id = j->s->result.report.chip_id;
	uint8_t rest = 0;

	if (j->vcek.hwid.n != (is_turin ? 8 : 64))
		return snp_fail(j, REASON_SNP_VCEK_FIELDS, 0, 0);
	for (size_t i = j->vcek.hwid.n; i < 64; i++)
		rest |= id[i];
	return rest || !span_eq(j->vcek.hwid, span_of(id, j->vcek.hwid.n))
		       ? snp_fail(j, REASON_SNP_CHIP_ID, 0, 0)
		       : 0;
}

int snp_identity(struct snp_job *j)
{
	const struct amd_cert *c = &j->vcek;
	enum snp_product p = j->s->result.product;
	bool is_turin = p == SNP_TURIN;
	uint16_t want = 0;

	for (size_t i = 0; i < 8; i++)
		want |= (uint16_t)(1u << layout[p][i]);
	if (!c->has_version || c->version != is_turin || c->has != want ||
	    !is_of_product(c->product, snp_product_name(p)))
		return snp_fail(j, REASON_SNP_VCEK_FIELDS, 0, 0);
	if (chip(j, is_turin))
		return -1;
	for (size_t i = 0; i < 8; i++)
		if (c->spl[layout[p][i]] != j->s->result.report.reported[i])
			return snp_fail(j, REASON_SNP_TCB_MISMATCH, (uint32_t)i, 0);
	return 0;
}
