// runtime - runtime events: what the guest adds to RTMR3, and the log that lets others replay it.
//
// Spec 50 section 5.3. The folder (normally RUNTIME_DIR) holds runtime_events.log (one JSON object a line,
// 0600), runtime_event_version ("1" or "2", fixed once a boot) and runtime_event.lock. An event is first
// extended into the register, then logged. An intent record written before lets the next caller, of an event
// or of a quote, repair a crash at any point, so that register and log always agree.
#pragma once
#include "tee/tee.h"

#define RUNTIME_DIR "/run/log/dstack"

enum { RUNTIME_PAYLOAD_MAX = 64 * 1024, RUNTIME_LOG_MAX = 16 * 1024 * 1024 };

// The folder in use: environment DSTACK_RUNTIME_LOG_DIR (tests), else RUNTIME_DIR.
const char *runtime_dir(void);

// Fix the digest version of this boot; the same again is fine, another is `runtime.version`.
int runtime_set_version(const char *dir, int version, struct err *e);

// Extend RTMR3 with the event and log it. Fails with `runtime.version_unset` before runtime_set_version,
// and with `runtime.name` for a name that its version cannot carry safely.
int runtime_emit(struct tee *t, const char *dir, const char *name, const void *payload, size_t n,
		 struct err *e);

// All runtime events logged so far, in order; none when there is no log yet. Freed by tee_log_free. A crash
// that left register and log out of step is repaired first, or `runtime.out_of_step`.
int runtime_read(struct tee *t, const char *dir, struct tee_log *out, struct err *e);

// A quote and the log that explains it: the firmware's events and the runtime events, which are the last
// out->log.n - *runtime_at ones. No event of this guest can come between the two.
int runtime_quote(struct tee *t, const char *dir, const uint8_t report_data[static TEE_REPORT_DATA],
		  struct tee_quote *quote, struct tee_log *out, size_t *runtime_at, struct err *e);
