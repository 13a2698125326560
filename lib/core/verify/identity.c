// Whose key it is and who runs: report data, the one list of events, app, compose file, instance, key
// provider.
#include "core/attest/reportdata.h"
#include "core/hash/sha2.h"
#include "core/verify/parts.h"

// ---- report data

struct comparison {
	struct verify *v;
	struct span got;
	enum anchor anchor;
	bool broken;
};

// `words` are those that other implementations' clients look for.
static void compare(struct comparison *c, const uint8_t *want, const char *code, const char *words)
{
	struct span w = span_of(want, 64);
	char text[240];
	struct wr o = wr_to(text, sizeof text);

	if (c->broken || span_eq(c->got, w))
		return;
	c->broken = true;
	struct claim *claim = verdict_equal(&c->v->verdict, "binding", c->got, &w, c->anchor, code);

	wr_str(&o, words);
	wr_str(&o, ": expected ");
	wr_hex(&o, want, 32);
	wr_str(&o, ".., got ");
	wr_hex(&o, c->got.p, 32);
	wr_str(&o, "..");
	TEXT_PUT(claim->detail, span_of(text, o.n));
}

static const char *bound_to(const struct verify *v)
{
	if (v->in.binding == VERIFY_BIND_CHALLENGE)
		return "to this challenge";
	if (v->evidence.form == VERIFY_CERTIFICATE)
		return "to the certificate's key";
	return expect_bytes(v->expect, "report_data", (struct span){ 0 }) != EXPECT_FREE
		       ? "to the expected report data"
		       : "as stated by the evidence, to no challenge";
}

bool identity_binding(struct verify *v, struct span got, enum anchor a, bool early)
{
	struct comparison c = { v, got, a, false };
	const struct verify_evidence *e = &v->evidence;
	uint8_t want[64];

	compare(&c, e->env.report_data, "report_data.envelope", "report_data mismatch");
	if (e->report_data.n)
		compare(&c, e->report_data.p, "report_data.envelope", "report_data mismatch");
	if (e->env.is_pod) {
		report_data_tagged(want, REPORT_APP_DATA, e->env.pod_payload);
		compare(&c, want, "report_data.payload", "report_data does not match report_data_payload");
	}
	if (e->form == VERIFY_CERTIFICATE) {
		report_data_tagged(want, REPORT_RATLS_CERT, e->cert.spki);
		compare(&c, want, "ratls.key_mismatch", "report data mismatch");
	}
	if (v->in.binding == VERIFY_BIND_CHALLENGE)
		compare(&c, v->in.report_data, "report_data.mismatch", "report_data mismatch");
	if (!c.broken && expect_bytes(v->expect, "report_data", got) == EXPECT_BROKEN) {
		struct claim *claim = expect_claim(v, "binding", "report_data", got, "report_data.mismatch");
		char text[sizeof claim->detail + 32];
		struct wr w = wr_to(text, sizeof text);

		wr_str(&w, "report data mismatch: ");
		wr_str(&w, claim->detail);
		TEXT_PUT(claim->detail, span_of(text, w.n));
		claim->anchor = a;
		c.broken = true;
	}
	if (!c.broken && !early)
		verdict_pass(&v->verdict, "binding", span_str(bound_to(v)), a)->fresh =
			v->in.binding == VERIFY_BIND_CHALLENGE;
	return !c.broken;
}

// ---- events

static bool judge_events(struct verify *v, struct app_events *app)
{
	const struct verify_evidence *e = &v->evidence;
	enum anchor a = v->quote.anchor;
	uint8_t rtmr3[EVENT_DIGEST];
	struct span want = span_of(v->quote.td.rtmr[3], 48);
	struct fault f;

	if (!e->has_log) {
		verdict_fail(&v->verdict, "event_log", (struct span){ 0 }, a, "events.absent",
			     "a quote without its event log says nothing about the app");
		return false;
	}
	if (eventlog_replay_runtime(rtmr3, &e->env.runtime, false, &f) ||
	    eventlog_same_runtime(&e->env.log, &e->env.runtime, &f) ||
	    eventlog_same_boot(&e->env.log, (const uint8_t(*)[48])v->quote.td.rtmr, &f)) {
		fail_fault(&v->verdict, "event_log", a, &f);
		return false;
	}
	struct claim *c =
		verdict_equal(&v->verdict, "event_log", span_of(rtmr3, 48), &want, a, "events.rtmr3");

	if (!c->ok) {
		char text[240];
		struct wr w = wr_to(text, sizeof text);

		wr_str(&w, "RTMR3 mismatch, quoted: ");
		wr_hex(&w, want.p, want.n);
		wr_str(&w, ", replayed: ");
		wr_hex(&w, rtmr3, sizeof rtmr3);
		TEXT_PUT(c->detail, span_of(text, w.n));
		return false;
	}
	if (app_events_read(app, &e->env.runtime, &f)) {
		fail_fault(&v->verdict, "identity", a, &f);
		return false;
	}
	return true;
}

bool take_bytes(uint8_t *to, size_t n, struct span from)
{
	for (size_t i = 0; from.n == n && i < n; i++)
		to[i] = from.p[i];
	return from.n == n;
}

static void judge_app(struct verify *v, const struct app_events *app)
{
	struct boot_info *b = &v->boot;
	enum anchor a = v->quote.anchor;

	b->has_app_id = take_bytes(b->app_id, sizeof b->app_id, app->app_id);
	b->has_compose_hash = take_bytes(b->compose_hash, sizeof b->compose_hash, app->compose_hash);
	b->has_instance_id = take_bytes(b->instance_id, sizeof b->instance_id, app->instance_id);
	b->has_deployment_seed =
		take_bytes(b->deployment_seed, sizeof b->deployment_seed, app->deployment_seed);
	if (b->has_app_id)
		expect_claim(v, "app_id", "app_id", app->app_id, "app_id.mismatch");
	else
		verdict_fail(&v->verdict, "app_id", (struct span){ 0 }, a, "events.app_id",
			     "no app-id event of 20 bytes before system-ready");
	if (b->has_compose_hash)
		expect_claim(v, "compose_hash", "compose_hash", app->compose_hash, "compose_hash.mismatch");
	else
		verdict_fail(&v->verdict, "compose_hash", (struct span){ 0 }, a, "events.compose_hash",
			     "no compose-hash event of 32 bytes before system-ready");
	if (app->instance_id.n && !b->has_instance_id)
		verdict_fail(&v->verdict, "instance_id", (struct span){ 0 }, a, "events.instance_id",
			     "instance-id event is not 20 bytes");
	else if (b->has_instance_id)
		verdict_pass_hex(&v->verdict, "instance_id", b->instance_id, 20, a);
}

struct key_provider {
	char name[32];
	uint8_t id[512];
	size_t n;
};

// {"name":"kms","id":"<hex>"}
static bool read_key_provider(struct key_provider *kp, struct span text)
{
	struct json root, m;

	if (json_parse(&root, text, NULL) || !json_get(root, "name", &m) ||
	    json_cstr(m, kp->name, sizeof kp->name) || !json_get(root, "id", &m) ||
	    json_kind(m) != JSON_STRING)
		return false;
	kp->n = json_string_size(m) / 2;
	return kp->n <= sizeof kp->id && !json_hex(m, kp->id, kp->n);
}

static void judge_key_provider(struct verify *v, const struct app_events *app)
{
	struct key_provider kp = { 0 };
	struct span text = app->key_provider;
	struct boot_info *b = &v->boot;

	if (text.n > sizeof b->key_provider_info || (text.n && !read_key_provider(&kp, text))) {
		verdict_fail(&v->verdict, "key_provider", text, v->quote.anchor, "events.key_provider",
			     "key-provider event is not {name, id}");
		return;
	}
	bool free_ = expect_bytes(v->expect, "key_provider_id", (struct span){ 0 }) == EXPECT_FREE;

	if (text.n || !free_) {
		struct claim *c = expect_claim(v, "key_provider", "key_provider_id", span_of(kp.id, kp.n),
					       "key_provider.mismatch");
		char detail[sizeof c->detail];
		struct wr w = wr_to(detail, sizeof detail);

		if (c->ok) {
			wr_str(&w, kp.name);
			wr_str(&w, free_ ? "; not compared: no expected root key was given"
					 : ", by its root key");
			TEXT_PUT(c->detail, text_done(&w));
		}
	}
	if (!v->in.boottime && text.n) {
		b->key_provider_info_n = text.n;
		(void)take_bytes(b->key_provider_info, text.n, text);
	}
}

static void fill_boot(struct verify *v)
{
	const struct td_report *td = &v->quote.td;
	struct boot_info *b = &v->boot;
	struct fault f;
	uint8_t rtmr3[48];

	TEXT_PUT(b->tee_variant, span_str("dstack-tdx"));
	TEXT_PUT(b->anchor, span_str(anchor_name(v->quote.anchor)));
	(void)take_bytes(b->mr_td, 48, span_of(td->mr_td, 48));
	(void)take_bytes(b->rtmr[0], 4 * 48, span_of(td->rtmr, 4 * 48));
	(void)take_bytes(b->mr_config_id, 48, span_of(td->mr_config_id, 48));
	(void)take_bytes(b->report_data, 64, span_of(v->quote.report_data, 64));
	sha256(v->quote.ppid, sizeof v->quote.ppid, b->device_id);
	if (eventlog_replay_runtime(rtmr3, &v->evidence.env.runtime, v->in.boottime, &f))
		return; // cannot be: the whole list replayed before
	measure_mr_system(b->mr_system, td->mr_td, td->rtmr,
			  span_of(b->key_provider_info, b->key_provider_info_n));
	measure_mr_aggregated(b->mr_aggregated, td->mr_td, td->rtmr, rtmr3, td->mr_config_id, td->mr_owner,
			      td->mr_owner_config);
	TEXT_PUT(b->tcb_status, span_str(tcb_status_name(v->quote.tcb.status)));
	b->n_advisory_ids = v->quote.tcb.n < BOOT_ADVISORIES_MAX ? v->quote.tcb.n : BOOT_ADVISORIES_MAX;
	for (size_t i = 0; i < b->n_advisory_ids; i++)
		TEXT_PUT(b->advisory_ids[i], span_str(v->quote.tcb.advisory[i]));
}

bool identity_judge(struct verify *v)
{
	struct app_events app = { 0 };

	(void)identity_binding(v, span_of(v->quote.report_data, 64), v->quote.anchor, false);
	if (!judge_events(v, &app))
		return false;
	judge_app(v, &app);
	judge_key_provider(v, &app);
	config_id_judge(v, &app);
	fill_boot(v);
	return true;
}
