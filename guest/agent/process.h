// process - the parts of the agent as processes of their own (docs/design.md section 4).
//
// Each part is forked at the start, before a byte from a peer is read and before a thread runs. It keeps one
// socket to the process that forked it, becomes its own user without any capability, and ends with its
// parent. What it may do after that is jail.h.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

struct process {
	pid_t pid; // 0 in the child
	int fd;    // SOCK_SEQPACKET to the other one; in the child the only descriptor beside 0 to 2
};

// Returns in both. -1: there is no child.
int process_fork(struct process *p, struct err *e) __attribute__((warn_unused_result));
// In the child, for good: user and group `user`, no other group, no capability and no way to one, not
// dumpable; SIGKILL when `parent` ends. User 0, or a caller who is not root: no change of user, and the log
// says so. Also for the first process, with user 0 and parent 0.
int process_confine(const char *part, uid_t user, pid_t parent, struct err *e)
	__attribute__((warn_unused_result));
// It is gone; true once.
bool process_ended(struct process *p);
void process_wait(struct process *p); // closes the socket first, by which it knows
