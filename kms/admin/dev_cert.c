// A certificate without evidence, for a gateway outside a CVM: asked by an administrator, and only where
// development is on. Like `dstack-kms issue`, for a KMS whose keys are where no command reaches them.
#include <string.h>

#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "crypto/issue.h"
#include "crypto/ssl.h"
#include "kms.pb-c.h"
#include "../certs/names.h"
#include "../service/service.h"

enum { DAYS = 365, DAY = 86400, PEM_MAX = 16384 };

struct signer {
	struct keyproc *keys;
	const struct audit_entry *entry;
};

static int sign_as_app(void *arg, const uint8_t digest[static 32], uint8_t *sig, size_t *sig_len,
		       struct err *e)
{
	const struct signer *s = arg;

	return keyproc_sign_app(s->keys, 0, s->entry, digest, sig, sig_len, e);
}

static int check(const struct service *s, const Kms__DevelopmentCertRequest *q, struct err *e)
{
	if (!s->config->insecure_development)
		return err_code(
			e, ERR_DENIED, "config.development_only",
			"a certificate without evidence is only signed with insecure_development = true");
	if (q->app_id.len != APP_ID)
		return err_code(e, ERR_INPUT, "kms.app_id", "app_id must be 20 bytes");
	if (q->n_alt_names > NAMES_MAX || !*q->name || strlen(q->name) > 64)
		return err_code(e, ERR_INPUT, "kms.domain", "one name of at most 64 bytes, at most %d others",
				NAMES_MAX);
	for (size_t i = 0; i < q->n_alt_names; i++)
		if (!name_is_valid(q->alt_names[i]))
			return err_code(e, ERR_INPUT, "kms.domain", "%s is no DNS name and no IP address",
					STR_QZ(q->alt_names[i]));
	return 0;
}

// No evidence was judged, and the record says so in words.
static void entry_of(struct audit_entry *x, const Kms__DevelopmentCertRequest *q)
{
	struct boot_info none = { .has_app_id = true, .anchor = "none", .tee_variant = "none" };

	memcpy(none.app_id, q->app_id.data, APP_ID);
	kms_audit_who_csr(x, &none, span_of(q->public_key.data, q->public_key.len), (struct span){ 0 });
	x->event = AUDIT_CERT;
	snprintf(x->source, sizeof x->source, "administrator");
	snprintf(x->reason, sizeof x->reason,
		 "development certificate without evidence, subject %s, %zu names", q->name, q->n_alt_names);
}

static int add_pem(struct arena *a, X509 *c, char **out, struct err *e)
{
	char *pem = arena_alloc(a, PEM_MAX);

	*out = pem;
	return pem ? cert_to_pem(c, pem, PEM_MAX, e) : err_set(e, ERR_SYSTEM, "out of memory");
}

int kms_admin_dev_cert(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	struct arena *a = rpc_arena(call);
	const Kms__DevelopmentCertRequest *q = in;
	Kms__SignCertResponse *r = out;
	struct audit_entry x;
	struct signer signer = { s->keys, &x };
	int64_t now = (int64_t)time_now();

	if (check(s, q, e))
		return -1;
	entry_of(&x, q);
	auto_pkey EVP_PKEY *key = p256_from_spki(span_of(q->public_key.data, q->public_key.len), e);
	auto_x509 X509 *ca = key ? keyproc_app_ca(s->keys, 0, q->app_id.data, e) : NULL;
	struct cert_spec spec = { .cn = q->name,
				  .sans = (const char *const *)q->alt_names,
				  .n_sans = q->n_alt_names,
				  .server_auth = true,
				  .client_auth = true,
				  .not_before = now - DAY,
				  .not_after = now + (int64_t)DAYS * DAY,
				  .app_id = span_of(q->app_id.data, APP_ID),
				  .usage = span_str("app:custom"),
				  .encode_only = true };
	struct cert_issuer by = { .cert = ca, .sign = sign_as_app, .arg = &signer };
	if (!ca || service_count_cert(s, 0, &x, &spec, e))
		return -1;
	spec.crl_url = service_crl_url(s, a, q->app_id.data, 0);
	auto_x509 X509 *leaf = cert_issue(&spec, key, &by, e);

	r->certificate_chain = arena_array(a, 3, sizeof *r->certificate_chain);
	if (!leaf || !r->certificate_chain)
		return leaf ? err_set(e, ERR_SYSTEM, "out of memory") : -1;
	if (add_pem(a, leaf, &r->certificate_chain[0], e) || add_pem(a, ca, &r->certificate_chain[1], e))
		return -1;
	r->certificate_chain[2] = s->faces.face[0].ca_pem;
	r->n_certificate_chain = 3;
	log_warn("kms", "development certificate signed without evidence app=%s subject=%s",
		 STR_HEX(q->app_id.data, APP_ID), STR_QZ(q->name));
	return 0;
}
