// qmp - QEMU's control socket: power-down, quit, and the events that say how a VM ended.
#pragma once
#include <event2/event.h>

struct qmp;

// `event` gets each event with the value of its "reason" ("" without one).
struct qmp *qmp_new(struct event_base *base, const char *path,
		    void (*event)(void *arg, const char *name, const char *reason),
		    void *arg); // keeps trying to connect for a while
void qmp_free(struct qmp *q);
void qmp_execute(struct qmp *q, const char *command); // at once, or when connected
