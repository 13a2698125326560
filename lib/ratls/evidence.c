#include "ratls/evidence.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "core/attest/quote.h"
#include "crypto/issue.h"
#include "ratls/images.h"
#include "ratls/trust.h"

enum { EVENTS_MAX = 1024, RUNTIME_MAX = 2048, LEGACY_LOG_MAX = 16 << 10 };

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
	uint8_t expanded[LEGACY_LOG_MAX];
	struct span quote, log;
	int has = cert_ext(cert, CERT_EXT_QUOTE, &quote, e);

	if (has < 0)
		return -1;
	if (!has)
		return err_code(e, ERR_UNTRUSTED, "ratls.no_evidence", "certificate carries no evidence");
	has = cert_ext(cert, CERT_EXT_EVENT_LOG, &log, e);
	if (has < 0)
		return -1;
	if (!has)
		return err_code(e, ERR_INPUT, "ratls.event_log",
				"certificate carries a quote without its event log");
	return expand(&log, expanded, e) ? -1 : evidence_read_quote(ev, quote, log, e);
}

int evidence_read_cert(struct evidence *ev, X509 *cert, struct err *e)
{
	struct span bytes;
	int has = cert_ext(cert, CERT_EXT_ATTESTATION, &bytes, e);

	if (has < 0)
		return -1;
	return has ? evidence_read(ev, bytes, e) : read_legacy(ev, cert, e);
}

int cert_app_id(uint8_t out[20], X509 *cert, struct err *e)
{
	struct span id;
	int has = cert_ext(cert, CERT_EXT_APP_ID, &id, e);

	if (has < 0)
		return -1;
	if (!has)
		return err_code(e, ERR_ABSENT, "ratls.no_app_id", "certificate names no app id");
	if (id.n != 20)
		return err_code(e, ERR_INPUT, "ratls.app_id", "app id in the certificate is not 20 bytes");
	memcpy(out, id.p, 20);
	return 0;
}

int cert_usage(char *out, size_t cap, X509 *cert, struct err *e)
{
	struct span usage;
	int has = cert_ext(cert, CERT_EXT_USAGE, &usage, e);

	if (has < 0)
		return -1;
	if (!has)
		return err_code(e, ERR_ABSENT, "ratls.no_usage", "certificate names no special usage");
	if (usage.n >= cap || memchr(usage.p, 0, usage.n))
		return err_code(e, ERR_INPUT, "ratls.usage", "special usage in the certificate is malformed");
	memcpy(out, usage.p, usage.n);
	out[usage.n] = 0;
	return 0;
}

int cert_attestation(uint8_t **out, size_t *n, X509 *cert, struct err *e)
{
	struct span bytes;
	int has = cert_ext(cert, CERT_EXT_ATTESTATION, &bytes, e);

	if (has < 0)
		return -1;
	if (!has)
		return err_code(e, ERR_ABSENT, "ratls.no_evidence", "certificate carries no evidence");
	*out = malloc(bytes.n + 1);
	if (!*out)
		return err_set(e, ERR_SYSTEM, "out of memory");
	memcpy(*out, bytes.p, bytes.n);
	*n = bytes.n;
	return 0;
}
