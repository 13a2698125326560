// jail - the system calls each process may make, once it has opened what it needs.
//
// Allow-lists (seccomp(2)). The key process may answer, compute, allocate and end; anything else kills it.
// The key maker writes files, and is killed for anything else, too. The service also does files, sockets and
// threads; what it may not do, above all run programs, trace, mount, load, fails with EPERM. Neither can gain
// privileges.
#pragma once
#include "base/err.h"

int jail_key_process(struct err *e);
int jail_key_maker(struct err *e);
int jail_service(struct err *e);
