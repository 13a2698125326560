// jail - the system calls each of the KMS's processes may make, once it has opened what it needs.
//
// Allow-lists (seccomp(2)). The key process and the judges may answer, compute, allocate and end; anything
// else kills them. The key maker writes files, and is killed for anything else, too. The service also does
// files, sockets and threads, the supervisor forks; what they may not do, above all run programs, trace,
// mount, load, fails with EPERM. None can gain privileges.
#pragma once
#include "base/err.h"

int jail_key_process(struct err *e);
int jail_key_maker(struct err *e);
int jail_judge(struct err *e);
int jail_service(struct err *e);
int jail_supervisor(struct err *e); // children are born into it, and narrow it further
