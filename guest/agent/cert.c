#include "cert.h"

#include <string.h>
#include "base/strings.h"
#include "base/time.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "evidence.h"
#include "kms_link.h"
#include "ratls/issue.h"
#include "rpc/pbjson.h"

enum { NAME_MAX_BYTES = 253, CSR_ROOM = 1024 };

static const int64_t earliest = 157766400; // 1975-01-01, upstream's default
static const int64_t lifetime = 3650ll * 24 * 3600;

// A wildcard stands for the whole first label of a name, and for nothing else.
static bool wildcard_ok(const char *name)
{
	const char *star = strchr(name, '*');

	return !star ||
	       (star == name && name[1] == '.' && name[2] && name[2] != '.' && !strchr(name + 1, '*'));
}

static int check_request(const struct tls_request *r, struct err *e)
{
	if (r->has_not_before && r->has_not_after && r->not_before >= r->not_after)
		return err_code(e, ERR_INPUT, "agent.validity", "not_before must be earlier than not_after");
	if ((r->has_not_before && r->not_before > INT64_MAX / 2) ||
	    (r->has_not_after && r->not_after > INT64_MAX / 2))
		return err_code(e, ERR_INPUT, "agent.validity",
				"not_before and not_after are seconds since 1970");
	if (strlen(r->subject) > NAME_MAX_BYTES)
		return err_code(e, ERR_INPUT, "agent.name", "subject is longer than %d bytes",
				NAME_MAX_BYTES);
	if (r->n_names > CSR_NAMES_MAX)
		return err_code(e, ERR_INPUT, "agent.name", "more than %d alternative names", CSR_NAMES_MAX);
	for (size_t i = 0; i < r->n_names; i++) {
		size_t n = strlen(r->names[i]);
		if (!n || n > NAME_MAX_BYTES)
			return err_code(e, ERR_INPUT, "agent.name",
					"alternative name of %zu bytes, want 1 to %d", n, NAME_MAX_BYTES);
		for (size_t j = 0; j < n; j++)
			if (r->names[i][j] <= ' ' || r->names[i][j] > '~')
				return err_code(e, ERR_INPUT, "agent.name",
						"alternative name %s is not plain ASCII",
						STR_QZ(r->names[i]));
		if (!wildcard_ok(r->names[i]))
			return err_code(e, ERR_INPUT, "agent.name",
					"alternative name %s: * may only be the whole first label",
					STR_QZ(r->names[i]));
	}
	return 0;
}

static char *pem_text(X509 *c, struct arena *a, struct err *e)
{
	char *pem = arena_alloc(a, CERT_PEM_MAX);

	if (!pem) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	return cert_to_pem(c, pem, CERT_PEM_MAX, e) ? NULL : pem;
}

static int add_legacy(const struct agent *g, const struct evidence *v, struct arena *a,
		      struct cert_spec *spec, struct err *e)
{
	const char *events = evidence_cert_events(v, a, e);

	if (!events)
		return -1;
	spec->quote = span_of(v->quote.bytes, v->quote.n);
	spec->event_log = span_str(events);
	if (g->legacy != LEGACY_PACKED || spec->event_log.n > EVENT_LOG_EXT_MAX)
		return 0; // readers unpack no more than that
	struct wr size = wr_to(NULL, 0);
	event_log_pack(&size, spec->event_log);
	uint8_t *bytes = arena_alloc(a, size.n + 1);
	struct wr w = wr_to(bytes, bytes ? size.n : 0);
	event_log_pack(&w, spec->event_log);
	spec->event_log = span_of(bytes, w.n);
	return w.bad ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

// Everything about the evidence that a certificate may carry.
static int add_evidence(struct agent *g, const struct tls_request *r, const struct evidence *v,
			struct arena *a, struct cert_spec *spec, struct err *e)
{
	if (r->ra_tls && (evidence_envelope(v, g->app.vm_config, true, a, &spec->attestation, e) ||
			  (g->legacy != LEGACY_NONE && add_legacy(g, v, a, spec, e))))
		return -1;
	if (r->app_info) {
		struct facts f;
		if (evidence_facts(v, g->app.vm_config, &f, e) ||
		    evidence_app_info(&f, a, &spec->app_info, e))
			return -1;
	}
	return 0;
}

int cert_open(struct agent *g, struct err *e)
{
	if (g->keys.provider == PROVIDER_KMS) {
		g->kms = kms_link_new(g);
		return g->kms ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
	}
	auto_x509 X509 *ca = cert_from_pem(span_str(g->keys.ca_cert), e);
	if (!ca)
		return err_wrap(e, "the app's CA");
	g->ca = (struct cert_issuer){ .cert = TAKE_SSL(ca), .sign = custody_sign_cert, .arg = g->custody };
	return 0;
}

void cert_close(struct agent *g)
{
	kms_link_free(g->kms);
	g->kms = NULL;
	X509_free(g->ca.cert);
	g->ca = (struct cert_issuer){ 0 };
}

static int issue_here(struct agent *g, const struct tls_request *r, EVP_PKEY *key, const struct evidence *v,
		      struct arena *a, struct tls_answer *out, struct err *e)
{
	struct cert_spec spec = {
		.cn = r->subject,
		.sans = r->names,
		.n_sans = r->n_names,
		.path_len = -1,
		.server_auth = r->server_auth,
		.client_auth = r->client_auth,
		.not_before = r->has_not_before ? (int64_t)r->not_before : earliest,
		.not_after = r->has_not_after ? (int64_t)r->not_after : (int64_t)time_now() + lifetime,
		.usage = span_str("app:custom"),
		.encode_only = true,
	};

	if (!g->ca.cert)
		return err_set(e, ERR_BUG, "the app's CA is not open");
	if (v && add_evidence(g, r, v, a, &spec, e))
		return -1;
	auto_x509 X509 *leaf = cert_issue(&spec, key, &g->ca, e);
	out->chain = arena_array(a, 2, sizeof *out->chain);
	if (!leaf || !out->chain)
		return leaf ? err_set(e, ERR_SYSTEM, "out of memory") : -1;
	out->chain[0] = pem_text(leaf, a, e);
	out->chain[1] = arena_str(a, g->keys.ca_cert);
	out->n_chain = 2;
	return out->chain[0] && out->chain[1] ? 0 : -1;
}

static int make_csr(struct agent *g, const struct tls_request *r, struct span spki, const struct evidence *v,
		    struct arena *a, struct span *out, struct err *e)
{
	struct csr *c = arena_alloc(a, sizeof *c);

	if (!c)
		return err_set(e, ERR_SYSTEM, "out of memory");
	*c = (struct csr){
		.version = 2,
		.pubkey = spki,
		.subject = span_str(r->subject),
		.n_names = r->n_names,
		.server_auth = r->server_auth,
		.client_auth = r->client_auth,
		.ext_quote = r->ra_tls,
		.ext_app_info = r->app_info,
		.has_not_before = r->has_not_before,
		.has_not_after = r->has_not_after,
		.not_before = r->not_before,
		.not_after = r->not_after,
	};
	for (size_t i = 0; i < r->n_names; i++)
		c->names[i] = span_str(r->names[i]);
	if (evidence_envelope(v, g->app.vm_config, false, a, &c->attestation, e))
		return -1;
	struct wr size = wr_to(NULL, 0);
	csr_write(&size, c);
	uint8_t *bytes = arena_alloc(a, size.n + CSR_ROOM);
	struct wr w = wr_to(bytes, bytes ? size.n : 0);
	csr_write(&w, c);
	if (w.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	*out = span_of(bytes, w.n);
	return 0;
}

static int issue_by_kms(struct agent *g, const struct tls_request *r, EVP_PKEY *key, struct span spki,
			const struct evidence *v, struct arena *a, struct tls_answer *out, struct err *e)
{
	uint8_t sig[P256_SIG_MAX];
	size_t sig_n = 0;
	struct span csr;
	Kms__SignCertResponse *s = NULL;
	Kms__SignCertRequest in;

	if (make_csr(g, r, spki, v, a, &csr, e) || p256_sign(key, csr, sig, &sig_n, e))
		return -1;
	kms__sign_cert_request__init(&in);
	in.api_version = 2;
	in.csr = pb_bytes(a, csr.p, csr.n);
	in.signature = pb_bytes(a, sig, sig_n);
	in.vm_config = g->app.vm_config;
	if (kms_link_sign(g->kms, &in, a, &s, e))
		return err_wrap(e, "ask the KMS for a certificate");
	if (!s->n_certificate_chain)
		return err_set(e, ERR_UNTRUSTED, "the KMS answered with an empty certificate chain");
	out->chain = s->certificate_chain;
	out->n_chain = s->n_certificate_chain;
	return 0;
}

static int issue(struct agent *g, const struct tls_request *r, EVP_PKEY *key, struct arena *a,
		 struct tls_answer *out, struct err *e)
{
	uint8_t spki[P256_SPKI], report_data[RATLS_REPORT_DATA];
	bool kms = g->keys.provider == PROVIDER_KMS;
	struct evidence *v = NULL;

	if (p256_spki(key, spki, e))
		return -1;
	ratls_report_data(span_of(spki, sizeof spki), report_data);
	if (kms || r->ra_tls || r->app_info) { // a local CA needs no evidence of us
		v = evidence_get(g, report_data, a, e);
		if (!v)
			return -1;
	}
	int rc = kms ? issue_by_kms(g, r, key, span_of(spki, sizeof spki), v, a, out, e)
		     : issue_here(g, r, key, v, a, out, e);
	if (v)
		evidence_done(v);
	return rc;
}

static EVP_PKEY *key_of(const struct agent *g, const struct tls_request *r, struct err *e)
{
	uint8_t scalar[P256_SCALAR];

	if (!r->path)
		return p256_new(e);
	EVP_PKEY *key = custody_secret(g->custody, r->path, scalar, e) ? NULL : p256_from_scalar(scalar, e);
	secret_wipe(scalar, sizeof scalar);
	return key;
}

int cert_make(struct agent *g, const struct tls_request *r, struct arena *a, struct tls_answer *out,
	      struct err *e)
{
	if (check_request(r, e))
		return -1;
	auto_pkey EVP_PKEY *key = key_of(g, r, e);
	out->key = key ? arena_alloc(a, P256_PEM_MAX) : NULL;
	if (!out->key)
		return key ? err_set(e, ERR_SYSTEM, "out of memory") : -1;
	return p256_to_pem(key, out->key, e) || issue(g, r, key, a, out, e) ? -1 : 0;
}
