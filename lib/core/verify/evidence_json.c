// Evidence as JSON: {attestation}, or {quote, event_log?, vm_config?, report_data?} as GetQuote answers and
// as the verifier is asked. Either may bring its collateral along. Members not named here are ignored, as on
// RPC.
#include "core/codec/json.h"
#include "core/verify/parts.h"

uint8_t *scratch_room(struct verify *v, size_t n)
{
	struct wr *w = &v->scratch;

	return w->bad || n > w->cap - w->n ? NULL : w->p + w->n;
}

enum { COLLATERAL, ATTESTATION, QUOTE, LOG, CONFIG, REPORT_DATA, MEMBERS };
static const char *const member[] = { "collateral", "attestation", "quote",
				      "event_log",  "vm_config",   "report_data" };

// A string unescaped into the scratch, or its hex digits as bytes. 1: there, 0: absent or null, -1: something
// else or too long.
static int text_of(struct verify *v, struct json m, struct span *out)
{
	enum json_kind kind = json_kind(m);
	struct wr *w = &v->scratch;
	size_t n;

	*out = (struct span){ 0 };
	if (kind == JSON_NONE || kind == JSON_NULL)
		return 0;
	if (w->bad || json_string(m, w->p + w->n, w->cap - w->n, &n))
		return -1;
	*out = span_of(w->p + w->n, n);
	w->n += n;
	return 1;
}

static int hex_of(struct verify *v, struct json m, struct span *out)
{
	enum json_kind kind = json_kind(m);

	*out = (struct span){ 0 };
	if (kind == JSON_NONE || kind == JSON_NULL)
		return 0;
	size_t n = kind == JSON_STRING ? (m.text.n - 2) / 2 : 0;
	uint8_t *to = scratch_room(v, n);

	if (!to || json_hex(m, to, n))
		return -1;
	v->scratch.n += n;
	*out = span_of(to, n);
	return 1;
}

static int collateral(struct verify *v, struct json m, struct fault *f)
{
	if (json_kind(m) == JSON_OBJECT) {
		v->evidence.collateral = m.text;
		return 0;
	}
	if (text_of(v, m, &v->evidence.collateral) < 0)
		return fault_set(f, "evidence.json", "collateral is neither an object nor a string", 0);
	return 0;
}

static int read_quote(struct verify *v, const struct json m[MEMBERS], struct fault *f)
{
	struct span quote, log;

	if (hex_of(v, m[QUOTE], &quote) != 1 || !quote.n)
		return fault_set(f, "evidence.json", "the JSON has neither attestation nor quote in hex", 0);
	if (text_of(v, m[LOG], &log) < 0)
		return fault_set(f, "evidence.json", "event_log is not a string", 0);
	if (text_of(v, m[CONFIG], &v->evidence.env.config) < 0)
		return fault_set(f, "evidence.json", "vm_config is not a string", 0);
	int r = hex_of(v, m[REPORT_DATA], &v->evidence.report_data);

	if (r < 0 || (v->evidence.report_data.n && v->evidence.report_data.n != 64))
		return fault_set(f, "evidence.json", "report_data is not 64 bytes in hex", 0);
	return evidence_take_quote(v, quote, log, f);
}

int evidence_read_json(struct verify *v, struct span text, struct fault *f)
{
	struct json_fault jf = { 0 };
	struct json root, m[MEMBERS];
	struct span attestation;

	if (json_parse(&root, text, &jf))
		return fault_set(f, "evidence.json", jf.what, jf.at);
	json_pick(root, member, m, MEMBERS);
	if (collateral(v, m[COLLATERAL], f))
		return -1;
	int r = hex_of(v, m[ATTESTATION], &attestation);

	if (r < 0)
		return fault_set(f, "evidence.json", "attestation is not a string of hex", 0);
	if (!r || !attestation.n) // with an attestation, quote and event_log beside it are never looked at
		return read_quote(v, m, f);
	if (envelope_read(&v->evidence.env, &v->scratch, attestation, f))
		return -1;
	v->evidence.has_log = true;
	return 0;
}
