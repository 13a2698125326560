// jail - the system calls each process of the agent may make, once it has opened what it needs.
//
// Allow-lists (seccomp(2)), for all threads. Custody computes and answers: anything else kills it, and with
// it the agent. The external listener serves connections it accepted: no file, no socket to anywhere, no
// program; a forbidden call fails with EPERM, so that a library that tries something optional goes on. The
// main process does files, sockets and threads, but runs no program, traces, mounts and loads nothing: EPERM
// too. The helpers: the keeper may fork, the one that powers off may run a program.
#pragma once
#include "base/err.h"

int jail_custody(struct err *e) __attribute__((warn_unused_result));
int jail_external(struct err *e) __attribute__((warn_unused_result));
int jail_keeper(struct err *e) __attribute__((warn_unused_result)); // external.h
int jail_power(struct err *e) __attribute__((warn_unused_result));  // power.h
int jail_main(struct err *e) __attribute__((warn_unused_result));
