// progress - long work on a terminal: one live line a stage with its elapsed time; plain lines in a pipe.
//
// On a terminal the line is redrawn four times a second by progress_tick; otherwise a stage is one line when
// it ends. Everything goes to stderr, so that stdout stays the result. Silent when `quiet`.
#pragma once
#include <stdbool.h>

struct progress {
	bool live, quiet, open;
	double began; // of the open stage, monotonic seconds
	char text[160];
};

void progress_init(struct progress *p, bool quiet);
void progress_stage(struct progress *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3))); // ends the one before
void progress_tick(struct progress *p);
void progress_end(struct progress *p, bool ok);
