// eventlog_diff - where a log and the quoted registers part, when they do: the first event that cannot be
// what the hardware measured. Says nothing when every register is as quoted.
#pragma once
#include "core/attest/eventlog_show.h"

enum event_diff_kind {
	EVENT_DIFF_NONE,    // the register is as quoted, or there is nothing to compare
	EVENT_DIFF_CONTENT, // the event's name and payload do not give the digest that stands beside them
	EVENT_DIFF_LATER,   // the events before this one give the quoted register: this and what follows came
			    // after
	EVENT_DIFF_UNKNOWN, // no prefix of the log gives the quoted register: events are missing or were
			    // changed
};

struct event_diff {
	enum event_diff_kind kind;
	size_t index; // in r->log; unused for NONE and UNKNOWN
};

struct event_diff event_diff(const struct event_replay *r, unsigned rtmr);
// [{"register":"rtmr3","difference":"content"|"later"|"unknown","event":N|null},..], [] when there is none.
void event_diff_json(struct wr *out, const struct event_replay *r);
