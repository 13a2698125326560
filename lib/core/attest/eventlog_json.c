// The JSON form: the `event_log` string of GetQuote, an array of TdxEvents.
#include "core/attest/eventlog.h"
#include "core/codec/json.h"

// A string of hex as bytes in `scratch`; absent and null give an empty span.
static int hex_member(struct json v, struct wr *scratch, struct span *out)
{
	enum json_kind kind = json_kind(v);

	*out = (struct span){ 0 };
	if (kind == JSON_NONE || kind == JSON_NULL)
		return 0;
	size_t n = kind == JSON_STRING ? (v.text.n - 2) / 2 : 0;
	if (scratch->bad || n > scratch->cap - scratch->n || json_hex(v, scratch->p + scratch->n, n))
		return -1;
	*out = span_of(scratch->p + scratch->n, n);
	scratch->n += n;
	return 0;
}

static int name_member(struct json v, struct wr *scratch, struct span *out)
{
	size_t n;

	*out = (struct span){ 0 };
	if (json_kind(v) == JSON_NONE || json_kind(v) == JSON_NULL)
		return 0;
	if (json_kind(v) != JSON_STRING)
		return -1;
	if (!json_plain(v, out))
		return 0;
	if (scratch->bad || json_string(v, scratch->p + scratch->n, scratch->cap - scratch->n, &n))
		return -1;
	*out = span_of(scratch->p + scratch->n, n);
	scratch->n += n;
	return 0;
}

static int read_event(struct event *e, struct json event, size_t i, struct wr *scratch, struct fault *f)
{
	static const char *const name[] = { "imr",           "event_type", "digest",  "event",
					    "event_payload", "version",    "preimage" };
	enum { IMR, TYPE, HASH, NAME, PAYLOAD, VERSION, PREIMAGE, MEMBERS };
	uint64_t imr, type, version = 1;
	struct json v[MEMBERS];

	json_pick(event, name, v, MEMBERS);
	if (json_u64(v[IMR], UINT32_MAX, &imr) || json_u64(v[TYPE], UINT32_MAX, &type))
		return fault_set(f, "events.format", "event lacks imr or event_type", i);
	if (imr > 3)
		return fault_set(f, "events.imr", "event of a register that does not exist", i);
	if (json_kind(v[VERSION]) != JSON_NONE &&
	    (json_u64(v[VERSION], 255, &version) || version < 1 || version > 2))
		return fault_set(f, "events.version", "runtime event version is neither 1 nor 2", i);
	*e = (struct event){ .imr = (uint32_t)imr, .type = (uint32_t)type, .version = (uint8_t)version };
	if (hex_member(v[HASH], scratch, &e->digest) || hex_member(v[PAYLOAD], scratch, &e->payload) ||
	    hex_member(v[PREIMAGE], scratch, &e->preimage) || name_member(v[NAME], scratch, &e->name))
		return fault_set(f, "events.format", "event has a malformed member", i);
	if (e->digest.n && e->digest.n != EVENT_DIGEST)
		return fault_set(f, "events.digest", "digest of an event is not SHA-384", i);
	return event_check(e, i, f);
}

int eventlog_read_json(struct eventlog *log, struct wr *scratch, struct span text, struct fault *f)
{
	struct json_fault jf = { 0 };
	struct json root, v;

	log->n = 0;
	if (json_parse(&root, text, &jf))
		return fault_set(f, "events.format", jf.what ? jf.what : "event log is not JSON", jf.at);
	if (json_kind(root) != JSON_ARRAY)
		return fault_set(f, "events.format", "event log is not a JSON array", 0);
	for (struct json_iter it = json_iter(root); json_next(&it, NULL, &v); log->n++) {
		if (log->n == log->cap || log->n == EVENTLOG_MAX)
			return fault_set(f, "events.limit", "event log has too many events", log->n);
		if (read_event(&log->e[log->n], v, log->n, scratch, f))
			return -1;
	}
	return 0;
}

static void hex_text(struct wr *out, const char *key, struct span s)
{
	wr_str(out, key);
	wr_json_hex(out, s.p, s.n);
}

// The preimage as hex: it is text which itself holds the payload as hex.
static void write_preimage(struct wr *out, const struct event *e)
{
	enum { TAIL = 19 }; // ","type":134217729}
	uint8_t text[64 + 6 * EVENT_NAME_MAX], pair[2];
	struct wr w = wr_to(text, sizeof text);

	if (e->name.n > EVENT_NAME_MAX) {
		out->bad = true;
		return;
	}
	event_preimage_v2(&w, e->name, (struct span){ 0 });
	wr_hex(out, text, w.n - TAIL);
	for (size_t i = 0; i < e->payload.n; i++) {
		struct wr p = wr_to(pair, sizeof pair);

		wr_hex(&p, e->payload.p + i, 1);
		wr_hex(out, pair, sizeof pair);
	}
	wr_hex(out, text + w.n - TAIL, TAIL);
}

void event_write_json(struct wr *out, const struct event *e, bool strip)
{
	struct fault f;
	uint8_t digest[EVENT_DIGEST];
	bool runtime = e->imr == 3 && e->type == EVENT_RUNTIME;
	struct span shown = e->digest;

	if (runtime && !event_digest(digest, e, &f))
		shown = span_of(digest, sizeof digest);
	wr_str(out, "{\"imr\":");
	wr_dec(out, e->imr);
	wr_str(out, ",\"event_type\":");
	wr_dec(out, e->type);
	hex_text(out, ",\"digest\":", shown);
	wr_str(out, ",\"event\":");
	wr_json(out, e->name);
	hex_text(out, ",\"event_payload\":",
		 strip && !runtime && !event_is_acpi(e) ? (struct span){ 0 } : e->payload);
	if (e->version == 2) {
		wr_str(out, ",\"version\":2,\"preimage\":\"");
		write_preimage(out, e);
		wr_u8(out, '"');
	}
	wr_u8(out, '}');
}

void eventlog_write_json(struct wr *out, const struct eventlog *log, bool strip)
{
	wr_u8(out, '[');
	for (size_t i = 0; i < log->n; i++) {
		if (i)
			wr_u8(out, ',');
		event_write_json(out, &log->e[i], strip);
	}
	wr_u8(out, ']');
}
