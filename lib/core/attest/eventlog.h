// eventlog - measured-boot event logs and the registers they fold to (spec: TCG PFP crypto-agile log, dstack
// TdxEvent).
//
// Reads a CCEL table, a TPM log (binary_bios_measurements) and JSON arrays of TdxEvents into the caller's
// array; spans point into the input or into `scratch`, which never needs more room than the input has. A
// runtime event's digest is always computed here from name, payload and version, never taken from the log.
// Trusts nothing: a log means something only when its replay equals a quoted register.
#pragma once
#include "core/codec/buf.h"
#include "core/codec/fault.h"

enum {
	EVENT_RUNTIME = 0x08000001, // event_type of all runtime events
	EVENT_DIGEST = 48,          // SHA-384
	EVENT_NAME_MAX = 256,
	EVENTLOG_MAX = 4096, // events we are willing to look at
};

struct event {
	uint32_t imr, type; // imr 0..3
	uint8_t version;    // of a runtime event: 1 or 2; 1 for all others
	struct span name, payload;
	struct span digest;   // as found; may be empty for runtime events
	struct span preimage; // version 2 only, as found
};

// An array owned by the caller. Readers set n and fail when cap is too small.
struct eventlog {
	struct event *e;
	size_t n, cap;
};

// JSON array of TdxEvents. Refuses what event_check refuses.
int eventlog_read_json(struct eventlog *log, struct wr *scratch, struct span text, struct fault *f);
// CCEL: records of imr 1..4 become 0..3, others are dropped.
int eventlog_read_ccel(struct eventlog *log, struct span bytes, struct fault *f);
// TPM log of a software-TEE guest, SHA-384 bank: PCR 1,7 -> imr 0, 2..6 -> 1, 8,9,11..15 -> 2; 0 and 10
// dropped.
int eventlog_read_tpm(struct eventlog *log, struct span bytes, struct fault *f);
// TPM log as it is: `imr` is the PCR, `alg` the bank (0xB SHA-256, 0xC SHA-384); EV_NO_ACTION entries are
// left out.
int eventlog_read_pcrs(struct eventlog *log, struct span bytes, uint16_t alg, struct fault *f);

// The PCRs of one bank (0x0B SHA-256, 0x0C SHA-384, 0x0D SHA-512) that a TPM log folds to. PCR 0 starts with
// the locality that a StartupLocality event names. events.bank when the log does not have the bank.
enum { TPMLOG_SHA256 = 0x0b, TPMLOG_SHA384 = 0x0c, TPMLOG_SHA512 = 0x0d, TPMLOG_PCRS = 24 };
struct tpm_pcrs {
	size_t size;   // of each
	uint32_t used; // bit n: PCR n was extended
	uint8_t pcr[TPMLOG_PCRS][64];
};
int tpmlog_replay(struct tpm_pcrs *out, struct span bytes, uint16_t alg, struct fault *f);
// Banks that the Spec ID event of a CCEL or TPM log announces: bit 0 SHA-256, 1 SHA-384, 2 SHA-512, 3 any
// other.
int tcglog_banks(unsigned *banks, struct span bytes, struct fault *f);

// Give the "ACPI DATA" events of imr 0 their names in order: acpi-loader, acpi-rsdp, acpi-tables; with `tpm`
// (there is a TPM, so a fourth blob) acpi-loader, acpi-rsdp, acpi-tpmlog, acpi-tables. The readers of binary
// logs do not name.
void eventlog_name_acpi(struct eventlog *log, bool tpm);
bool event_is_acpi(const struct event *e); // "ACPI DATA" of imr 0

// JSON array as GetQuote gives it. With `strip`, payloads of boot events other than ACPI DATA are left out.
void eventlog_write_json(struct wr *out, const struct eventlog *log, bool strip);
void event_write_json(struct wr *out, const struct event *e, bool strip);

// Runtime events. Digest V1: SHA-384(LE32 type ":" name ":" payload), V2: SHA-384(canonical JSON).
int event_digest(uint8_t out[EVENT_DIGEST], const struct event *e, struct fault *f);
void event_preimage_v2(struct wr *out, struct span name, struct span payload);
// Is this name fit to be emitted under this version? V1 names must not contain ':' (two events could share a
// digest).
int event_name_check(struct span name, uint8_t version, struct fault *f);
// An event as it must be in a platform log: runtime events in register 3 and nowhere else, a digest that came
// along equal to the computed one, a version-2 event with its canonical preimage, a version-1 event without
// one. `i` is the index for the fault. Codes events.imr, .type, .name, .version, .digest, .preimage.
int event_check(const struct event *e, size_t i, struct fault *f);
// A runtime event: imr 3, EVENT_RUNTIME, no digest or preimage.
struct event event_runtime(struct span name, struct span payload, uint8_t version);

// Fold digests: reg = SHA-384(reg || digest), from zero. `replay` does all four registers of a whole log;
// runtime digests are recomputed. `replay_runtime` folds runtime events only, up to and including the first
// boot-mr-done with `boottime`.
void register_extend(uint8_t reg[EVENT_DIGEST], const uint8_t digest[EVENT_DIGEST]);
int eventlog_replay(uint8_t rtmr[4][EVENT_DIGEST], const struct eventlog *log, struct fault *f);
int eventlog_replay_runtime(uint8_t rtmr3[EVENT_DIGEST], const struct eventlog *log, bool boottime,
			    struct fault *f);

// A platform log may repeat the runtime events (imr 3): if it has any they must be the same list, else
// events.disagree.
int eventlog_same_runtime(const struct eventlog *log, const struct eventlog *runtime, struct fault *f);

// The boot events of a log that has them all must fold to the quoted registers 0 to 2, else events.boot: what
// is shown is what was measured. A log from a certificate has only ACPI DATA events left: nothing to compare.
int eventlog_same_boot(const struct eventlog *log, const uint8_t quoted[4][EVENT_DIGEST], struct fault *f);

// What an app is, from the runtime events before the first "system-ready". app-id, compose-hash, instance-id,
// gpu-policy-hash and init-script-hash count before boot-mr-done only. A system event that occurs twice is
// refused (code events.duplicate), except init-script-hash. Missing ones are empty spans.
enum { APP_SCRIPTS_MAX = 32 };
struct app_events {
	struct span app_id, compose_hash, instance_id, key_provider, os_image_hash, gpu_policy_hash,
		storage_fs, deployment_seed;
	struct span init_scripts[APP_SCRIPTS_MAX];
	size_t n_init_scripts;
	bool boot_mr_done, system_ready;
};
int app_events_read(struct app_events *app, const struct eventlog *runtime, struct fault *f);
