// An SEV-SNP guest. Its report has one measurement, of what was launched, and no register that grows: who it
// is stands in the document of which the host data are the hash. A list of events is backed by nothing and
// is not read.
#include "core/hash/sha2.h"
#include "core/measure/mrconfig.h"
#include "core/verify/parts.h"

enum verify_next snp_open(struct verify *v)
{
	v->needs_collateral = false;
	return VERIFY_BEGIN;
}

static struct snp_input input(const struct verify *v)
{
	const struct envelope *env = &v->evidence.env;
	struct snp_input in = { .report = env->quote, .now = v->in.now };

	if (v->in.collateral.n) {
		in.items[in.n_items++] = v->in.collateral;
	} else {
		in.n_items = env->n_chain;
		for (size_t i = 0; i < env->n_chain && i < SNP_ITEMS; i++)
			in.items[i] = env->chain[i];
	}
	return in;
}

void snp_start(struct verify *v, struct span root, enum anchor anchor)
{
	struct snp_input in = input(v);

	snp_begin(&v->snp, &in, root, anchor);
}

enum reason snp_signed(struct verify *v, uint32_t passed)
{
	enum reason why = snp_finish(&v->snp, passed, &v->snp_result);
	const struct snp_result *r = &v->snp_result;

	v->quote = (struct dcap_result){ .anchor = r->anchor, .issued = r->issued, .expires = r->expires };
	v->quote.tcb.status = r->up_to_date ? TCB_UP_TO_DATE : TCB_OUT_OF_DATE;
	(void)take_bytes(v->quote.report_data, 64, span_of(r->report.report_data, 64));
	return why;
}

// Host data, fixed at launch, against the document that came along.
static bool judge_config(struct verify *v, struct mr_config *c)
{
	const uint8_t *got = v->snp_result.report.host_data;
	struct span document = v->evidence.env.mr_config;
	uint8_t want[32];
	struct span w = span_of(want, sizeof want);
	struct fault f;

	mr_config_digest(want, document);
	if (!verdict_equal(&v->verdict, "config_id", span_of(got, 32), &w, v->quote.anchor, "snp.host_data")
		     ->ok)
		return false;
	if (mr_config_read(c, &v->scratch, document, &f)) {
		fail_fault(&v->verdict, "identity", v->quote.anchor, &f);
		return false;
	}
	return true;
}

static void judge_app(struct verify *v, const struct mr_config *c)
{
	struct boot_info *b = &v->boot;

	b->has_compose_hash = take_bytes(b->compose_hash, sizeof b->compose_hash, c->compose_hash);
	expect_claim(v, "compose_hash", "compose_hash", c->compose_hash, "compose_hash.mismatch");
	b->has_app_id = take_bytes(b->app_id, sizeof b->app_id, c->app_id);
	if (b->has_app_id)
		expect_claim(v, "app_id", "app_id", c->app_id, "app_id.mismatch");
	else
		verdict_fail(&v->verdict, "app_id", (struct span){ 0 }, v->quote.anchor, "snp.app_id",
			     "the document behind the host data names no app id");
	b->has_instance_id = take_bytes(b->instance_id, sizeof b->instance_id, c->instance_id);
	if (b->has_instance_id)
		verdict_pass_hex(&v->verdict, "instance_id", b->instance_id, sizeof b->instance_id,
				 v->quote.anchor);
	if (c->has & MR_CONFIG_PROVIDER_ID ||
	    expect_bytes(v->expect, "key_provider_id", (struct span){ 0 }) != EXPECT_FREE)
		expect_claim(v, "key_provider", "key_provider_id", c->key_provider_id,
			     "key_provider.mismatch");
}

// The launch measurement is compared with the allowed ones. It is not computed from an image here, so without
// an allowed one, and for an image's hash, nothing is known.
static void judge_measurement(struct verify *v)
{
	struct span got = span_of(v->snp_result.report.measurement, 48);
	enum anchor a = v->quote.anchor;

	if (expect_bytes(v->expect, "snp_measurement", got) == EXPECT_FREE)
		verdict_fail(&v->verdict, "measurement", (struct span){ 0 }, a, "measure.base_unverified",
			     "the expectations allow no launch measurement (snp_measurement)");
	else
		expect_claim(v, "measurement", "snp_measurement", got, "measure.snp");
	if (expect_bytes(v->expect, "os_image_hash", (struct span){ 0 }) != EXPECT_FREE)
		verdict_fail(
			&v->verdict, "os_image", (struct span){ 0 }, a, "measure.base_unverified",
			"an SEV-SNP guest's image is not derived from its launch measurement by this build");
}

static void fill_boot(struct verify *v)
{
	const struct snp_report *r = &v->snp_result.report;
	struct boot_info *b = &v->boot;
	struct sha256 h;

	TEXT_PUT(b->tee_variant, span_str("dstack-amd-sev-snp"));
	TEXT_PUT(b->anchor, span_str(anchor_name(v->quote.anchor)));
	(void)take_bytes(b->report_data, 64, span_of(r->report_data, 64));
	sha256(r->chip_id, sizeof r->chip_id, b->device_id);
	sha256(r->measurement, sizeof r->measurement, b->mr_system);
	sha256_init(&h);
	sha256_add(&h, r->measurement, sizeof r->measurement);
	sha256_add(&h, r->host_data, sizeof r->host_data);
	sha256_end(&h, b->mr_aggregated);
	TEXT_PUT(b->tcb_status, span_str(snp_status_name(&v->snp_result)));
}

void snp_judge(struct verify *v)
{
	const struct envelope *env = &v->evidence.env;
	struct mr_config c;

	snp_claims(&v->snp_result, &v->verdict);
	expect_tcb(v);
	struct claim *p = verdict_pass(&v->verdict, "platform", span_str("sev-snp"), v->quote.anchor);

	if (env->runtime.n || env->log.n)
		TEXT_PUT(p->detail,
			 span_str("event log: not_applicable, no register backs the list that came along; "
				  "it was not used"));
	(void)identity_binding(v, span_of(v->snp_result.report.report_data, 64), v->quote.anchor, false);
	if (judge_config(v, &c))
		judge_app(v, &c);
	judge_measurement(v);
	fill_boot(v);
}
