// Logs in any form, as `dstack events replay` and the page read them: what is written is JSON and replays to
// the same registers; what can be replayed can be explained, against itself without a difference.
#include "core/attest/eventlog_show.h"
#include "core/codec/json.h"
#include "core/measure/explain.h"

#include <stdlib.h>
#include <string.h>

enum { EVENTS = 256 };

static struct event store[EVENTS], runtime[EVENTS];
static struct envelope_tpm tpm;
static struct measured want;
static struct explain x;

static void explain_it(const struct eventlog *log)
{
	struct explain_facts facts = { 0 };
	struct fault f;
	char text[16384];
	struct wr w = wr_to(text, sizeof text);
	struct json root;

	if (explain_reference(&want, log, &f))
		return;
	explain_logs(&x, &want, log, &facts);
	if (x.n)
		__builtin_trap();
	for (int i = 0; i < 3; i++) // one digest altered, one event less
		if (want.rtmr[i].n) {
			want.rtmr[i].e[want.rtmr[i].n / 2].digest[0] ^= 1;
			want.rtmr[i].n--;
		}
	explain_logs(&x, &want, log, &facts);
	explain_json(&w, &x);
	if (w.bad || json_parse(&root, span_of(text, w.n), NULL))
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t *text = malloc(2 * n + 1);
	struct wr scratch = wr_to(text, 2 * n + 1), size = { 0 };
	struct event_replay r = { .log = { store, 0, EVENTS },
				  .runtime = { runtime, 0, EVENTS },
				  .tpm = &tpm };
	struct fault f = { 0 };
	struct json root;

	if (event_replay_read(&r, &scratch, span_of(data, n), &f)) {
		if (!f.code || !f.text)
			__builtin_trap();
	} else {
		event_replay_json(&size, &r, true);
		uint8_t *out = malloc(size.n);
		struct wr w = wr_to(out, size.n);

		event_replay_json(&w, &r, true);
		if (w.bad || json_parse(&root, span_of(out, w.n), NULL))
			__builtin_trap();
		if (!r.is_pcrs)
			explain_it(&r.log);
		free(out);
	}
	free(text);
	return 0;
}
