// jail - the system calls each of the two processes may make, once it has opened what it needs.
//
// Allow-lists (seccomp(2)). The key process may answer, compute, allocate and end; anything else kills it.
// The service also does files, sockets and threads; what it may not do, above all run programs, trace, mount,
// load, fails with EPERM. Neither can gain privileges.
#pragma once
#include "base/err.h"

int jail_key_process(struct err *e);
int jail_service(struct err *e);
