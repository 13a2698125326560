// stack - the processes of the local stack: started once, found again by pid and start time, stopped exactly.
//
// Each service has run/NAME.pid ("PID STARTTIME") and log/NAME.log in the state folder. A pid file whose
// process has another start time is of a process long gone and never signalled.
#pragma once
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

enum { STACK_ARGS_MAX = 16 };

struct stack_service {
	const char *name;
	const char *argv[STACK_ARGS_MAX]; // argv[0]: a path, or a name beside this program or in $PATH
	const char *ready;                // "tcp:PORT" on loopback or "unix:PATH": up when it accepts
};

void stack_program_dir(char out[PATH_MAX]); // the folder of this program: the others lie beside it
bool stack_is_running(const char *dir, const char *name, pid_t *pid);
// Start it unless it runs, and wait until it is ready. Fails with the end of its log when it dies first.
int stack_start(const char *dir, const struct stack_service *s, struct err *e);
int stack_stop(const char *dir, const char *name, bool *was_running, struct err *e);
// Run to its end; the output goes to log/NAME.log.
int stack_run(const char *dir, const struct stack_service *s, struct err *e);
