#include <string.h>
#include "agent.h"
#include "base/version.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "cert.h"
#include "emit.h"
#include "info.h"
#include "keys.h"
#include "lanes.h"
#include "report_data.h"
#include "service.h"
#include "sign.h"

enum { GPU_INFO_MAX = 4 << 20 };

static int get_tls_key(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const Guest__GetTlsKeyArgs *q = in;
	Guest__GetTlsKeyResponse *r = out;
	struct tls_answer answer = { 0 };
	struct tls_request request = {
		.subject = q->subject,
		.names = (const char *const *)q->alt_names,
		.n_names = q->n_alt_names,
		.server_auth = q->usage_server_auth,
		.client_auth = q->usage_client_auth,
		.ra_tls = q->usage_ra_tls,
		.app_info = q->with_app_info,
		.has_not_before = q->opt_not_before_case,
		.has_not_after = q->opt_not_after_case,
		.not_before = q->not_before,
		.not_after = q->not_after,
	};

	if (cert_make(rpc_arg(c), &request, rpc_arena(c), &answer, e))
		return -1;
	r->key = answer.key;
	r->certificate_chain = answer.chain;
	r->n_certificate_chain = answer.n_chain;
	return 0;
}

int service_key(struct rpc_call *c, const Guest__GetKeyArgs *q, ProtobufCBinaryData *key,
		ProtobufCBinaryData **chain, size_t *n_chain, struct err *e)
{
	const struct agent *g = rpc_arg(c);
	struct arena *a = rpc_arena(c);
	struct derived_key d;

	int rc = custody_key(g->custody, q->path, q->purpose, q->algorithm, &d, e);
	if (!rc) {
		*key = pb_bytes(a, d.key, sizeof d.key);
		*chain = arena_array(a, 2, sizeof **chain);
		rc = *chain ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
	}
	if (!rc) {
		(*chain)[0] = pb_bytes(a, d.signature, sizeof d.signature);
		(*chain)[1] = pb_bytes(a, g->keys.k256_signature, g->keys.k256_signature_n);
		*n_chain = 2;
	}
	secret_wipe(&d, sizeof d);
	return rc;
}

static int get_key(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	Guest__GetKeyResponse *r = out;

	return service_key(c, in, &r->key, &r->signature_chain, &r->n_signature_chain, e);
}

struct evidence *service_quote(struct rpc_call *c, ProtobufCBinaryData data, struct err *e)
{
	uint8_t report_data[TEE_REPORT_DATA] = { 0 };

	if (data.len > sizeof report_data) {
		err_code(e, ERR_INPUT, "agent.report_data", "Report data is too long: %zu bytes, at most %zu",
			 data.len, sizeof report_data);
		return NULL;
	}
	if (data.len)
		memcpy(report_data, data.data, data.len);
	if (report_data_of_app(span_of(report_data, sizeof report_data), e))
		return NULL;
	return evidence_get(rpc_arg(c), report_data, rpc_arena(c), e);
}

int service_show_quote(struct agent *g, const struct evidence *v, struct arena *a, Guest__GetQuoteResponse *r,
		       struct err *e)
{
	struct span envelope = { 0 };

	// With evidence from elsewhere all of it is shown, as upstream's simulator does.
	if (v->source && evidence_envelope_v1(v, g->app.vm_config, a, &envelope, e))
		return -1;
	r->event_log = evidence_events(v, v->source != NULL, a, e);
	r->attestation = pb_bytes(a, envelope.p, envelope.n);
	r->quote = pb_bytes(a, v->quote.bytes, v->quote.n);
	r->report_data = pb_bytes(a, v->report_data, sizeof v->report_data);
	r->vm_config = g->app.vm_config;
	if (!r->event_log)
		return -1;
	return arena_bad(a) ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

static int get_quote(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const Guest__RawQuoteArgs *q = in;
	struct evidence *v = service_quote(c, q->report_data, e);

	if (!v)
		return -1;
	int rc = service_show_quote(rpc_arg(c), v, rpc_arena(c), out, e);
	evidence_done(v);
	return rc;
}

static int attest(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const Guest__RawQuoteArgs *q = in;
	Guest__AttestResponse *r = out;
	const struct agent *g = rpc_arg(c);
	struct evidence *v = service_quote(c, q->report_data, e);
	struct span bytes;

	if (!v)
		return -1;
	int rc = evidence_envelope(v, g->app.vm_config, false, rpc_arena(c), &bytes, e);
	if (!rc)
		r->attestation = (ProtobufCBinaryData){ bytes.n, (uint8_t *)(uintptr_t)bytes.p };
	evidence_done(v);
	return rc;
}

int service_info(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	(void)in;
	return info_fill(rpc_arg(c), false, rpc_arena(c), out, e);
}

static struct span bytes_of(ProtobufCBinaryData b)
{
	return span_of(b.data, b.len);
}

static int sign(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const Guest__SignRequest *q = in;
	Guest__SignResponse *r = out;
	const struct agent *g = rpc_arg(c);
	struct arena *a = rpc_arena(c);
	struct app_signature s;

	if (custody_sign(g->custody, q->algorithm, bytes_of(q->data), &s, e))
		return -1;
	r->signature_chain = arena_array(a, 3, sizeof *r->signature_chain);
	if (!r->signature_chain)
		return err_set(e, ERR_SYSTEM, "out of memory");
	r->signature = pb_bytes(a, s.bytes, sizeof s.bytes);
	r->public_key = pb_bytes(a, s.public, s.public_n);
	r->signature_chain[0] = r->signature;
	r->signature_chain[1] = pb_bytes(a, s.key_signature, sizeof s.key_signature);
	r->signature_chain[2] = pb_bytes(a, g->keys.k256_signature, g->keys.k256_signature_n);
	r->n_signature_chain = 3;
	return 0;
}

static int verify(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const Guest__VerifyRequest *q = in;
	Guest__VerifyResponse *r = out;
	bool valid;

	(void)c;
	if (app_verify(q->algorithm, bytes_of(q->data), bytes_of(q->signature), bytes_of(q->public_key),
		       &valid, e))
		return -1;
	r->valid = valid;
	return 0;
}

// What the set-up of the GPUs left; an app without one gets nothing, as upstream's.
static int gpu_info(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	Guest__GpuInfoResponse *r = out;
	const struct agent *g = rpc_arg(c);
	auto_free char *text = NULL;
	struct err none;
	size_t n;

	(void)in;
	if (!g->gpu_file || file_read(g->gpu_file, GPU_INFO_MAX, &text, &n, &none) || !str_is_utf8(text, n) ||
	    strlen(text) != n)
		return 0;
	r->attestation = arena_dup(rpc_arena(c), text, n);
	return r->attestation ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

static int emit_event(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const Guest__EmitEventArgs *q = in;

	(void)out;
	return app_emit(rpc_arg(c), q->event, bytes_of(q->payload), e);
}

int service_version(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	Guest__WorkerVersion *r = out;

	(void)c;
	(void)in;
	(void)e;
	r->version = (char *)(uintptr_t)version_text;
	r->rev = (char *)(uintptr_t)version_rev;
	return 0;
}

const struct rpc_method dstack_methods[] = {
	{ "GetTlsKey", &guest__get_tls_key_args__descriptor, &guest__get_tls_key_response__descriptor,
	  get_tls_key, .worker = true, .lane = LANE_CERTS },
	{ "GetKey", &guest__get_key_args__descriptor, &guest__get_key_response__descriptor, get_key },
	{ "GetQuote", &guest__raw_quote_args__descriptor, &guest__get_quote_response__descriptor, get_quote,
	  .worker = true, .lane = LANE_QUOTES },
	{ "Attest", &guest__raw_quote_args__descriptor, &guest__attest_response__descriptor, attest,
	  .worker = true, .lane = LANE_QUOTES },
	{ "Info", &prpc__empty__descriptor, &guest__app_info__descriptor, service_info, .worker = true },
	{ "GpuInfo", &prpc__empty__descriptor, &guest__gpu_info_response__descriptor, gpu_info,
	  .worker = true },
	{ "Sign", &guest__sign_request__descriptor, &guest__sign_response__descriptor, sign },
	{ "Verify", &guest__verify_request__descriptor, &guest__verify_response__descriptor, verify },
	{ "Version", &prpc__empty__descriptor, &guest__worker_version__descriptor, service_version },
};
const size_t dstack_methods_n = sizeof dstack_methods / sizeof *dstack_methods;

const struct rpc_method emit_methods[] = {
	{ "EmitEvent", &guest__emit_event_args__descriptor, &prpc__empty__descriptor, emit_event,
	  .worker = true },
};
const size_t emit_methods_n = sizeof emit_methods / sizeof *emit_methods;

int mount_internal(struct rpc_server *s, struct agent *g)
{
	static const char *const paths[] = { "", "/prpc" };

	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		if (rpc_server_mount(s, paths[i], "DstackGuest.", dstack_methods, dstack_methods_n, g) ||
		    (g->emit_event &&
		     rpc_server_mount(s, paths[i], "DstackGuest.", emit_methods, emit_methods_n, g)))
			return -1;
	return 0;
}
