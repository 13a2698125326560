// power - the process that runs the one program the agent may run: the one that powers the machine off.
//
// The rest of the agent cannot run programs (jail.h). This process reads single bytes of the main one, each
// of which means "now"; the program gets no argument.
#pragma once
#include "process.h"

// Returns in the parent. `program` lives as long as the process.
int power_start(struct process *p, const char *program, struct err *e) __attribute__((warn_unused_result));
// Waits for the program; an error unless it exits with 0. Code: agent.poweroff.
int power_off_now(struct process *p, struct err *e) __attribute__((warn_unused_result));
