// child - starts helper programs: no inherited files, their own place in the network, dead when we are.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "net/netns.h"

struct child_plan {
	char *const *argv;      // argv[0] is looked up in PATH
	const char *dir;        // working folder, NULL: ours
	const char *log;        // stdout and stderr are appended to this file, NULL: /dev/null
	int out;                // or stdout and stderr go here, when > 0
	const struct netns *ns; // network namespace to run in, NULL: ours
	bool own_session;       // outlives us; else it is killed when we end
};

// The pid, or -1. A program that cannot be executed is reported here, not later.
pid_t child_start(const struct child_plan *p, struct err *e);
// Run to the end with its output in `out` (NUL-terminated, cut to `cap`). The exit status, or -1 when it
// could not be run, was killed or took longer than `seconds`.
int child_run(char *const *argv, int seconds, char *out, size_t cap, struct err *e);
