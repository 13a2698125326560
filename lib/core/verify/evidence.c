// Evidence by its first bytes: JSON, PEM, DER, hex of something, quote, envelope. Every form ends as one
// envelope with one list of events.
#include "core/codec/hex.h"
#include "core/codec/pem.h"
#include "core/verify/parts.h"

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static struct span trim(struct span s)
{
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	while (s.n && is_blank(*s.p))
		s = span_of(s.p + 1, s.n - 1);
	return s;
}

static bool starts(struct span s, const char *with)
{
	struct span w = span_str(with);

	return s.n >= w.n && span_eq(span_of(s.p, w.n), w);
}

// The same events seen as the runtime's: of a form that has one list.
static void split_runtime(struct verify_evidence *e)
{
	_Static_assert(VERIFY_RUNTIME >= VERIFY_EVENTS, "there is room for all of them");
	for (size_t i = 0; i < e->env.log.n; i++)
		if (e->env.log.e[i].imr == 3)
			e->env.runtime.e[e->env.runtime.n++] = e->env.log.e[i];
}

int evidence_take_quote(struct verify *v, struct span bytes, struct span log, struct fault *f)
{
	struct verify_evidence *e = &v->evidence;
	struct quote q;

	if (bytes.n > QUOTE_MAX)
		return fault_set(f, "envelope.size", "quote is too large", bytes.n);
	if (log.n > VERIFY_LIST_MAX)
		return fault_set(f, "envelope.size", "event log is larger than 384 KiB", log.n);
	e->env.kind = ENVELOPE_TDX;
	e->env.quote = bytes;
	if (quote_parse(&q, bytes) == REASON_OK) { // otherwise the quote's own checks will say what it lacks
		struct rd data = rd_span(quote_report_data(&q));

		rd_copy(&data, e->env.report_data, sizeof e->env.report_data);
	}
	e->has_log = log.n;
	if (!log.n)
		return 0;
	if (eventlog_read_json(&e->env.log, &v->scratch, log, f))
		return -1;
	split_runtime(e);
	return 0;
}

static int read_envelope(struct verify *v, struct span bytes, struct fault *f)
{
	if (envelope_read(&v->evidence.env, &v->scratch, bytes, f))
		return -1;
	v->evidence.has_log = true;
	return 0;
}

// ---- certificates

// The legacy log: as it is, or what the caller inflated; VERIFY_INFLATE when it has not yet.
static int legacy_log(struct verify *v, struct span *log, struct fault *f)
{
	static const char magic[] = "ELGZv1";

	if (starts(*log, magic)) {
		v->compressed = span_of(log->p + 6, log->n - 6);
		*log = v->in.inflated;
		if (!log->n)
			v->next = VERIFY_INFLATE;
	}
	if (log->n > VERIFY_LOG_MAX)
		return fault_set(f, "ratls.event_log", "event log in the certificate is too long", log->n);
	return 0;
}

static int read_legacy(struct verify *v, struct fault *f)
{
	const struct verify_cert *c = &v->evidence.cert;
	struct span log = c->event_log;

	if (!c->quote.p)
		return 0; // no evidence: platform_open says so
	if (!log.n)
		return fault_set(f, "ratls.event_log", "certificate carries a quote without its event log",
				 0);
	if (legacy_log(v, &log, f))
		return -1;
	return v->next == VERIFY_INFLATE ? 0 : evidence_take_quote(v, c->quote, log, f);
}

static int read_certificate(struct verify *v, struct span der, struct fault *f)
{
	struct verify_cert *c = &v->evidence.cert;

	v->evidence.form = VERIFY_CERTIFICATE;
	if (certificate_read(c, der, f))
		return -1;
	return c->attestation.p ? read_envelope(v, c->attestation, f) : read_legacy(v, f);
}

// The first of the file is the one asked about; those behind it must at least be certificates.
static int read_pem(struct verify *v, struct span text, struct fault *f)
{
	struct rd in = rd_span(text);
	struct span first = { 0 };
	size_t n;
	int r;

	for (;;) {
		uint8_t *to = v->scratch.p + v->scratch.n;

		r = pem_next(&in, to, v->scratch.cap - v->scratch.n, &n);
		if (r != 1)
			break;
		if (!first.n) {
			first = span_of(to, n);
			v->scratch.n += n;
		}
	}
	if (r || !first.n)
		return fault_set(f, "ratls.certificate", "malformed PEM", text.n - rd_left(&in));
	return read_certificate(v, first, f);
}

// ---- forms

static int read_bytes(struct verify *v, struct span s, struct fault *f)
{
	if (s.n > 1 && s.p[0] == 0x30 && s.p[1] & 0x80)
		return read_certificate(v, s, f);
	if (s.n > 1 && s.p[0] >= 3 && s.p[0] <= 5 && !s.p[1]) {
		v->evidence.form = VERIFY_QUOTE;
		return evidence_take_quote(v, s, (struct span){ 0 }, f);
	}
	v->evidence.form = VERIFY_ENVELOPE;
	return read_envelope(v, s, f);
}

// As what the caller says it is.
static int read_as(struct verify *v, enum verify_form form, struct span s, struct fault *f)
{
	v->evidence.form = form;
	switch (form) {
	case VERIFY_QUOTE:
		return evidence_take_quote(v, s, v->in.event_log, f);
	case VERIFY_ENVELOPE:
		return read_envelope(v, s, f);
	case VERIFY_CERTIFICATE:
		return read_certificate(v, s, f);
	case VERIFY_JSON:
	case VERIFY_ANY:
		break;
	}
	return evidence_read_json(v, s, f);
}

void evidence_init(struct verify_evidence *e)
{
	e->form = VERIFY_ANY;
	e->env = (struct envelope){ .log = { e->events, 0, VERIFY_EVENTS },
				    .runtime = { e->runtime, 0, VERIFY_RUNTIME },
				    .tpm = &e->tpm };
	e->has_log = false;
	e->cert = (struct verify_cert){ 0 };
	e->collateral = e->report_data = (struct span){ 0 };
}

int evidence_parse(struct verify *v, struct fault *f)
{
	struct span s = v->in.evidence, text = trim(s), digits = text;

	if (s.n > VERIFY_EVIDENCE_MAX)
		return fault_set(f, "envelope.size", "evidence is larger than 1 MiB", s.n);
	if (v->in.form != VERIFY_ANY)
		return read_as(v, v->in.form, s, f);
	if (starts(text, "{"))
		return read_as(v, VERIFY_JSON, text, f);
	if (starts(text, "-----BEGIN"))
		return read_pem(v, text, f);
	if (starts(digits, "0x"))
		digits = span_of(digits.p + 2, digits.n - 2);
	uint8_t *to = scratch_room(v, digits.n / 2);

	if (digits.n && to && !hex_decode(to, digits.n / 2, digits)) {
		v->scratch.n += digits.n / 2;
		s = span_of(to, digits.n / 2);
	}
	return read_bytes(v, s, f);
}
