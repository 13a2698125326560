#include "guestlike.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "core/hash/sha2.h"
#include "core/measure/mrconfig.h"

enum { QUOTE_HEAD = 48, REPORT_DATA_AT = 520 };

int guestlike_image(struct guestlike_who *w, struct err *e)
{
	auto_free char *path = str_format("%s/sha256sum.txt", w->image), *text = NULL;
	size_t n = 0;

	if (!path || file_read(path, 4096, &text, &n, e))
		return -1;
	SHA256((const uint8_t *)text, n, w->hash);
	return 0;
}

static void add_runtime(struct guestlike *g, const char *name, const void *p, size_t n)
{
	struct event ev = event_runtime(span_str(name), span_of(p, n), 1);

	g->runtime_events[g->runtime.n++] = ev;
	g->log_events[g->log.n++] = ev;
}

void guestlike_make(struct guestlike *g, const struct guestlike_who *o)
{
	static const uint8_t zeros[65536];
	static const char provider[] = "{\"name\":\"kms\",\"id\":\"3059\"}";

	*g = (struct guestlike){ .log = { g->log_events, 0, GUESTLIKE_EVENTS },
				 .runtime = { g->runtime_events, 0, GUESTLIKE_EVENTS } };
	snprintf(g->config, sizeof g->config,
		 "{\"os_image_hash\":\"%s\",\"cpu_count\":1,\"memory_size\":%u,\"qemu_version\":\"7.2.0\","
		 "\"num_nics\":1,"
		 "\"swtpm\":true,\"tee\":\"soft\"}",
		 STR_HEX(o->hash, 32), 1u << 31);
	for (int i = 0; i < 4; i++) {
		memset(g->acpi[i], 0x40 + i, 48);
		if (i == 2)
			sha384(zeros, sizeof zeros, g->acpi[i]);
		g->log_events[g->log.n++] = (struct event){ .imr = 0,
							    .type = 10,
							    .version = 1,
							    .payload = span_str("ACPI DATA"),
							    .digest = span_of(g->acpi[i], 48) };
	}
	eventlog_name_acpi(&g->log, true);
	add_runtime(g, "system-preparing", "", 0);
	add_runtime(g, "app-id", o->app, sizeof o->app);
	add_runtime(g, "compose-hash", o->compose, sizeof o->compose);
	add_runtime(g, "instance-id", o->instance, o->has_instance ? sizeof o->instance : 0);
	add_runtime(g, "boot-mr-done", "", 0);
	if (o->ready) {
		add_runtime(g, "key-provider", provider, sizeof provider - 1);
		add_runtime(g, "system-ready", "", 0);
	}
}

int guestlike_registers(const struct guestlike *g, const struct guestlike_who *o, struct measured *out,
			uint8_t rtmr3[48], struct err *e)
{
	auto_free char *path = str_format("%s/measurement.tdx.cbor", o->image), *cbor = NULL;
	static uint8_t room[65536];
	struct wr scratch = wr_to(room, sizeof room);
	struct measurement_tdx m;
	struct vm_config c;
	struct fault f = { 0 };
	size_t n = 0;

	if (!path || file_read(path, 4096, &cbor, &n, e))
		return -1;
	if (measurement_tdx_read(&m, span_of(cbor, n), &f) ||
	    vm_config_read(&c, &scratch, span_str(g->config), &f) ||
	    measure_expect(out, &m, m.kernel, &c, &g->log, &f) ||
	    eventlog_replay_runtime(rtmr3, &g->runtime, false, &f))
		return err_set(e, ERR_INPUT, "registers: %s", f.text);
	return 0;
}

int guestlike_body(const struct guestlike *g, const struct guestlike_who *w, const uint8_t report_data[64],
		   struct quote_body *out, struct err *e)
{
	struct measured m;

	quote_body_init(out);
	if (guestlike_registers(g, w, &m, out->rtmr[3], e))
		return -1;
	memcpy(out->mr_td, m.mrtd, sizeof out->mr_td);
	for (int i = 0; i < 3; i++)
		memcpy(out->rtmr[i], m.rtmr[i].value, sizeof out->rtmr[i]);
	mr_config_id_v1(out->mr_config_id, w->compose);
	memcpy(out->report_data, report_data, 64);
	return 0;
}

// It says the report data that the quote has, whatever key stands beside it.
int guestlike_envelope(const struct guestlike *g, struct span quote, bool strip, struct wr *out,
		       struct err *e)
{
	struct envelope env = { .kind = ENVELOPE_TDX,
				.quote = quote,
				.log = g->log,
				.runtime = g->runtime,
				.config = span_str(g->config) };
	struct fault f = { 0 };

	if (quote.n < QUOTE_HEAD + QUOTE_BODY)
		return err_set(e, ERR_INPUT, "no quote");
	memcpy(env.report_data, quote.p + QUOTE_HEAD + REPORT_DATA_AT, 64);
	if (strip)
		envelope_strip(&env);
	if (envelope_write(out, &env, &f) || out->bad)
		return err_set(e, ERR_INPUT, "envelope: %s", out->bad ? "too large" : f.text);
	return 0;
}
