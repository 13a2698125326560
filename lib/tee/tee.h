// tee - what the machine's trusted execution environment does for a guest, behind one interface.
//
// Two drivers: `tdx` (configfs-tsm or the quoting service for quotes, sysfs or ioctl for RTMR3, CCEL for the
// boot log; spec 50 section 10) and `soft` (the host's dstack-softtee on vsock 2:4050, boot log from the
// TPM). The driver is chosen once, at start. Where any sign of TDX exists `auto` means `tdx`, and a failing
// TDX is an error: never a fall to `soft`. Nothing read here is trusted by a verifier: the quote's signature
// is.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "core/attest/eventlog.h"

enum {
	TEE_DIGEST = EVENT_DIGEST,      // SHA-384
	TEE_REPORT_DATA = 64,           // a quote's report_data
	TEE_QUOTE_MAX = 16384,          // larger answers are refused
	TEE_BOOT_LOG_MAX = 1024 * 1024, // the same for the firmware's log
	TEE_ROOT_MAX = 4096,
};

struct tee_quote {
	size_t n;
	uint8_t bytes[TEE_QUOTE_MAX];
};

// Events and the memory that their spans point into. ACPI DATA events are named (eventlog_name_acpi).
struct tee_log {
	struct eventlog log;
	uint8_t *raw;
	uint8_t *text;    // decoded names and payloads
	uint8_t *digests; // digests and preimages of runtime events
};

struct tee;

// `which` is "auto", "tdx" or "soft". Errors: `tee.absent` (no such TEE here), `tee.unknown` (no such name).
struct tee *tee_open(const char *which, struct err *e);
void tee_close(struct tee *t);

const char *tee_name(const struct tee *t); // "tdx" or "soft"

// A fresh quote over `report_data`. Safe to call from several threads; the calls take turns.
int tee_quote(struct tee *t, const uint8_t report_data[static TEE_REPORT_DATA], struct tee_quote *out,
	      struct err *e);

// RTMR3 = SHA-384(RTMR3 || digest). Use runtime_emit (tee/runtime.h), which keeps the log in step.
int tee_extend(struct tee *t, const uint8_t digest[static TEE_DIGEST], struct err *e);
int tee_rtmr3(struct tee *t, uint8_t out[static TEE_DIGEST], struct err *e); // its value now

// The firmware's events, RTMR0-2, in the order of the log. `out` is freed by tee_log_free.
int tee_boot_log(struct tee *t, struct tee_log *out, struct err *e);
void tee_log_free(struct tee_log *log);

// The root (DER) under which this TEE and its neighbours quote when it is not Intel's: a development root on
// `soft`, 0 and *n = 0 on `tdx`.
int tee_root(struct tee *t, uint8_t out[static TEE_ROOT_MAX], size_t *n, struct err *e);
