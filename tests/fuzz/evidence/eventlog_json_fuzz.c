// JSON event logs: what reads, replays and writes reads again to the same registers.
#include "core/attest/eventlog.h"

#include <stdlib.h>
#include <string.h>

static struct event store[256], again[256];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t *text = malloc(n + 1), *out = malloc(16 * n + 4096), *text2 = malloc(16 * n + 4096);
	struct wr s = wr_to(text, n), w = wr_to(out, 16 * n + 4096), s2 = wr_to(text2, 16 * n + 4096);
	struct eventlog log = { store, 0, 256 }, back = { again, 0, 256 };
	uint8_t a[4][EVENT_DIGEST], b[4][EVENT_DIGEST];
	struct app_events app;
	struct fault f;

	if (!eventlog_read_json(&log, &s, span_of(data, n), &f)) {
		eventlog_name_acpi(&log, n & 1);
		(void)!app_events_read(&app, &log, &f);
		if (!eventlog_replay(a, &log, &f)) {
			eventlog_write_json(&w, &log, true);
			if (w.bad || eventlog_read_json(&back, &s2, span_of(out, w.n), &f) ||
			    eventlog_replay(b, &back, &f) || memcmp(a, b, sizeof a) != 0)
				__builtin_trap();
		}
	} else if (!f.code || !f.text) {
		__builtin_trap();
	}
	free(text);
	free(out);
	free(text2);
	return 0;
}
