#include "ratls/evidence.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "core/attest/quote.h"
#include "crypto/ssl.h"
#include "ratls/images.h"
#include "ratls/trust.h"

enum { EVENTS_MAX = 1024, RUNTIME_MAX = 2048, LEGACY_LOG_MAX = 16 << 10, EXTENSION_MAX = 1 << 20 };

static int prepare(struct evidence *ev, size_t n, struct err *e)
{
	*ev = (struct evidence){ 0 };
	ev->events = calloc(EVENTS_MAX, sizeof *ev->events);
	ev->runtime = calloc(RUNTIME_MAX, sizeof *ev->runtime);
	ev->bytes = malloc(n + 1);
	ev->text = malloc(n + 1);
	if (!ev->events || !ev->runtime || !ev->bytes || !ev->text) {
		evidence_free(ev);
		return err_set(e, ERR_SYSTEM, "out of memory");
	}
	ev->env.log = (struct eventlog){ ev->events, 0, EVENTS_MAX };
	ev->env.runtime = (struct eventlog){ ev->runtime, 0, RUNTIME_MAX };
	ev->scratch = wr_to(ev->text, n);
	return 0;
}

void evidence_free(struct evidence *ev)
{
	free(ev->events);
	free(ev->runtime);
	free(ev->bytes);
	free(ev->text);
	*ev = (struct evidence){ 0 };
}

static int refuse(struct evidence *ev, const struct fault *f, struct err *e)
{
	evidence_free(ev);
	return err_fault(e, ERR_INPUT, f);
}

int evidence_read(struct evidence *ev, struct span bytes, struct err *e)
{
	struct fault f;

	if (bytes.n > ENVELOPE_MAX)
		return err_code(e, ERR_INPUT, "envelope.size", "attestation is larger than 10 MiB");
	if (prepare(ev, bytes.n, e))
		return -1;
	memcpy(ev->bytes, bytes.p, bytes.n);
	if (envelope_read(&ev->env, &ev->scratch, span_of(ev->bytes, bytes.n), &f))
		return refuse(ev, &f, e);
	return 0;
}

// The legacy form has one list: its runtime events are taken from it, and report_data from the quote.
int evidence_read_quote(struct evidence *ev, struct span quote, struct span log, struct err *e)
{
	struct fault f = { "quote.format", "quote cannot be read", 0 };
	struct quote q;

	if (quote.n > QUOTE_MAX || log.n > ENVELOPE_MAX)
		return err_code(e, ERR_INPUT, "envelope.size", "quote or event log is too large");
	if (prepare(ev, quote.n + log.n, e))
		return -1;
	memcpy(ev->bytes, quote.p, quote.n);
	if (log.n)
		memcpy(ev->bytes + quote.n, log.p, log.n);
	ev->env.kind = ENVELOPE_TDX;
	ev->env.quote = span_of(ev->bytes, quote.n);
	if (quote_parse(&q, ev->env.quote) != REASON_OK)
		return refuse(ev, &f, e);
	memcpy(ev->env.report_data, quote_report_data(&q).p, 64);
	if (eventlog_read_json(&ev->env.log, &ev->scratch, span_of(ev->bytes + quote.n, log.n), &f))
		return refuse(ev, &f, e);
	for (size_t i = 0; i < ev->env.log.n; i++)
		if (ev->env.log.e[i].imr == 3)
			ev->runtime[ev->env.runtime.n++] = ev->env.log.e[i];
	return 0;
}

int cert_payload(uint8_t **out, size_t *n, X509 *cert, const char *oid, struct err *e)
{
	ASN1_OBJECT *obj = OBJ_txt2obj(oid, 1);
	int at = obj ? X509_get_ext_by_OBJ(cert, obj, -1) : -1;
	bool twice = at >= 0 && X509_get_ext_by_OBJ(cert, obj, at) >= 0;
	struct span payload;
	struct fault f;

	ASN1_OBJECT_free(obj);
	if (at < 0)
		return 0;
	if (twice)
		return err_code(e, ERR_INPUT, "ratls.extension", "extension %s occurs twice", oid);
	const ASN1_OCTET_STRING *v = X509_EXTENSION_get_data(X509_get_ext(cert, at));
	int len = ASN1_STRING_length(v);

	if (len < 0 || len > EXTENSION_MAX ||
	    octet_string_read(&payload, span_of(ASN1_STRING_get0_data(v), (size_t)len), &f))
		return err_code(e, ERR_INPUT, "ratls.extension", "extension %s is malformed", oid);
	*out = malloc(payload.n + 1);
	if (!*out)
		return err_set(e, ERR_SYSTEM, "out of memory");
	memcpy(*out, payload.p, payload.n);
	*n = payload.n;
	return 1;
}

// "ELGZv1" and gzip: decompressed into a bounded buffer, so a bomb costs no more than that.
static int expand(struct span *log, uint8_t out[LEGACY_LOG_MAX], struct err *e)
{
	static const char magic[] = "ELGZv1";
	z_stream z = { 0 };

	if (log->n < 6 || memcmp(log->p, magic, 6) != 0) {
		if (log->n > LEGACY_LOG_MAX)
			return err_code(e, ERR_INPUT, "ratls.event_log",
					"event log in the certificate is too long");
		return 0;
	}
	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return err_set(e, ERR_SYSTEM, "zlib does not start");
	z.next_in = (uint8_t *)(uintptr_t)(log->p + 6);
	z.avail_in = (unsigned)(log->n - 6);
	z.next_out = out;
	z.avail_out = LEGACY_LOG_MAX;
	int r = inflate(&z, Z_FINISH);

	*log = span_of(out, LEGACY_LOG_MAX - z.avail_out);
	bool rest = z.avail_in;

	inflateEnd(&z);
	return r == Z_STREAM_END && !rest ? 0
					  : err_code(e, ERR_INPUT, "ratls.event_log",
						     "event log in the certificate is damaged or too long");
}

static int read_legacy(struct evidence *ev, X509 *cert, struct err *e)
{
	auto_free uint8_t *quote = NULL;
	auto_free uint8_t *log = NULL;
	uint8_t expanded[LEGACY_LOG_MAX];
	size_t quote_n, log_n;
	int has = cert_payload(&quote, &quote_n, cert, OID_DSTACK_QUOTE, e);

	if (has < 0)
		return -1;
	if (!has)
		return err_code(e, ERR_UNTRUSTED, "ratls.no_evidence", "certificate carries no evidence");
	has = cert_payload(&log, &log_n, cert, OID_DSTACK_EVENT_LOG, e);
	if (has < 0)
		return -1;
	if (!has)
		return err_code(e, ERR_INPUT, "ratls.event_log",
				"certificate carries a quote without its event log");
	struct span text = span_of(log, log_n);

	if (expand(&text, expanded, e))
		return -1;
	return evidence_read_quote(ev, span_of(quote, quote_n), text, e);
}

int evidence_read_cert(struct evidence *ev, X509 *cert, struct err *e)
{
	auto_free uint8_t *bytes = NULL;
	size_t n = 0;
	int has = cert_payload(&bytes, &n, cert, OID_DSTACK_ATTESTATION, e);

	if (has < 0)
		return -1;
	return has ? evidence_read(ev, span_of(bytes, n), e) : read_legacy(ev, cert, e);
}

int cert_app_id(uint8_t out[20], X509 *cert, struct err *e)
{
	auto_free uint8_t *p = NULL;
	size_t n = 0;
	int has = cert_payload(&p, &n, cert, OID_DSTACK_APP_ID, e);

	if (has < 0)
		return -1;
	if (!has)
		return err_code(e, ERR_ABSENT, "ratls.no_app_id", "certificate names no app id");
	if (n != 20)
		return err_code(e, ERR_INPUT, "ratls.app_id", "app id in the certificate is not 20 bytes");
	memcpy(out, p, 20);
	return 0;
}

int cert_usage(char *out, size_t cap, X509 *cert, struct err *e)
{
	auto_free uint8_t *p = NULL;
	size_t n = 0;
	int has = cert_payload(&p, &n, cert, OID_DSTACK_USAGE, e);

	if (has < 0)
		return -1;
	if (!has)
		return err_code(e, ERR_ABSENT, "ratls.no_usage", "certificate names no special usage");
	if (n >= cap || memchr(p, 0, n))
		return err_code(e, ERR_INPUT, "ratls.usage", "special usage in the certificate is malformed");
	memcpy(out, p, n);
	out[n] = 0;
	return 0;
}

int cert_attestation(uint8_t **out, size_t *n, X509 *cert, struct err *e)
{
	int has = cert_payload(out, n, cert, OID_DSTACK_ATTESTATION, e);

	if (has == 0)
		return err_code(e, ERR_ABSENT, "ratls.no_evidence", "certificate carries no evidence");
	return has < 0 ? -1 : 0;
}
