#include "evidence.h"

#include <string.h>
#include "core/attest/envelope_forms.h"
#include "core/codec/json.h"
#include "core/hash/sha2.h"
#include "core/measure/measure.h"
#include "tee/runtime.h"

enum { TEXT_MAX = 16 << 20 };

static int fault_err(struct err *e, const struct fault *f, const char *what)
{
	return err_code(e, ERR_SYSTEM, f->code ? f->code : "", "%s: %s", what,
			f->text ? f->text : "malformed");
}

static int from_tee(struct agent *g, struct evidence *v, bool first, struct err *e)
{
	gate_enter(&g->gate, first);
	int rc = runtime_quote(g->tee, runtime_dir(), v->report_data, &v->quote, &v->log, &v->runtime_at, e);
	gate_leave(&g->gate);
	return rc ? err_wrap(e, "get a quote") : 0;
}

static struct evidence *get(struct agent *g, const uint8_t report_data[static TEE_REPORT_DATA], bool first,
			    struct arena *a, struct err *e)
{
	struct evidence *v = arena_alloc(a, sizeof *v);

	if (!v) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	memcpy(v->report_data, report_data, sizeof v->report_data);
	v->source = g->source;
	int rc = v->source ? v->source->get(v->source, v->report_data, &v->quote, &v->log, &v->runtime_at, e)
			   : from_tee(g, v, first, e);
	return rc ? NULL : v;
}

struct evidence *evidence_get(struct agent *g, const uint8_t report_data[static TEE_REPORT_DATA],
			      struct arena *a, struct err *e)
{
	return get(g, report_data, false, a, e);
}

struct evidence *evidence_get_first(struct agent *g, const uint8_t report_data[static TEE_REPORT_DATA],
				    struct arena *a, struct err *e)
{
	return get(g, report_data, true, a, e);
}

void evidence_done(struct evidence *v)
{
	tee_log_free(&v->log);
}

static struct eventlog runtime_of(const struct evidence *v)
{
	size_t n = v->log.log.n - v->runtime_at;
	return (struct eventlog){ .e = v->log.log.e + v->runtime_at, .n = n, .cap = n };
}

// The whole log of its own, since stripping works in place.
static int copy_events(const struct evidence *v, struct envelope *env, struct arena *a, struct err *e)
{
	size_t n = v->log.log.n;

	env->log = (struct eventlog){ .e = arena_array(a, n + 1, sizeof *env->log.e), .n = n, .cap = n };
	if (!env->log.e)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (n)
		memcpy(env->log.e, v->log.log.e, n * sizeof *env->log.e);
	return 0;
}

static struct envelope *envelope_of(const struct evidence *v, const char *vm_config, struct arena *a,
				    struct err *e)
{
	struct envelope *env = arena_alloc(a, sizeof *env);

	if (!env) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	env->kind = ENVELOPE_TDX;
	env->quote = span_of(v->quote.bytes, v->quote.n);
	env->runtime = runtime_of(v);
	env->config = span_str(v->source ? v->source->config : vm_config);
	memcpy(env->report_data, v->report_data, sizeof env->report_data);
	return copy_events(v, env, a, e) ? NULL : env;
}

int evidence_envelope(const struct evidence *v, const char *vm_config, bool strip, struct arena *a,
		      struct span *out, struct err *e)
{
	struct envelope *env = envelope_of(v, vm_config, a, e);
	struct fault f = { 0 };

	if (!env)
		return -1;
	if (strip)
		envelope_strip(env);
	struct wr size = wr_to(NULL, 0);
	if (envelope_write(&size, env, &f))
		return fault_err(e, &f, "write the attestation");
	uint8_t *bytes = size.n <= ENVELOPE_MAX ? arena_alloc(a, size.n + 1) : NULL;
	struct wr w = wr_to(bytes, bytes ? size.n : 0);
	if (envelope_write(&w, env, &f) || w.bad)
		return err_set(e, ERR_SYSTEM, "write the attestation: %zu bytes do not fit", size.n);
	*out = span_of(bytes, w.n);
	return 0;
}

int evidence_envelope_v1(const struct evidence *v, const char *vm_config, struct arena *a, struct span *out,
			 struct err *e)
{
	const struct envelope *env = envelope_of(v, vm_config, a, e);

	if (!env)
		return -1;
	struct wr size = wr_to(NULL, 0);
	envelope_write_v1(&size, env);
	uint8_t *bytes = size.n <= ENVELOPE_MAX ? arena_alloc(a, size.n + 1) : NULL;
	struct wr w = wr_to(bytes, bytes ? size.n : 0);
	envelope_write_v1(&w, env);
	if (w.bad)
		return err_set(e, ERR_SYSTEM, "write the attestation: %zu bytes do not fit", size.n);
	*out = span_of(bytes, w.n);
	return 0;
}

static char *events_text(const struct eventlog *log, bool strip, struct arena *a, struct err *e)
{
	struct wr size = wr_to(NULL, 0);

	eventlog_write_json(&size, log, strip);
	char *text = size.n <= TEXT_MAX ? arena_alloc(a, size.n + 1) : NULL;
	struct wr w = wr_to(text, text ? size.n : 0);
	eventlog_write_json(&w, log, strip);
	if (!text || w.bad) {
		err_set(e, ERR_SYSTEM, "write the event log: %zu bytes do not fit", size.n);
		return NULL;
	}
	return text;
}

char *evidence_events(const struct evidence *v, bool boot_payloads, struct arena *a, struct err *e)
{
	return events_text(&v->log.log, !boot_payloads, a, e);
}

char *evidence_cert_events(const struct evidence *v, struct arena *a, struct err *e)
{
	struct envelope *env = arena_alloc(a, sizeof *env);

	if (!env) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	if (copy_events(v, env, a, e))
		return NULL;
	env->kind = ENVELOPE_TDX;
	envelope_strip(env);
	return events_text(&env->log, true, a, e);
}

static void read_image_hash(const char *vm_config, struct facts *out)
{
	struct json root, inner;

	if (json_parse(&root, span_str(vm_config), NULL) || !json_get(root, "os_image_hash", &inner))
		return;
	out->has_os_image_hash = !json_hex(inner, out->os_image_hash, sizeof out->os_image_hash);
}

int evidence_facts(const struct evidence *v, const char *vm_config, struct facts *out, struct err *e)
{
	struct eventlog runtime = runtime_of(v);
	struct quote q;
	struct fault f = { 0 };
	uint8_t rtmr3[EVENT_DIGEST];

	*out = (struct facts){ 0 };
	if (quote_parse(&q, span_of(v->quote.bytes, v->quote.n)) || quote_td(&q, &out->td))
		return err_set(e, ERR_SYSTEM, "the TEE's quote is not one of a TD");
	if (app_events_read(&out->app, &runtime, &f) || eventlog_replay_runtime(rtmr3, &runtime, false, &f))
		return fault_err(e, &f, "read the runtime events");
	measure_mr_system(out->mr_system, out->td.mr_td, (const uint8_t(*)[48])out->td.rtmr,
			  out->app.key_provider);
	measure_mr_aggregated(out->mr_aggregated, out->td.mr_td, (const uint8_t(*)[48])out->td.rtmr, rtmr3,
			      out->td.mr_config_id, out->td.mr_owner, out->td.mr_owner_config);
	sha256("", 0, out->device_id); // the local evidence is not verified, so there is no platform to name
	read_image_hash(v->source ? v->source->vm_config : vm_config, out);
	return 0;
}

int evidence_app_info(const struct facts *x, struct arena *a, struct span *out, struct err *e)
{
	struct app_info i = {
		.app_id = x->app.app_id,
		.compose_hash = x->app.compose_hash,
		.instance_id = x->app.instance_id,
		.device_id = span_of(x->device_id, sizeof x->device_id),
		.mr_system = span_of(x->mr_system, sizeof x->mr_system),
		.mr_aggregated = span_of(x->mr_aggregated, sizeof x->mr_aggregated),
		.os_image_hash =
			span_of(x->os_image_hash, x->has_os_image_hash ? sizeof x->os_image_hash : 0),
		.key_provider_info = x->app.key_provider,
		.has_scripts = x->app.n_init_scripts > 0,
		.n_scripts = x->app.n_init_scripts,
	};
	struct wr size = wr_to(NULL, 0);

	memcpy(i.scripts, x->app.init_scripts, sizeof i.scripts);
	app_info_write(&size, &i);
	uint8_t *bytes = arena_alloc(a, size.n + 1);
	struct wr w = wr_to(bytes, bytes ? size.n : 0);
	app_info_write(&w, &i);
	if (w.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	*out = span_of(bytes, w.n);
	return 0;
}
