// dstack events replay FILE: the registers that an event log folds to. FILE is a JSON event array, a GetQuote
// answer, a CCEL table or a TPM log (binary_bios_measurements).
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "core/attest/eventlog.h"
#include "core/codec/json.h"
#include "ratls/images.h"

enum { FILE_MAX = 16 << 20 };

struct replay {
	const char *kind;
	struct eventlog log;
	struct event *store;
	uint8_t *text;
	uint8_t rtmr[4][EVENT_DIGEST];
};

static int read_json(struct replay *r, struct span s, struct fault *f)
{
	struct wr scratch = wr_to(r->text, s.n);
	struct json root, v;
	size_t n;

	r->kind = "json";
	if (s.p[0] == '{') {
		if (json_parse(&root, s, NULL) || !json_get(root, "event_log", &v) ||
		    json_kind(v) != JSON_STRING || json_string(v, r->text, s.n, &n))
			return fault_set(f, "events.format", "JSON object without an event_log string", 0);
		scratch = wr_to(r->text + n, s.n - n);
		s = span_of(r->text, n);
	}
	return eventlog_read_json(&r->log, &scratch, s, f);
}

// Both binary forms begin alike. PCR 7 is in every TPM log; no CCEL has a register above 4.
static int read_binary(struct replay *r, struct span s, struct fault *f)
{
	bool tpm = false;

	if (!eventlog_read_pcrs(&r->log, s, 0x0c, f))
		for (size_t i = 0; i < r->log.n; i++)
			tpm |= r->log.e[i].imr > 4;
	r->kind = tpm ? "tpm" : "ccel";
	if (tpm ? eventlog_read_tpm(&r->log, s, f) : eventlog_read_ccel(&r->log, s, f))
		return -1;
	eventlog_name_acpi(&r->log, tpm);
	return 0;
}

static void print_list(const struct replay *r, bool json)
{
	for (size_t i = 0; i < r->log.n; i++) {
		const struct event *e = &r->log.e[i];
		uint8_t digest[EVENT_DIGEST] = { 0 };
		struct fault f;

		if (e->imr == 3)
			(void)!event_digest(digest, e, &f);
		else
			memcpy(digest, e->digest.p, sizeof digest);
		if (json) {
			struct wr w = wr_to(malloc(1 << 20), 1 << 20);

			if (w.p)
				event_write_json(&w, e, false);
			printf("%s%.*s", i ? "," : "", w.bad ? 0 : (int)w.n, (const char *)w.p);
			free(w.p);
		} else {
			printf("%3zu rtmr%u 0x%08x %s %.*s\n", i, e->imr, e->type,
			       STR_HEX(digest, EVENT_DIGEST), (int)e->name.n, (const char *)e->name.p);
		}
	}
}

static void print(const struct replay *r, bool json, bool list)
{
	if (json)
		printf("{\"kind\":\"%s\",\"events\":%zu", r->kind, r->log.n);
	else if (list)
		print_list(r, false);
	for (int i = 0; i < 4; i++) {
		if (json)
			printf(",\"rtmr%d\":\"%s\"", i, STR_HEX(r->rtmr[i], EVENT_DIGEST));
		else
			printf("rtmr%d %s\n", i, STR_HEX(r->rtmr[i], EVENT_DIGEST));
	}
	if (json && list) {
		fputs(",\"event_log\":[", stdout);
		print_list(r, true);
		fputs("]", stdout);
	}
	if (json)
		puts("}");
}

static int replay(const char *path, bool json, bool list, struct err *e)
{
	auto_free char *bytes = NULL;
	struct replay r = { 0 };
	struct fault f;
	size_t n;

	if (file_read(path, FILE_MAX, &bytes, &n, e)) {
		e->class = ERR_INPUT;
		return -1;
	}
	auto_free struct event *store = calloc(EVENTLOG_MAX, sizeof *store);
	auto_free uint8_t *text = malloc(n + 1);

	if (!store || !text)
		return err_set(e, ERR_SYSTEM, "out of memory");
	r.log = (struct eventlog){ store, 0, EVENTLOG_MAX };
	r.text = text;
	size_t blank = strspn(bytes, " \t\r\n");
	bool is_json = blank < n && (bytes[blank] == '[' || bytes[blank] == '{');

	if (is_json ? read_json(&r, span_of(bytes + blank, n - blank), &f)
		    : read_binary(&r, span_of(bytes, n), &f))
		return err_fault(e, ERR_INPUT, &f);
	if (eventlog_replay(r.rtmr, &r.log, &f))
		return err_fault(e, ERR_UNTRUSTED, &f);
	print(&r, json, list);
	return 0;
}

int cmd_events(int argc, char **argv)
{
	bool json = false, list = false, bad = argc < 2 || strcmp(argv[1], "replay") != 0;
	const char *path = NULL;
	struct err e = { 0 };

	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			json = true;
		else if (!strcmp(argv[i], "--list"))
			list = true;
		else if (argv[i][0] == '-' || path)
			bad = true;
		else
			path = argv[i];
	}
	if (bad || !path)
		return command_usage("events");
	return replay(path, json, list, &e) ? command_fail(&e, json) : 0;
}
