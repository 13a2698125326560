#include "core/attest/eventlog_show.h"
#include "core/attest/quote.h"
#include "core/codec/hex.h"
#include "core/codec/json.h"

static bool blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span trimmed(struct span s)
{
	while (s.n && blank(s.p[0]))
		s = span_sub(s, 1, s.n - 1);
	while (s.n && blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool all_hex(struct span s)
{
	size_t i = 0;

	while (i < s.n && hex_digit(s.p[i]) >= 0)
		i++;
	return s.n && s.n % 2 == 0 && i == s.n;
}

static uint8_t *room(struct wr *scratch, size_t n)
{
	if (scratch->bad || n > scratch->cap - scratch->n)
		return NULL;
	scratch->n += n;
	return scratch->p + scratch->n - n;
}

static void take_quote(struct event_replay *r, struct span bytes)
{
	struct quote q;
	struct td_report td;

	if (quote_parse(&q, bytes) || quote_td(&q, &td))
		return;
	r->has_quote = true;
	for (size_t i = 0; i < EVENT_DIGEST; i++)
		r->quoted_mrtd[i] = td.mr_td[i];
	for (size_t i = 0; i < sizeof r->quoted; i++)
		r->quoted[i / EVENT_DIGEST][i % EVENT_DIGEST] = td.rtmr[i / EVENT_DIGEST][i % EVENT_DIGEST];
}

// Encodings that carry no names for boot events: the three blobs of a TD, or four where there is a TPM.
static void name_acpi(struct eventlog *log)
{
	size_t n = 0;
	bool named = false;

	for (size_t i = 0; i < log->n; i++)
		if (event_is_acpi(&log->e[i])) {
			n++;
			named |= log->e[i].name.n != 0;
		}
	if (!named)
		eventlog_name_acpi(log, n == 4);
}

// The platform's boot events, then the runtime events that verification uses.
static int read_envelope(struct event_replay *r, struct wr *scratch, struct span bytes, struct fault *f)
{
	struct envelope env = { .log = r->log, .runtime = r->runtime, .tpm = r->tpm };
	size_t n = 0;

	r->kind = "envelope";
	if (envelope_read(&env, scratch, bytes, f) || eventlog_same_runtime(&env.log, &env.runtime, f))
		return -1;
	for (size_t i = 0; i < env.log.n; i++)
		if (env.log.e[i].imr != 3)
			env.log.e[n++] = env.log.e[i];
	for (size_t i = 0; i < env.runtime.n; i++) {
		if (n == env.log.cap)
			return fault_set(f, "events.limit", "event log has too many events", n);
		env.log.e[n++] = env.runtime.e[i];
	}
	r->log.n = n;
	name_acpi(&r->log);
	r->vm_config = envelope_vm_config(&env, scratch);
	r->no_registers = env.kind != ENVELOPE_TDX && env.kind != ENVELOPE_GCP_TDX;
	if (!r->no_registers)
		take_quote(r, env.quote);
	return 0;
}

static int read_hex_envelope(struct event_replay *r, struct wr *scratch, struct span digits, struct fault *f)
{
	size_t n = digits.n / 2;
	uint8_t *p = room(scratch, n);

	if (!p || hex_decode(p, n, digits))
		return fault_set(f, "events.format", "attestation is not hex", 0);
	return read_envelope(r, scratch, span_of(p, n), f);
}

static int take_config(struct event_replay *r, struct wr *scratch, struct json root)
{
	struct json v;
	size_t n;

	if (!json_get(root, "vm_config", &v) || json_kind(v) == JSON_NULL)
		return 0;
	n = json_string_size(v);
	uint8_t *p = room(scratch, n);

	if (!p || json_string(v, p, n, &n))
		return -1;
	r->vm_config = span_of(p, n);
	return 0;
}

static int read_object(struct event_replay *r, struct wr *scratch, struct json root, struct fault *f)
{
	struct json log, quote, envelope;
	struct span digits;
	uint8_t *p;
	size_t n;

	if (json_get(root, "attestation", &envelope) && json_kind(envelope) != JSON_NULL)
		return json_plain(envelope, &digits)
			       ? fault_set(f, "events.format", "attestation is not hex", 0)
			       : read_hex_envelope(r, scratch, digits, f);
	r->kind = "json";
	if (!json_get(root, "event_log", &log) || json_kind(log) != JSON_STRING)
		return fault_set(f, "events.format", "JSON object without an event_log string", 0);
	n = json_string_size(log);
	p = room(scratch, n);
	if (!p || json_string(log, p, n, &n))
		return fault_set(f, "events.format", "event_log does not fit", 0);
	if (eventlog_read_json(&r->log, scratch, span_of(p, n), f))
		return -1;
	if (take_config(r, scratch, root))
		return fault_set(f, "events.format", "vm_config is not a string", 0);
	if (!json_get(root, "quote", &quote) || json_plain(quote, &digits))
		return 0;
	if (digits.n > 1 && digits.p[0] == '0' && digits.p[1] == 'x')
		digits = span_sub(digits, 2, digits.n - 2);
	n = digits.n / 2;
	p = room(scratch, n);
	if (p && !hex_decode(p, n, digits))
		take_quote(r, span_of(p, n));
	return 0;
}

static int read_json(struct event_replay *r, struct wr *scratch, struct span text, struct fault *f)
{
	struct json root;

	r->kind = "json";
	if (text.p[0] == '[')
		return eventlog_read_json(&r->log, scratch, text, f);
	if (json_parse(&root, text, NULL))
		return fault_set(f, "events.format", "file is not JSON", 0);
	return read_object(r, scratch, root, f);
}

// Both binary forms begin alike. A CCEL has one bank, SHA-384, and no register above 4; PCR 7 is in every TPM
// log.
static int read_tcg(struct event_replay *r, struct span bytes, struct fault *f)
{
	unsigned banks;
	bool tpm;

	if (tcglog_banks(&banks, bytes, f))
		return -1;
	tpm = banks != 2;
	if (!tpm)
		(void)!eventlog_read_pcrs(&r->log, bytes, TPMLOG_SHA384, f); // as far as it can be read
	for (size_t i = 0; i < r->log.n; i++)
		tpm |= r->log.e[i].imr > 4;
	r->kind = tpm ? "tpm" : "ccel";
	if (!tpm) {
		if (eventlog_read_ccel(&r->log, bytes, f))
			return -1;
		eventlog_name_acpi(&r->log, false);
		return 0;
	}
	if ((banks & 1 && tpmlog_replay(&r->bank[0], bytes, TPMLOG_SHA256, f)) ||
	    (banks & 2 && tpmlog_replay(&r->bank[1], bytes, TPMLOG_SHA384, f)))
		return -1;
	r->is_pcrs = !(banks & 2);
	if (r->is_pcrs)
		return eventlog_read_pcrs(&r->log, bytes, TPMLOG_SHA256, f);
	if (eventlog_read_tpm(&r->log, bytes, f))
		return -1;
	eventlog_name_acpi(&r->log, true);
	return 0;
}

static bool is_tcg(struct span s)
{
	return s.n >= 48 && span_eq(span_sub(s, 32, 16), span_of("Spec ID Event03", 16));
}

static int read_any(struct event_replay *r, struct wr *scratch, struct span bytes, struct fault *f)
{
	struct span text = trimmed(bytes);

	if (is_tcg(bytes))
		return read_tcg(r, bytes, f);
	if (!text.n)
		return fault_set(f, "events.format", "file is empty", 0);
	if (text.p[0] == '[' || text.p[0] == '{')
		return read_json(r, scratch, text, f);
	if (all_hex(text))
		return read_hex_envelope(r, scratch, text, f);
	if (bytes.p[0] == 0 || bytes.p[0] >= 0x80)
		return read_envelope(r, scratch, bytes, f);
	return fault_set(f, "events.format", "file is no event log in a known form", 0);
}

// What goes into a certificate has lost its boot events but for ACPI DATA: registers 0 to 2 then say nothing.
static unsigned present(const struct event_replay *r)
{
	bool boot = false, runtime = false;

	for (size_t i = 0; i < r->log.n; i++) {
		const struct event *e = &r->log.e[i];

		boot |= e->imr != 3 && !event_is_acpi(e);
		runtime |= e->imr == 3;
	}
	return boot || !runtime ? 15 : 8;
}

// A firmware's own events of register 3 have nothing to recompute: their digests are folded as they are.
static int fold_ccel(struct event_replay *r, struct fault *f)
{
	for (size_t i = 0; i < r->log.n; i++)
		if (r->log.e[i].type == EVENT_RUNTIME)
			return fault_set(f, "events.type", "runtime event in a firmware's log", i);
	for (size_t i = 0; i < sizeof r->rtmr; i++)
		r->rtmr[i / EVENT_DIGEST][i % EVENT_DIGEST] = 0;
	for (size_t i = 0; i < r->log.n; i++)
		register_extend(r->rtmr[r->log.e[i].imr], r->log.e[i].digest.p);
	return 0;
}

int event_replay_read(struct event_replay *r, struct wr *scratch, struct span bytes, struct fault *f)
{
	r->has_quote = r->is_pcrs = r->no_registers = false;
	r->present = 0;
	r->bank[0].size = r->bank[1].size = 0;
	r->log.n = r->runtime.n = 0;
	r->vm_config = (struct span){ 0 };
	if (read_any(r, scratch, bytes, f))
		return -1;
	if (r->is_pcrs)
		return 0;
	r->present = r->no_registers ? 0 : present(r);
	return span_is(span_str(r->kind), "ccel") ? fold_ccel(r, f) : eventlog_replay(r->rtmr, &r->log, f);
}

bool event_replay_equal(const struct event_replay *r)
{
	for (unsigned i = 0; i < 4; i++)
		if (r->present >> i & 1 &&
		    !span_eq(span_of(r->rtmr[i], EVENT_DIGEST), span_of(r->quoted[i], EVENT_DIGEST)))
			return false;
	return true;
}

static void write_registers(struct wr *out, const uint8_t reg[4][EVENT_DIGEST], unsigned shown)
{
	for (unsigned i = 0; i < 4; i++) {
		wr_str(out, i ? ",\"rtmr" : "\"rtmr");
		wr_dec(out, i);
		wr_str(out, "\":");
		if (shown >> i & 1)
			wr_json_hex(out, reg[i], EVENT_DIGEST);
		else
			wr_str(out, "null");
	}
}

static void write_bank(struct wr *out, const char *name, const struct tpm_pcrs *b)
{
	bool first = true;

	wr_u8(out, '"');
	wr_str(out, name);
	wr_str(out, "\":{");
	for (unsigned i = 0; i < TPMLOG_PCRS; i++) {
		if (!(b->used >> i & 1))
			continue;
		wr_str(out, first ? "\"" : ",\"");
		wr_dec(out, i);
		wr_str(out, "\":");
		wr_json_hex(out, b->pcr[i], b->size);
		first = false;
	}
	wr_u8(out, '}');
}

static void write_pcr_event(struct wr *out, const struct event *e)
{
	wr_str(out, "{\"pcr_index\":");
	wr_dec(out, e->imr);
	wr_str(out, ",\"event_type\":");
	wr_dec(out, e->type);
	wr_str(out, ",\"digest\":");
	wr_json_hex(out, e->digest.p, e->digest.n);
	wr_u8(out, '}');
}

void event_replay_json(struct wr *out, const struct event_replay *r, bool list)
{
	wr_str(out, "{\"kind\":\"");
	wr_str(out, r->kind);
	wr_str(out, "\",\"events\":");
	wr_dec(out, r->log.n);
	wr_u8(out, ',');
	write_registers(out, r->rtmr, r->present);
	if (r->has_quote) {
		wr_str(out, ",\"quoted\":{");
		write_registers(out, r->quoted, 15);
		wr_str(out, event_replay_equal(r) ? ",\"equal\":true}" : ",\"equal\":false}");
	}
	if (r->bank[0].size || r->bank[1].size) {
		wr_str(out, ",\"pcrs\":{");
		if (r->bank[0].size)
			write_bank(out, "sha256", &r->bank[0]);
		if (r->bank[0].size && r->bank[1].size)
			wr_u8(out, ',');
		if (r->bank[1].size)
			write_bank(out, "sha384", &r->bank[1]);
		wr_u8(out, '}');
	}
	if (list)
		wr_str(out, ",\"event_log\":[");
	for (size_t i = 0; list && i < r->log.n; i++) {
		if (i)
			wr_u8(out, ',');
		if (r->is_pcrs)
			write_pcr_event(out, &r->log.e[i]);
		else
			event_write_json(out, &r->log.e[i], false);
	}
	wr_str(out, list ? "]}" : "}");
}
