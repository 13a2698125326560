// info - what the agent tells about the app and its machine: Info of the socket and of the external listener.
//
// Anyone may ask, so the quote behind it is made once and kept until a runtime event moves RTMR3.
#pragma once
#include <sys/types.h>
#include <time.h>
#include "agent.h"
#include "guest.pb-c.h"

// The state of the runtime log, which changes with RTMR3.
struct log_state {
	struct timespec changed;
	off_t size;
};
struct log_state log_state_now(void);
bool log_state_is(struct log_state s); // still

// For workers. `external` hides what app-compose's public_tcbinfo = false hides.
int info_fill(struct agent *g, bool external, struct arena *a, Guest__AppInfo *out, struct err *e);
void info_free(struct agent *g);
