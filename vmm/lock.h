// lock - a file that is locked as long as its owner lives, with the owner's pid and start time in it.
//
// How a new daemon finds the runners of an old one, without mistaking a recycled pid for a runner.
#pragma once
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

// Take the lock for this process: a descriptor to keep open. Code vmm.locked when another one has it.
int lock_take(const char *path, struct err *e);
// The owner as a pidfd, its pid in *pid; -1 when nobody holds the lock.
int lock_owner(const char *path, pid_t *pid);
