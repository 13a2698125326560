// CCEL and TPM logs: every span lies inside the input.
#include "core/attest/eventlog.h"

static struct event store[512];

static void inside(const struct eventlog *log, const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < log->n; i++) {
		const struct event *e = &log->e[i];

		if (e->digest.p < data || e->digest.p + e->digest.n > data + n || e->payload.n > n)
			__builtin_trap();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct eventlog log = { store, 0, 512 };
	uint8_t rtmr[4][EVENT_DIGEST];
	struct fault f;

	if (!eventlog_read_ccel(&log, span_of(data, n), &f))
		inside(&log, data, n);
	if (!eventlog_read_pcrs(&log, span_of(data, n), 0x0b, &f))
		inside(&log, data, n);
	struct tpm_pcrs pcrs;

	(void)!tpmlog_replay(&pcrs, span_of(data, n), TPMLOG_SHA256, &f);
	if (!eventlog_read_tpm(&log, span_of(data, n), &f)) {
		inside(&log, data, n);
		(void)!eventlog_replay(rtmr, &log, &f);
	}
	return 0;
}
