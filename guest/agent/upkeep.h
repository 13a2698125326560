// upkeep - what the agent renews by itself before it expires: the demonstration certificate and, with a KMS,
// the certificate by which it is known there.
#pragma once
#include <event2/event.h>
#include "agent.h"

// Looks at once and every few seconds; freed by the caller. NULL when out of memory.
struct event *upkeep_start(struct event_base *base, struct agent *g);
bool upkeep_idle(struct agent *g); // no thread is at it
