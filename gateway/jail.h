// jail - the system calls a reactor may make: it reads strangers' bytes in a process that may change
// networks.
//
// A seccomp allow-list for the calling thread: sockets, epoll, pipes, memory; no files, no processes, no
// netlink. Anything else fails with EPERM, which ends at most one connection.
#pragma once
#include "base/err.h"

int jail_enter(struct err *e);
