// dial - connections of the daemon to a VM's runner and, through it or the kernel's vsock, into the guest.
#pragma once
#include "state.h"

// A connected non-blocking socket, -1 when nobody listens: the runner's socket `name`.
int dial_runner(const struct vm *v, const char *name);
// A socket on its way to the guest's vsock port. With *greeting a line "CONNECT <port>" must be sent and one
// "OK <port>" read before anything else: the runner's way in.
int dial_guest(const struct vm *v, uint32_t port, bool *greeting);
