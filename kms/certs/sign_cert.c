#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "core/attest/certext.h"
#include "core/attest/envelope.h"
#include "core/attest/quote.h"
#include "crypto/csr.h"
#include "crypto/issue.h"
#include "crypto/p256.h"
#include "crypto/ssl.h"
#include "../service/evidence.h"
#include "kms.pb-c.h"
#include "ratls/images.h"
#include "ratls/issue.h"
#include "../service/service.h"

enum {
	TEXT_MAX = 253,
	APP_INFO_MAX = 8192,
	PEM_MAX = 1 << 20,
	EVENTS_MAX = 512,
	ENVELOPE_ROOM = 4096,
	RUNTIME_IMR = 3
};
static const int64_t day = 86400;

// A text of the request for the certificate: UTF-8 without control characters, with a NUL behind.
static int text_of(struct arena *a, struct span s, const char *what, char **out, struct err *e)
{
	bool ok = s.n <= TEXT_MAX && str_is_utf8(s.p, s.n);

	for (size_t i = 0; ok && i < s.n; i++)
		ok = s.p[i] >= 0x20 && s.p[i] != 0x7f;
	if (!ok)
		return err_code(e, ERR_INPUT, "csr.text",
				"the request's %s is not plain text of at most %d bytes", what, TEXT_MAX);
	*out = arena_dup(a, s.p, s.n);
	return *out ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

struct request {
	struct csr csr;
	struct cert_spec spec;
	char *sans[CSR_NAMES_MAX];
};

static int read_texts(struct arena *a, struct request *r, struct err *e)
{
	char *cn = NULL, *org = NULL;

	if (text_of(a, r->csr.subject, "subject", &cn, e) ||
	    (r->csr.has_org && text_of(a, r->csr.org, "organisation", &org, e)))
		return -1;
	r->spec.cn = cn;
	r->spec.org = org;
	for (size_t i = 0; i < r->csr.n_names; i++)
		if (text_of(a, r->csr.names[i], "name", &r->sans[i], e) || name_check_form(r->sans[i], e))
			return -1;
	r->spec.sans = (const char *const *)r->sans;
	r->spec.n_sans = r->csr.n_names;
	return 0;
}

static int read_validity(const struct service *s, struct request *r, struct err *e)
{
	int64_t now = (int64_t)time_now(), longest = now + s->config->leaf_days * day;
	const struct csr *c = &r->csr;

	r->spec.not_before = now - day;
	if (c->has_not_before && c->not_before > (uint64_t)r->spec.not_before)
		r->spec.not_before = c->not_before < (uint64_t)longest ? (int64_t)c->not_before : longest;
	r->spec.not_after = longest;
	if (c->has_not_after && c->not_after < (uint64_t)longest)
		r->spec.not_after = (int64_t)c->not_after;
	if (r->spec.not_before >= r->spec.not_after)
		return err_code(e, ERR_INPUT, "csr.validity", "the requested validity ends before it begins");
	return 0;
}

static int read_request(const struct service *s, struct arena *a, const Kms__SignCertRequest *in,
			struct request *r, struct err *e)
{
	struct span bytes = span_of(in->csr.data, in->csr.len),
		    sig = span_of(in->signature.data, in->signature.len);
	struct fault f = { 0 };

	if (csr_read(&r->csr, bytes, (int)(in->api_version > 2 ? 0 : in->api_version), &f)) {
		err_fault(e, ERR_INPUT, &f);
		return err_wrap(e, "Failed to parse csr");
	}
	if (csr_verify(bytes, &r->csr, sig, e))
		return -1;
	auto_pkey EVP_PKEY *key = p256_from_spki(r->csr.pubkey, e);
	if (!key || read_texts(a, r, e) || read_validity(s, r, e))
		return -1;
	r->spec.server_auth = r->csr.server_auth;
	r->spec.client_auth = r->csr.client_auth;
	return 0;
}

static int check_evidence(struct service *s, const struct request *r, const char *vm_config, bool boottime,
			  struct trust_result *out, struct err *e)
{
	uint8_t report_data[RATLS_REPORT_DATA];
	struct trust_expect x = { .report_data = report_data,
				  .vm_config = span_str(vm_config),
				  .boottime = boottime };

	ratls_report_data(r->csr.pubkey, report_data);
	struct evidence_of w = { .envelope = r->csr.attestation };
	if (r->csr.version == 1)
		w = (struct evidence_of){ .quote = r->csr.quote, .event_log = r->csr.event_log };
	if (!service_check_evidence(s, &w, &x, out, e))
		return 0;
	return err_wrap(e, "%s",
			evidence_blames_image(e) ? "Failed to verify os image hash"
						 : "Quote verification failed");
}

static int add_app_info(struct arena *a, struct request *r, const struct trust_result *full, struct err *e)
{
	uint8_t *p = arena_alloc(a, APP_INFO_MAX);
	struct wr w = wr_to(p, p ? APP_INFO_MAX : 0);
	struct app_info info;

	trust_app_info(&info, &full->boot);
	app_info_write(&w, &info);
	if (w.bad)
		return err_set(e, ERR_SYSTEM, "app info of %zu bytes is too large", w.n);
	r->spec.app_info = span_of(p, w.n);
	return 0;
}

// The older pair of extensions, for readers that know no other (upstream's Go module).
static int add_legacy(struct arena *a, struct request *r, const struct envelope *env, struct err *e)
{
	struct wr size = wr_to(NULL, 0);

	eventlog_write_json(&size, &env->log, true);
	uint8_t *p = arena_alloc(a, size.n + 1);
	struct wr w = wr_to(p, p ? size.n : 0);
	eventlog_write_json(&w, &env->log, true);
	if (w.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	r->spec.quote = env->quote;
	r->spec.event_log = span_of(p, w.n);
	return 0;
}

// Version 1 has quote and event log side by side; the config that explains them is the call's.
static int join_evidence(struct envelope *env, struct wr *scratch, const struct csr *c, const char *vm_config,
			 struct fault *f)
{
	struct quote q;

	if (quote_parse(&q, c->quote) != REASON_OK) // verified before
		return fault_set(f, "csr.format", "no quote", 0);
	env->kind = ENVELOPE_TDX;
	env->quote = c->quote;
	memcpy(env->report_data, quote_report_data(&q).p, sizeof env->report_data);
	env->config = span_str(vm_config);
	if (eventlog_read_json(&env->log, scratch, c->event_log, f))
		return -1;
	for (size_t i = 0; i < env->log.n; i++)
		if (env->log.e[i].imr == RUNTIME_IMR)
			env->runtime.e[env->runtime.n++] = env->log.e[i];
	return 0;
}

// What a certificate carries of the evidence: stripped of what no verifier needs.
static int add_evidence(struct arena *a, struct request *r, const char *vm_config, struct err *e)
{
	const struct csr *c = &r->csr;
	size_t cap = c->attestation.n + c->quote.n + c->event_log.n + strlen(vm_config) + ENVELOPE_ROOM;
	uint8_t *room = arena_alloc(a, cap), *out = arena_alloc(a, cap);
	struct envelope *env = arena_alloc(a, sizeof *env);
	struct event *events = arena_array(a, 2 * (size_t)EVENTS_MAX, sizeof *events);
	struct wr scratch = wr_to(room, cap), w = wr_to(out, cap);
	struct fault f = { 0 };

	if (!room || !out || !env || !events)
		return err_set(e, ERR_SYSTEM, "out of memory");
	env->log = (struct eventlog){ .e = events, .cap = EVENTS_MAX };
	env->runtime = (struct eventlog){ .e = events + EVENTS_MAX, .cap = EVENTS_MAX };
	if (c->version == 1 ? join_evidence(env, &scratch, c, vm_config, &f)
			    : envelope_read(env, &scratch, c->attestation, &f))
		return err_fault(e, ERR_INPUT, &f);
	envelope_strip(env);
	if (envelope_write(&w, env, &f))
		return err_fault(e, ERR_INPUT, &f);
	if (w.bad)
		return err_set(e, ERR_BUG, "stripped evidence is larger than the evidence");
	r->spec.attestation = span_of(out, w.n);
	return add_legacy(a, r, env, e);
}

struct app_signer {
	struct keyproc *keys;
	uint32_t root;
	const struct audit_entry *entry;
};

static int sign_as_app(void *arg, const uint8_t digest[static 32], uint8_t *sig, size_t *sig_len,
		       struct err *e)
{
	const struct app_signer *s = arg;

	return keyproc_sign_app(s->keys, s->root, s->entry, digest, sig, sig_len, e);
}

static int add_pem(struct arena *a, X509 *c, char **out, struct err *e)
{
	int der = i2d_X509(c, NULL); // four bytes a three, a newline a line of 64, and the two lines around
	size_t cap = der > 0 ? (size_t)der / 3 * 4 + (size_t)der / 48 + 128 : 0;
	char *pem = cap && cap <= PEM_MAX ? arena_alloc(a, cap) : NULL;

	if (!pem)
		return err_set(e, ERR_SYSTEM, "a certificate of %d bytes is too large", der);
	*out = pem;
	return cert_to_pem(c, pem, cap, e);
}

static struct span evidence_of(const struct request *r)
{
	return r->csr.version == 1 ? r->csr.quote : r->csr.attestation;
}

static void entry_of(const struct service_case *c, struct audit_entry *x)
{
	const struct request *r = c ? c->more : NULL;
	struct span none = { 0 };

	kms_audit_who_csr(x, c && c->proved ? &c->r.boot : NULL, r ? r->csr.pubkey : none,
			  r ? evidence_of(r) : none);
	x->event = AUDIT_CERT;
	if (c)
		snprintf(x->source, sizeof x->source, "%s", c->answer.source);
	x->n_epochs = c && c->rules.pass.inside; // the one it ends with, if that ends
	x->epochs[0] = c ? c->rules.cert_epoch : 0;
	if (r)
		snprintf(x->reason, sizeof x->reason, "subject %s, %zu names",
			 r->spec.cn ? r->spec.cn : "none", r->spec.n_sans);
}

static int issue_chain(struct service *s, struct arena *a, const struct service_case *c, EVP_PKEY *key,
		       Kms__SignCertResponse *out, struct err *e)
{
	struct request *r = c->more;
	const struct boot_info *b = &c->r.boot;
	struct audit_entry x;
	const struct face *f = face_of(&s->faces, c->call);
	struct app_signer signer = { s->keys, f->root, &x };

	entry_of(c, &x);
	auto_x509 X509 *ca = keyproc_app_ca(s->keys, f->root, b->app_id, e);
	struct cert_issuer by = { .cert = ca, .sign = sign_as_app, .arg = &signer };

	if (!ca || service_count_cert(s, f->root, &x, &r->spec, e))
		return -1;
	r->spec.crl_url = service_crl_url(s, a, b->app_id, f->root);
	r->spec.app_id = span_of(b->app_id, sizeof b->app_id);
	r->spec.usage = span_str("app:custom");
	r->spec.encode_only = true;
	auto_x509 X509 *leaf = cert_issue(&r->spec, key, &by, e);
	out->certificate_chain = arena_array(a, 3, sizeof *out->certificate_chain);
	if (!leaf || !out->certificate_chain)
		return leaf ? err_set(e, ERR_SYSTEM, "out of memory") : -1;
	if (add_pem(a, leaf, &out->certificate_chain[0], e) || add_pem(a, ca, &out->certificate_chain[1], e))
		return -1;
	out->certificate_chain[2] = f->ca_pem;
	out->n_certificate_chain = 3;
	return 0;
}

// Whose names these are is known when the evidence is.
static int check_names(const struct service *s, const struct request *r, const struct boot_info *b,
		       struct err *e)
{
	const struct name_rules *rules = &s->config->name_rules;
	struct name_owner who = { 0 };

	hex_encode(who.app, b->app_id, sizeof b->app_id);
	if (b->has_instance_id)
		hex_encode(who.instance, b->instance_id, sizeof b->instance_id);
	for (size_t i = 0; i < r->spec.n_sans; i++)
		if (name_check(rules, r->spec.sans[i], &who, e))
			return -1;
	return name_check_subject(rules, r->spec.cn, &who, e);
}

// The second stage: what policy said, and the certificate.
static int sign_request(struct rpc_call *call, struct service_case *c, const Kms__SignCertRequest *in,
			Kms__SignCertResponse *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	struct arena *a = rpc_arena(call);
	struct request *r = c->more;
	struct trust_result *full = arena_alloc(a, sizeof *full);

	if (!full)
		return err_set(e, ERR_SYSTEM, "out of memory");
	struct keyrules_ask rules = { .only_cert = true, .root = face_of(&s->faces, call)->root };
	if (service_verdict(c, "", e) || service_learn(s, c, e) ||
	    keyrules_enter(&s->rules, &c->rules, &c->r.boot, &rules, e))
		return -1;
	if (c->rules.until < (uint64_t)r->spec.not_after) // never beyond an announced revocation
		r->spec.not_after = (int64_t)c->rules.until;
	if (r->csr.ext_app_info &&
	    (check_evidence(s, r, in->vm_config, false, full, e) || add_app_info(a, r, full, e)))
		return -1;
	if (r->csr.ext_quote && add_evidence(a, r, in->vm_config, e))
		return -1;
	auto_pkey EVP_PKEY *key = p256_from_spki(r->csr.pubkey, e);
	if (!key || issue_chain(s, a, c, key, out, e))
		return -1;
	log_info("kms", "certificate signed app=%s subject=%s names=%zu", STR_HEX(c->r.boot.app_id, 20),
		 STR_QZ(r->spec.cn), r->spec.n_sans);
	return 0;
}

static int ended(struct rpc_call *call, const struct service_case *c, int rc, struct err *e)
{
	struct audit_entry x;

	entry_of(c, &x);
	return service_ended(call, &x, rc, e);
}

static int sign_decided(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service_case *c = rpc_state(call);
	int rc = sign_request(call, c, in, out, e);

	return ended(call, c, rc, e);
}

int service_sign_cert(struct rpc_call *call, const void *in, void *out, struct err *e)
{
	struct service *s = rpc_arg(call);
	const Kms__SignCertRequest *q = in;
	struct service_case *c = service_case_new(call, e);
	struct request *r = c ? arena_alloc(rpc_arena(call), sizeof *r) : NULL;

	(void)out;
	if (!r)
		return err_set(e, ERR_SYSTEM, "out of memory");
	c->more = r;
	if (service_check_shown(s, call, e) || read_request(s, rpc_arena(call), q, r, e))
		return ended(call, c, -1, e);
	if (check_evidence(s, r, q->vm_config, true, &c->r, e)) {
		if (evidence_lacks_image(s, c) &&
		    service_fetch_image(s, c, service_sign_cert, e) == RPC_LATER)
			return RPC_LATER;
		evidence_fetch_failed(c, e);
		return ended(call, c, -1, e);
	}
	c->proved = true;
	if (check_names(s, r, &c->r.boot, e))
		return ended(call, c, -1, e);
	return service_ask(s, c, POLICY_APP, sign_decided);
}
