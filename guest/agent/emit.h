// emit - EmitEvent: events of the app in RTMR3, for verifiers that replay the log.
//
// Spec 10 section 3.10. Names that the system's own events bear are refused; so is more than a verifier would
// read, since a log that is full would leave this guest without evidence. Off unless configured.
#pragma once
#include "agent.h"
#include "core/codec/buf.h"

enum { EMIT_EVENTS_MAX = 1024, EMIT_BYTES_MAX = 1 << 20 };

// For workers. Codes: agent.event_name, agent.events_full, and those of tee/runtime.
int app_emit(struct agent *g, const char *name, struct span payload, struct err *e);
