// runtime - runtime events: what the guest adds to RTMR3, and the log that lets others replay it.
//
// Spec 50 section 5.3. The folder (normally RUNTIME_DIR) holds runtime_events.log (one JSON object a line,
// 0600), runtime_event_version ("1" or "2", fixed once a boot) and runtime_event.lock. An event is first
// extended into the register, then logged. An intent record written before lets the next caller repair a
// crash between the two, so that register and log always agree.
#pragma once
#include "tee/tee.h"

#define RUNTIME_DIR "/run/log/dstack"

enum {
	RUNTIME_EVENT_TYPE = 0x08000001,
	RUNTIME_NAME_MAX = 256,
	RUNTIME_PAYLOAD_MAX = 64 * 1024,
	RUNTIME_EVENTS_MAX = 4096,
};

struct runtime_event {
	char *name;
	uint8_t *payload;
	size_t n;
	int version; // 1 or 2
	uint8_t digest[TEE_DIGEST];
};

struct runtime_events {
	struct runtime_event *v;
	size_t n;
};

// The folder in use: environment DSTACK_RUNTIME_LOG_DIR (tests), else RUNTIME_DIR.
const char *runtime_dir(void);

// Fix the digest version of this boot; the same again is fine, another is `runtime.version`.
int runtime_set_version(const char *dir, int version, struct err *e);

// Extend RTMR3 with the event and log it. Fails with `runtime.version_unset` before runtime_set_version,
// and with `runtime.name` for a name that its version cannot carry safely.
int runtime_emit(struct tee *t, const char *dir, const char *name, const void *payload, size_t n,
		 struct err *e);

// All events logged so far, in order; none when the log does not exist yet. Freed by runtime_free.
int runtime_read(const char *dir, struct runtime_events *out, struct err *e);
void runtime_free(struct runtime_events *events);

// SHA-384 over the event's preimage (version 1 or 2).
int runtime_digest(int version, const char *name, const void *payload, size_t n,
		   uint8_t out[static TEE_DIGEST], struct err *e);
