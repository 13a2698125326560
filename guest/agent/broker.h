// broker - the main process's end of ask.h: answers what the external listener asks.
//
// The asker is hostile: a message is one fixed struct, checked member by member; what is in it is an enum, a
// name and a few numbers. Slow questions have two threads of their own, so that strangers cannot take those
// of the containers; a bounded number may wait, a bounded number of logs may be read.
#pragma once
#include <event2/event.h>
#include "ask.h"
#include "logs.h"

enum { BROKER_THREADS = 2, BROKER_WAITING = 64, BROKER_LOGS = LOGS_READERS + 8 }; // some that end

struct broker;

// NULL when out of memory. Reads `fd` from then on (not its owner); `gone` runs on the loop when nobody is
// left at the other end.
struct broker *broker_new(struct event_base *base, int fd, const struct outside *here,
			  void (*gone)(void *arg), void *arg);
void broker_free(struct broker *b);
