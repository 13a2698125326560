// Tappd: what containers of before dstack 0.5 call, on tappd.sock (spec 10 section 4).
#include <string.h>
#include "agent.h"
#include "cert.h"
#include "report_data.h"
#include "lanes.h"
#include "service.h"

static int derive_key_pair(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const Guest__DeriveKeyArgs *q = in;
	Guest__GetTlsKeyResponse *r = out;
	struct tls_answer answer = { 0 };
	struct tls_request request = {
		.path = q->random_seed ? NULL : q->path,
		.subject = q->subject,
		.names = (const char *const *)q->alt_names,
		.n_names = q->n_alt_names,
		.ra_tls = q->usage_ra_tls,
		.server_auth = q->usage_server_auth,
		.client_auth = q->usage_client_auth,
	};

	if (cert_make(rpc_arg(c), &request, rpc_arena(c), &answer, e))
		return -1;
	r->key = answer.key;
	r->certificate_chain = answer.chain;
	r->n_certificate_chain = answer.n_chain;
	return 0;
}

static int derive_k256_key(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	Guest__DeriveK256KeyResponse *r = out;

	return service_key(c, in, &r->k256_key, &r->k256_signature_chain, &r->n_k256_signature_chain, e);
}

static int quote(struct rpc_call *c, const char *hash, const char *tag, ProtobufCBinaryData content,
		 Guest__TdxQuoteResponse *r, struct err *e)
{
	struct arena *a = rpc_arena(c);
	uint8_t data[TEE_REPORT_DATA];

	if (report_data_of(hash, tag, span_of(content.data, content.len), data, e))
		return -1;
	struct evidence *v = evidence_get(rpc_arg(c), data, a, e);
	if (!v)
		return -1;
	r->event_log = evidence_events(v, v->source != NULL, a, e);
	r->quote = pb_bytes(a, v->quote.bytes, v->quote.n);
	r->hash_algorithm = arena_str(a, hash);
	r->prefix = arena_str(a, strcmp(hash, "raw") ? tag : "");
	evidence_done(v);
	if (!r->event_log)
		return -1;
	return arena_bad(a) ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

static int tdx_quote(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const Guest__TdxQuoteArgs *q = in;

	return quote(c, *q->hash_algorithm ? q->hash_algorithm : REPORT_HASH,
		     *q->prefix ? q->prefix : REPORT_TAG, q->report_data, out, e);
}

static int raw_quote(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const Guest__RawQuoteArgs *q = in;

	return quote(c, "raw", "", q->report_data, out, e);
}

const struct rpc_method tappd_methods[] = {
	{ "DeriveKey", &guest__derive_key_args__descriptor, &guest__get_tls_key_response__descriptor,
	  derive_key_pair, .worker = true, .lane = LANE_CERTS },
	{ "DeriveK256Key", &guest__get_key_args__descriptor, &guest__derive_k256_key_response__descriptor,
	  derive_k256_key },
	{ "TdxQuote", &guest__tdx_quote_args__descriptor, &guest__tdx_quote_response__descriptor, tdx_quote,
	  .worker = true, .lane = LANE_QUOTES },
	{ "RawQuote", &guest__raw_quote_args__descriptor, &guest__tdx_quote_response__descriptor, raw_quote,
	  .worker = true, .lane = LANE_QUOTES },
	{ "Info", &prpc__empty__descriptor, &guest__app_info__descriptor, service_info, .worker = true },
	{ "Version", &prpc__empty__descriptor, &guest__worker_version__descriptor, service_version },
};
const size_t tappd_methods_n = sizeof tappd_methods / sizeof *tappd_methods;

int mount_tappd(struct rpc_server *s, struct agent *g)
{
	return rpc_server_mount(s, "", "Tappd.", tappd_methods, tappd_methods_n, g) ||
			       rpc_server_mount(s, "/prpc", "Tappd.", tappd_methods, tappd_methods_n, g) ||
			       mount_internal(s, g)
		       ? -1
		       : 0;
}
