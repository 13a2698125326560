// What a certificate's issuer wrote beside the evidence: validity, app id (.3), app info (.9). Claims of the
// issuer: the attested value wins, and one that differs fails the verdict.
#include "core/hash/sha2.h"
#include "core/verify/parts.h"

static void fail(struct verify *v, const char *claim, const char *code, const char *detail)
{
	verdict_fail(&v->verdict, claim, (struct span){ 0 }, ANCHOR_NONE, code, detail);
}

static void judge_certificate(struct verify *v)
{
	const struct verify_cert *c = &v->evidence.cert;
	const struct boot_info *b = &v->boot;

	if (v->in.now < c->not_before || v->in.now > c->not_after)
		fail(v, "certificate", "ratls.time", "certificate has expired or is not yet valid");
	else if (c->app_id.p && c->app_id.n != sizeof b->app_id)
		fail(v, "certificate", "ratls.app_id", "app id in the certificate is not 20 bytes");
	else if (c->app_id.p && (!b->has_app_id || !span_eq(c->app_id, span_of(b->app_id, 20))))
		fail(v, "certificate", "ratls.app_id", "certificate names another app id than its evidence");
}

// Nothing written is nothing claimed.
static bool same(struct span said, const void *p, size_t n)
{
	return !said.n || span_eq(said, span_of(p, n));
}

// A guest that signs its own certificates names no platform, which only a verifier can know: the hash of
// nothing.
static bool same_device(struct span said, const struct boot_info *b)
{
	uint8_t none[32];

	sha256("", 0, none);
	return same(said, b->device_id, sizeof b->device_id) || span_eq(said, span_of(none, sizeof none));
}

static void judge_app_info(struct verify *v)
{
	const struct boot_info *b = &v->boot;
	struct app_info i;
	struct fault f;

	if (!v->evidence.cert.app_info.p)
		return;
	if (app_info_read(&i, &v->scratch, v->evidence.cert.app_info, &f)) {
		fail_fault(&v->verdict, "app_info", ANCHOR_NONE, &f);
		return;
	}
	bool ok = same(i.app_id, b->app_id, b->has_app_id ? sizeof b->app_id : 0) &&
		  same(i.compose_hash, b->compose_hash, b->has_compose_hash ? sizeof b->compose_hash : 0) &&
		  same(i.instance_id, b->instance_id, b->has_instance_id ? sizeof b->instance_id : 0) &&
		  same_device(i.device_id, b) &&
		  same(i.os_image_hash, b->os_image_hash, b->has_os_image_hash ? 32 : 0);
	if (ok && !v->in.boottime)
		ok = same(i.mr_system, b->mr_system, sizeof b->mr_system) &&
		     same(i.mr_aggregated, b->mr_aggregated, sizeof b->mr_aggregated) &&
		     same(i.key_provider_info, b->key_provider_info, b->key_provider_info_n);
	if (ok)
		verdict_pass(&v->verdict, "app_info", span_str("as attested"), v->quote.anchor);
	else
		fail(v, "app_info", "ratls.app_info_differs",
		     "the certificate's app info says other than its evidence");
}

void issuer_judge(struct verify *v)
{
	judge_certificate(v);
	judge_app_info(v);
}
