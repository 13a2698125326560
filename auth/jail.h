// jail - the system calls of a policy server that serves: sockets, threads, reading files; nothing else.
//
// A seccomp allow-list for all threads; the rest fails with EPERM. No program is run, no file is written or
// removed, no memory becomes code, no socket is of another kind than IP, unix or the resolver's netlink.
#pragma once
#include "base/err.h"

int jail_enter(struct err *e);
