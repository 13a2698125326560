#include "ratls/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "base/cleanup.h"
#include "base/strings.h"
#include "core/attest/reportdata.h"
#include "core/codec/json.h"

static struct claim *fail_fault(struct verdict *v, const char *name, enum anchor a, const struct fault *f)
{
	char text[240];

	snprintf(text, sizeof text, "%s (at %zu)", f->text, f->at);
	return verdict_fail(v, name, (struct span){ 0 }, a, f->code, text);
}

// The value itself when nothing is expected, else the comparison.
static void claim_value(struct verdict *v, const char *name, struct span got, const uint8_t *want,
			size_t want_n, enum anchor a, const char *code)
{
	struct span w = span_of(want, want_n);

	if (want)
		verdict_equal(v, name, got, &w, a, code);
	else
		verdict_pass_hex(v, name, got.p, got.n, a);
}

static void judge_report_data(struct verdict *v, const struct evidence *ev, const struct dcap_result *q,
			      const struct trust_expect *x)
{
	struct span got = span_of(q->report_data, 64), env = span_of(ev->env.report_data, 64);
	uint8_t pod[64];

	if (!span_eq(got, env)) {
		verdict_equal(v, "binding", got, &env, q->anchor, "report_data.envelope");
		return;
	}
	if (ev->env.is_pod) {
		report_data_tagged(pod, REPORT_APP_DATA, ev->env.pod_payload);
		env = span_of(pod, 64);
		verdict_equal(v, "pod_payload", got, &env, q->anchor, "report_data.payload");
	}
	if (x->report_data) {
		struct span want = span_of(x->report_data, 64);

		verdict_equal(v, "binding", got, &want, q->anchor, "report_data.mismatch");
	} else {
		verdict_pass(v, "binding", span_str("report data as in the envelope"), q->anchor);
	}
}

static bool judge_events(struct verdict *v, struct evidence *ev, const struct dcap_result *q,
			 struct app_events *app)
{
	uint8_t rtmr3[EVENT_DIGEST];
	struct span want = span_of(q->td.rtmr[3], 48);
	struct fault f;

	if (eventlog_replay_runtime(rtmr3, &ev->env.runtime, false, &f) ||
	    eventlog_same_runtime(&ev->env.log, &ev->env.runtime, &f)) {
		fail_fault(v, "event_log", q->anchor, &f);
		return false;
	}
	if (!verdict_equal(v, "event_log", span_of(rtmr3, 48), &want, q->anchor, "events.rtmr3")->ok)
		return false;
	if (app_events_read(app, &ev->env.runtime, &f)) {
		fail_fault(v, "identity", q->anchor, &f);
		return false;
	}
	return true;
}

static bool take(uint8_t *to, size_t n, struct span from)
{
	if (from.n != n)
		return false;
	memcpy(to, from.p, n);
	return true;
}

static void judge_identity(struct trust_result *out, const struct app_events *app,
			   const struct dcap_result *q, const struct trust_expect *x)
{
	struct verdict *v = &out->verdict;
	struct boot_info *b = &out->boot;

	b->has_app_id = take(b->app_id, sizeof b->app_id, app->app_id);
	b->has_compose_hash = take(b->compose_hash, sizeof b->compose_hash, app->compose_hash);
	b->has_instance_id = take(b->instance_id, sizeof b->instance_id, app->instance_id);
	if (b->has_app_id)
		claim_value(v, "app_id", app->app_id, x->app_id, 20, q->anchor, "app_id.mismatch");
	else
		verdict_fail(v, "app_id", app->app_id, q->anchor, "events.app_id",
			     "no app-id event of 20 bytes before system-ready");
	if (b->has_compose_hash)
		claim_value(v, "compose_hash", app->compose_hash, x->compose_hash, 32, q->anchor,
			    "compose_hash.mismatch");
	else
		verdict_fail(v, "compose_hash", app->compose_hash, q->anchor, "events.compose_hash",
			     "no compose-hash event of 32 bytes before system-ready");
	if (app->instance_id.n && !b->has_instance_id)
		verdict_fail(v, "instance_id", (struct span){ 0 }, q->anchor, "events.instance_id",
			     "instance-id event is not 20 bytes");
	else if (b->has_instance_id)
		verdict_pass_hex(v, "instance_id", b->instance_id, 20, q->anchor);
}

// {"name":"kms","id":"<hex>"}: name and id, or false.
static bool read_key_provider(struct span text, char name[32], uint8_t *id, size_t cap, size_t *id_n)
{
	struct json root, v;

	if (json_parse(&root, text, NULL) || !json_get(root, "name", &v) || json_cstr(v, name, 32) ||
	    !json_get(root, "id", &v) || json_kind(v) != JSON_STRING)
		return false;
	*id_n = json_string_size(v) / 2;
	return *id_n <= cap && !json_hex(v, id, *id_n);
}

static void judge_key_provider(struct trust_result *out, const struct app_events *app,
			       const struct dcap_result *q, const struct trust_expect *x)
{
	uint8_t id[512];
	char name[32] = "";
	size_t n = 0;
	struct verdict *v = &out->verdict;
	struct boot_info *b = &out->boot;

	if (app->key_provider.n > sizeof b->key_provider_info ||
	    (app->key_provider.n && !read_key_provider(app->key_provider, name, id, sizeof id, &n))) {
		verdict_fail(v, "key_provider", app->key_provider, q->anchor, "events.key_provider",
			     "key-provider event is not {name, id}");
		return;
	}
	if (x->key_provider_id.n) {
		struct claim *c = verdict_equal(v, "key_provider", span_of(id, n), &x->key_provider_id,
						q->anchor, "key_provider.mismatch");

		if (c->ok)
			snprintf(c->detail, sizeof c->detail, "%s, by its root key", name);
	} else if (app->key_provider.n) {
		struct claim *c = verdict_pass_hex(v, "key_provider", id, n, q->anchor);

		snprintf(c->detail, sizeof c->detail, "%s; not compared: no expected root key was given",
			 name);
	}
	if (!x->boottime && app->key_provider.n) {
		memcpy(b->key_provider_info, app->key_provider.p, app->key_provider.n);
		b->key_provider_info_n = app->key_provider.n;
	}
}

static void judge_config_id(struct verdict *v, const struct app_events *app, const struct dcap_result *q)
{
	const uint8_t *id = q->td.mr_config_id;
	uint8_t want[48];
	struct span w = span_of(want, 48), got = span_of(id, 48);

	if (id[0] == 1 && app->compose_hash.n == 32) {
		mr_config_id_v1(want, app->compose_hash.p);
		verdict_equal(v, "config_id", got, &w, q->anchor, "quote.config_id");
	} else if (id[0] == 0) {
		memset(want, 0, sizeof want);
		verdict_equal(v, "config_id", got, &w, q->anchor, "quote.config_id");
	} else if (id[0] == 2 || id[0] == 3) {
		struct claim *c = verdict_pass_hex(v, "config_id", id, 48, q->anchor);

		snprintf(c->detail, sizeof c->detail, "version %u, not compared", id[0]);
	} else {
		verdict_fail(v, "config_id", got, q->anchor, "quote.config_id",
			     "MRCONFIGID is of an unknown version");
	}
}

static void fill_boot(struct boot_info *b, struct evidence *ev, const struct dcap_result *q,
		      const struct trust_expect *x)
{
	const uint8_t(*rtmr)[48] = (const uint8_t(*)[48])q->td.rtmr;
	struct fault f;
	uint8_t rtmr3[48];

	snprintf(b->tee_variant, sizeof b->tee_variant, "dstack-tdx");
	snprintf(b->anchor, sizeof b->anchor, "%s", anchor_name(q->anchor));
	memcpy(b->mr_td, q->td.mr_td, 48);
	memcpy(b->rtmr, q->td.rtmr, sizeof b->rtmr);
	memcpy(b->mr_config_id, q->td.mr_config_id, 48);
	memcpy(b->report_data, q->report_data, 64);
	SHA256(q->ppid, sizeof q->ppid, b->device_id);
	if (eventlog_replay_runtime(rtmr3, &ev->env.runtime, x->boottime, &f))
		memset(rtmr3, 0, sizeof rtmr3); // it replayed before; then the verdict is no already
	measure_mr_system(b->mr_system, q->td.mr_td, rtmr,
			  span_of(b->key_provider_info, b->key_provider_info_n));
	measure_mr_aggregated(b->mr_aggregated, q->td.mr_td, rtmr, rtmr3, q->td.mr_config_id, q->td.mr_owner,
			      q->td.mr_owner_config);
	snprintf(b->tcb_status, sizeof b->tcb_status, "%s", tcb_status_name(q->tcb.status));
	b->n_advisory_ids = q->tcb.n < BOOT_ADVISORIES_MAX ? q->tcb.n : BOOT_ADVISORIES_MAX;
	for (size_t i = 0; i < b->n_advisory_ids; i++)
		snprintf(b->advisory_ids[i], sizeof b->advisory_ids[i], "%s", q->tcb.advisory[i]);
}

bool judge_guest(struct trust_result *out, struct evidence *ev, const struct dcap_result *q,
		 const struct trust_expect *x)
{
	struct app_events app = { 0 };

	if (!q->is_tdx) {
		verdict_fail(&out->verdict, "platform", span_str("sgx"), q->anchor, "envelope.platform",
			     "the quote is an enclave's, not a confidential VM's");
		return false;
	}
	judge_report_data(&out->verdict, ev, q, x);
	if (!judge_events(&out->verdict, ev, q, &app))
		return false;
	judge_identity(out, &app, q, x);
	judge_key_provider(out, &app, q, x);
	judge_config_id(&out->verdict, &app, q);
	fill_boot(&out->boot, ev, q, x);
	return true;
}

static void judge_register(struct verdict *v, const struct expect *want, uint32_t i,
			   const struct evidence *ev, const struct dcap_result *q)
{
	static const char *const names[] = { "rtmr0", "rtmr1", "rtmr2" };
	static const char *const codes[] = { "measure.rtmr0", "measure.rtmr1", "measure.rtmr2" };
	static const char *const causes[] = {
		"firmware settings, memory size or ACPI tables differ",
		"kernel, initrd size or memory size differ from the image's",
		"kernel command line or initrd differ from the image's",
	};
	struct span w = span_of(want->value, MEASURE_LEN);
	struct claim *c = verdict_equal(v, names[i], span_of(q->td.rtmr[i], 48), &w, q->anchor, codes[i]);
	char text[sizeof c->detail] = "";
	struct wr o = wr_to(text, sizeof text - 1);

	if (c->ok)
		return;
	measure_explain(&o, want, i, &ev->env.log);
	if (o.n && !o.bad)
		text[o.n] = 0;
	else
		snprintf(text, sizeof text, "%s (expected %s.., got %s..)", causes[i],
			 STR_HEX(want->value, 8), STR_HEX(q->td.rtmr[i], 8));
	snprintf(c->detail, sizeof c->detail, "%s", text);
}

// The machine as the host describes it: a claim that other registers would betray.
static bool read_config(struct vm_config *c, struct wr *scratch, struct span text, struct trust_result *out,
			const struct dcap_result *q)
{
	struct fault f;

	if (vm_config_read(c, scratch, text, &f)) {
		fail_fault(&out->verdict, "os_image", q->anchor, &f);
		return false;
	}
	if (c->profile == MEASURE_SOFT && q->anchor != ANCHOR_DEVELOPMENT) {
		verdict_fail(&out->verdict, "os_image", span_str("soft"), q->anchor, "measure.soft_profile",
			     "the software TEE's profile is for quotes under a development root only");
		return false;
	}
	if (!c->has_image_hash) {
		verdict_fail(
			&out->verdict, "os_image", (struct span){ 0 }, q->anchor, "measure.base_unverified",
			"vm_config has no os_image_hash, so nothing says what the base should measure to");
		return false;
	}
	return true;
}

// An image here, or the measurement that came along when exactly this image was asked for by its hash.
static bool find_image(struct image_facts *image, const struct vm_config *c, struct images *images,
		       const struct trust_expect *x, struct err *e)
{
	struct fault f;

	if (!images_find(images, image, c->os_image_hash, c->memory_size, e))
		return true;
	if (e->class != ERR_ABSENT || !x->os_image_hash || !c->tdx_measurement.n || !measure_memory_ok(c) ||
	    memcmp(x->os_image_hash, c->os_image_hash, 32) != 0)
		return false;
	if (measurement_bound(c->os_image_hash, c->tdx_checksum_file, c->tdx_measurement, &f) ||
	    measurement_tdx_read(&image->m, c->tdx_measurement, &f)) {
		err_fault(e, ERR_UNTRUSTED, &f);
		return false;
	}
	memcpy(image->kernel, image->m.kernel, MEASURE_LEN);
	return true;
}

static bool judge_image(struct image_facts *image, const struct vm_config *c, struct trust_result *out,
			const struct dcap_result *q, struct images *images, const struct trust_expect *x)
{
	struct span hash = span_of(c->os_image_hash, 32);
	struct err e = { 0 };

	if (!find_image(image, c, images, x, &e)) {
		char text[65];
		struct wr w = wr_to(text, sizeof text);

		wr_hex(&w, c->os_image_hash, 32);
		verdict_fail(&out->verdict, "os_image", span_of(text, w.n), q->anchor,
			     e.class == ERR_ABSENT ? "measure.base_unverified" : e.code, e.text);
		return false;
	}
	memcpy(out->boot.os_image_hash, c->os_image_hash, 32);
	out->boot.has_os_image_hash = true;
	claim_value(&out->verdict, "os_image", hash, x->os_image_hash, 32, q->anchor, "image.not_expected");
	struct claim *claim = &out->verdict.claim[out->verdict.n - 1];

	if (claim->ok && *image->version)
		snprintf(claim->detail, sizeof claim->detail, "version %s%s", image->version,
			 image->is_dev ? ", a development image" : "");
	return true;
}

void judge_base(struct trust_result *out, struct evidence *ev, const struct dcap_result *q,
		struct images *images, const struct trust_expect *x)
{
	struct span text = x->vm_config.n ? x->vm_config : envelope_vm_config(&ev->env, &ev->scratch);
	auto_free uint8_t *decoded =
		malloc(text.n + 1); // the config may not be the envelope's, so room of its own
	struct wr scratch = wr_to(decoded, decoded ? text.n : 0);
	struct image_facts image = { 0 };
	struct measured want;
	struct vm_config c;
	struct fault f;

	if (!read_config(&c, &scratch, text, out, q) || !judge_image(&image, &c, out, q, images, x))
		return;
	if (measure_expect(&want, &image.m, image.kernel, &c, &ev->env.log, &f)) {
		fail_fault(&out->verdict, "rtmr0", q->anchor, &f);
		return;
	}
	struct span mrtd = span_of(want.mrtd, MEASURE_LEN);

	verdict_equal(&out->verdict, "mrtd", span_of(q->td.mr_td, 48), &mrtd, q->anchor, "measure.mrtd");
	for (uint32_t i = 0; i < 3; i++)
		judge_register(&out->verdict, &want.rtmr[i], i, ev, q);
}
