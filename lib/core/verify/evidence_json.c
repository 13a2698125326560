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

int member_text(struct verify *v, struct json root, const char *name, struct span *out)
{
	struct json m;
	size_t n;

	*out = (struct span){ 0 };
	if (!json_get(root, name, &m) || json_kind(m) == JSON_NULL)
		return 0;
	if (json_kind(m) != JSON_STRING)
		return -1;
	n = json_string_size(m);
	uint8_t *to = scratch_room(v, n);

	if (!to || json_string(m, to, n, &n))
		return -1;
	v->scratch.n += n;
	*out = span_of(to, n);
	return 1;
}

int member_hex(struct verify *v, struct json root, const char *name, struct span *out)
{
	struct json m;
	size_t n;

	*out = (struct span){ 0 };
	if (!json_get(root, name, &m) || json_kind(m) == JSON_NULL)
		return 0;
	n = json_string_size(m) / 2;
	uint8_t *to = scratch_room(v, n);

	if (!to || json_kind(m) != JSON_STRING || json_hex(m, to, n))
		return -1;
	v->scratch.n += n;
	*out = span_of(to, n);
	return 1;
}

static int collateral(struct verify *v, struct json root, struct fault *f)
{
	struct json m;

	if (json_get(root, "collateral", &m) && json_kind(m) == JSON_OBJECT) {
		v->evidence.collateral = m.text;
		return 0;
	}
	if (member_text(v, root, "collateral", &v->evidence.collateral) < 0)
		return fault_set(f, "evidence.json", "collateral is neither an object nor a string", 0);
	return 0;
}

static int read_quote(struct verify *v, struct json root, struct fault *f)
{
	struct span quote, log;

	if (member_hex(v, root, "quote", &quote) != 1 || !quote.n)
		return fault_set(f, "evidence.json", "the JSON has neither attestation nor quote in hex", 0);
	if (member_text(v, root, "event_log", &log) < 0)
		return fault_set(f, "evidence.json", "event_log is not a string", 0);
	if (member_text(v, root, "vm_config", &v->evidence.env.config) < 0)
		return fault_set(f, "evidence.json", "vm_config is not a string", 0);
	int r = member_hex(v, root, "report_data", &v->evidence.report_data);

	if (r < 0 || (v->evidence.report_data.n && v->evidence.report_data.n != 64))
		return fault_set(f, "evidence.json", "report_data is not 64 bytes in hex", 0);
	return evidence_take_quote(v, quote, log, f);
}

int evidence_read_json(struct verify *v, struct span text, struct fault *f)
{
	struct json_fault jf = { 0 };
	struct json root;
	struct span attestation;

	if (json_parse(&root, text, &jf))
		return fault_set(f, "evidence.json", jf.what, jf.at);
	if (collateral(v, root, f))
		return -1;
	int r = member_hex(v, root, "attestation", &attestation);

	if (r < 0)
		return fault_set(f, "evidence.json", "attestation is not a string of hex", 0);
	if (!r || !attestation.n) // with an attestation, quote and event_log beside it are never looked at
		return read_quote(v, root, f);
	if (envelope_read(&v->evidence.env, &v->scratch, attestation, f))
		return -1;
	v->evidence.has_log = true;
	return 0;
}
