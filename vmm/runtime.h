// runtime - what is going on with a VM: vm-runtime.json in its folder, written by its runner alone.
//
// The daemon reads it, so that a new daemon knows as much as the old one did.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { RUNTIME_EVENTS = 64, RUNTIME_TEXT = 512, EVENT_NAME = 64, EVENT_BODY = 4096 };

enum run_state { RUN_STARTING, RUN_RUNNING, RUN_STOPPING, RUN_EXITED };

struct guest_event {
	char name[EVENT_NAME];
	char *body; // owned
	uint64_t ms;
};

struct runtime {
	enum run_state state;
	int runner, qemu;                // pids
	uint64_t started_at, stopped_at; // seconds since 1970, 0: not yet
	char boot_progress[RUNTIME_TEXT], boot_error[RUNTIME_TEXT], shutdown_progress[RUNTIME_TEXT];
	char exit_reason[RUNTIME_TEXT]; // "" while running
	struct guest_event event[RUNTIME_EVENTS];
	size_t n_events, events_max; // the oldest go when there are more
};

int runtime_write(const struct runtime *r, const char *path, struct err *e);
int runtime_read(struct runtime *r, const char *path, struct err *e); // free the previous content first
void runtime_event(struct runtime *r, const char *name, const char *body, uint64_t ms);
void runtime_free(struct runtime *r);
