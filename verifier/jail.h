// jail - the system calls the verifier may make once it listens (seccomp(2)): strangers' bytes are parsed in
// it.
//
// Files, sockets, threads and memory; above all not: run programs, trace, mount, change identity, make links.
// What is not allowed fails with EPERM. It cannot gain privileges.
#pragma once
#include "base/err.h"

int jail_enter(struct err *e); // all threads, also those that run already
