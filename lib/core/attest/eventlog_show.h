// eventlog_show - a measured-boot log in whatever form it comes, replayed and written as JSON.
//
// Forms: JSON array of TdxEvents, GetQuote answer {event_log, quote?}, verifier request {attestation},
// envelope (raw or hex), CCEL table, TPM log. One list only is read, replayed and shown: an envelope's
// runtime events are those that verification uses, and a platform log that repeats them differently is
// refused. Trusts nothing; the quote's registers are shown beside the replayed ones and its signature is not
// checked here.
#pragma once
#include "core/attest/envelope.h"

struct event_replay {
	// Set by the caller: arrays with their capacity, and tpm or NULL (GCP envelopes are then refused).
	struct eventlog log, runtime;
	struct envelope_tpm *tpm;
	// Filled in.
	const char *kind; // "json", "envelope", "ccel", "tpm"
	unsigned present; // bit n: rtmr[n] is that of the whole register, not of a stripped log
	uint8_t rtmr[4][EVENT_DIGEST];
	bool no_registers; // evidence of a platform without runtime registers: its events are measured
			   // nowhere
	bool has_quote;
	uint8_t quoted[4][EVENT_DIGEST], quoted_mrtd[EVENT_DIGEST];
	struct span vm_config;   // text that came along, empty when none
	bool is_pcrs;            // the events' imr is the PCR: a TPM log without SHA-384 digests
	struct tpm_pcrs bank[2]; // of a TPM log: SHA-256 and SHA-384, size 0 when it has none
};

// `scratch` needs twice the room of `bytes`. log.e ends as the one list.
int event_replay_read(struct event_replay *r, struct wr *scratch, struct span bytes, struct fault *f);

// {"kind","events","rtmr0".."rtmr3" (hex, null where the log was
// stripped),"quoted"?{"rtmr0",..,"equal":bool}, "pcrs"?{"sha256":{"0":hex,..},..}} and with `list`
// "event_log":[TdxEvents].
void event_replay_json(struct wr *out, const struct event_replay *r, bool list);
bool event_replay_equal(const struct event_replay *r); // every register present equals the quoted one
