#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "base/cleanup.h"
#include "base/log.h"

static const char *or_null(const char *s)
{
	return *s ? s : NULL;
}

int checker_init(struct checker *k, const struct verifier_config *c, struct err *e)
{
	struct trust_config trust = {
		.pccs_url = or_null(c->pccs_url),
		.cache_dir = or_null(c->cache_dir),
		.collateral_compat = c->allow_older_collateral,
		.intel_components = c->intel_components,
		.image_dir = c->image_dir,
		.development_root = or_null(c->root),
		.insecure_development = *c->root,
	};

	*k = (struct checker){ .config = c };
	const struct downloads_config from = {
		.dir = c->image_dir, .url = c->image_url, .seconds = (int)c->image_seconds, .redirects = 3
	};

	k->downloads = downloads_new(&from, e);
	k->trust = k->downloads ? trust_new(&trust, e) : NULL;
	if (k->trust)
		return 0;
	checker_free(k);
	return -1;
}

void checker_free(struct checker *k)
{
	trust_free(k->trust);
	downloads_free(k->downloads);
	*k = (struct checker){ 0 };
}

// ---- one piece of evidence

struct subject {
	const struct request *request; // or
	X509 *cert;
};

static int judge_once(struct checker *k, const struct subject *s, const struct trust_expect *x,
		      struct trust_result *out, struct err *e)
{
	const struct request *r = s->request;

	memset(out, 0, sizeof *out);
	*e = (struct err){ 0 };
	if (s->cert)
		return trust_check_cert(k->trust, out, s->cert, x, e);
	if (r->attestation.n)
		return trust_check_envelope(k->trust, out, r->attestation, x, e);
	struct trust_expect with = *x;

	with.vm_config = r->vm_config.n ? r->vm_config : span_str("{}");
	return trust_check_quote(k->trust, out, r->quote, r->event_log, &with, e);
}

static const uint8_t *allowed(const struct verifier_config *c, const struct trust_machine *m)
{
	for (size_t i = 0; i < c->n_allowed; i++)
		if (!memcmp(c->allowed[i], m->os_image_hash, 32))
			return c->allowed[i];
	return NULL;
}

// Only when nothing but the image is missing: a quote that is not genuine costs no download.
static bool lacks_image_only(const struct trust_result *r)
{
	const struct claim *c = verdict_find(&r->verdict, "os_image");

	return r->has_quote && r->machine.has_image_hash && !r->machine.has_image && c && !c->ok &&
	       !strcmp(c->code, "measure.base_unverified");
}

static enum stage judge(struct checker *k, const struct subject *s, struct trust_result *out, struct err *e)
{
	struct trust_expect x = { .policy = span_str(k->config->policy) };
	struct err why = { 0 };
	int r = judge_once(k, s, &x, out, e);

	if (r && lacks_image_only(out)) {
		x.os_image_hash = allowed(k->config, &out->machine);
		if (x.os_image_hash || !downloads_get(k->downloads, out->machine.os_image_hash, &why))
			r = judge_once(k, s, &x, out, e);
		else
			*e = why;
	}
	if (r)
		return answer_stage(out, e) == STAGE_NONE ? STAGE_INTERNAL : answer_stage(out, e);
	if (out->machine.lite || out->machine.soft || strcmp(out->boot.tee_variant, "dstack-tdx") != 0)
		return STAGE_NONE;
	err_code(e, ERR_UNTRUSTED, "verifier.legacy",
		 "the machine's vm_config is not of the lite variant: its ACPI tables would have to be "
		 "computed, "
		 "which is not done here; the verdict takes their digests from the event log");
	return STAGE_IMAGE;
}

bool check_request(struct checker *k, const struct request *r, struct sb *out)
{
	auto_free struct trust_result *result = calloc(1, sizeof *result);
	struct err e = { 0 };

	if (!result) {
		err_set(&e, ERR_SYSTEM, "out of memory");
		check_unread(&e, out);
		return false;
	}
	struct answer a = { .result = result, .err = &e, .debug = r->debug };

	a.failed = judge(k, &(struct subject){ .request = r }, result, &e);
	answer_json(out, &a);
	log_info("verify", "verified valid=%s code=%s anchor=%s", a.failed == STAGE_NONE ? "yes" : "no",
		 a.failed == STAGE_NONE ? "none" : e.code, anchor_name(result->verdict.anchor));
	return a.failed == STAGE_NONE;
}

void check_unread(const struct err *e, struct sb *out)
{
	struct answer a = { .err = e, .failed = e->class == ERR_SYSTEM ? STAGE_INTERNAL : STAGE_QUOTE };

	answer_json(out, &a);
}

int check_body(struct checker *k, struct span json, struct sb *out, bool *valid, struct err *e)
{
	struct request r;
	int rc = request_read(&r, json, e);

	*valid = false;
	if (!rc)
		*valid = check_request(k, &r, out);
	else if (e->class != ERR_INPUT)
		check_unread(e, out);
	request_free(&r);
	return rc && e->class == ERR_INPUT ? -1 : 0;
}

enum stage check_evidence_of(struct checker *k, X509 *cert, struct trust_result *out, struct err *e)
{
	return judge(k, &(struct subject){ .cert = cert }, out, e);
}
