// dstack events replay FILE: the registers that an event log folds to. FILE is a JSON event array, a GetQuote
// answer, an envelope, a CCEL table or a TPM log (binary_bios_measurements).
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "core/attest/eventlog_show.h"
#include "ratls/images.h"

enum { FILE_MAX = 21 << 20 }; // an envelope as hex

static int print_json(const struct event_replay *r, bool list, struct err *e)
{
	struct wr size = { 0 };

	event_replay_json(&size, r, list);
	auto_free char *text = malloc(size.n + 1);
	struct wr out = wr_to(text, text ? size.n : 0);

	event_replay_json(&out, r, list);
	if (!text || out.bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	fwrite(text, 1, out.n, stdout);
	putchar('\n');
	return 0;
}

static void print_list(const struct event_replay *r)
{
	for (size_t i = 0; i < r->log.n; i++) {
		const struct event *e = &r->log.e[i];
		uint8_t digest[EVENT_DIGEST];
		size_t n = sizeof digest;
		struct fault f;

		if (e->imr != 3 || r->is_pcrs)
			memcpy(digest, e->digest.p, n = e->digest.n);
		else if (event_digest(digest, e, &f))
			continue; // replayed before, so this cannot fail
		printf("%3zu %s%u 0x%08x %s %s\n", i, r->is_pcrs ? "pcr" : "rtmr", e->imr, e->type,
		       STR_HEX(digest, n), STR_Q(e->name.p, e->name.n));
	}
}

static void print_bank(const char *name, const struct tpm_pcrs *b)
{
	for (unsigned i = 0; i < TPMLOG_PCRS; i++)
		if (b->size && b->used >> i & 1)
			printf("pcr%u %s %s\n", i, name, STR_HEX(b->pcr[i], b->size));
}

static void print_text(const struct event_replay *r, bool list)
{
	if (list)
		print_list(r);
	if (r->no_registers)
		puts("this platform has no runtime registers: nothing vouches for the events");
	for (int i = 0; i < 4 && !r->is_pcrs && !r->no_registers; i++) {
		const char *note = "";

		if (!(r->present >> i & 1)) {
			printf("rtmr%d not in this log: its boot events were left out\n", i);
			continue;
		}
		if (r->has_quote)
			note = memcmp(r->rtmr[i], r->quoted[i], EVENT_DIGEST) ? " differs from the quote"
									      : " as in the quote";
		printf("rtmr%d %s%s\n", i, STR_HEX(r->rtmr[i], EVENT_DIGEST), note);
	}
	print_bank("sha256", &r->bank[0]);
	print_bank("sha384", &r->bank[1]);
}

// What cannot be read is input; what can be read and does not hold is not trusted.
static enum err_class class_of(const struct fault *f)
{
	static const char *const input[] = { "events.format", "events.limit", "events.bank" };

	for (size_t i = 0; i < sizeof input / sizeof *input; i++)
		if (!strcmp(f->code, input[i]))
			return ERR_INPUT;
	return strncmp(f->code, "envelope.", 9) ? ERR_UNTRUSTED : ERR_INPUT;
}

static int replay(const char *path, bool json, bool list, struct err *e)
{
	auto_free char *bytes = NULL;
	struct fault f = { 0 };
	size_t n;

	if (file_read(path, FILE_MAX, &bytes, &n, e)) {
		e->class = ERR_INPUT;
		return -1;
	}
	auto_free struct event_replay *r = calloc(1, sizeof *r);
	auto_free struct event *store = calloc(2 * EVENTLOG_MAX, sizeof *store);
	auto_free struct envelope_tpm *tpm = calloc(1, sizeof *tpm);
	auto_free uint8_t *text = malloc(2 * n + 1);

	if (!r || !store || !tpm || !text)
		return err_set(e, ERR_SYSTEM, "out of memory");
	struct wr scratch = wr_to(text, 2 * n + 1);

	r->log = (struct eventlog){ store, 0, EVENTLOG_MAX };
	r->runtime = (struct eventlog){ store + EVENTLOG_MAX, 0, EVENTLOG_MAX };
	r->tpm = tpm;
	if (event_replay_read(r, &scratch, span_of(bytes, n), &f))
		return err_fault(e, class_of(&f), &f);
	if (json)
		return print_json(r, list, e);
	print_text(r, list);
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
