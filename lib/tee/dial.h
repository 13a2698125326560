// dial - a stream to a service on the host: `vsock:CID:PORT` or, in tests, `unix:/path`.
//
// Messages in both directions are framed by a 4-byte big-endian length, as the quoting service (spec 50
// section 10.4) and the software TEE do. The answer's size is bounded by the caller's array.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

// Connected, with send and receive time limits of `seconds`; -1 on error.
int dial(const char *address, int seconds, struct err *e);

int dial_send(int fd, const void *msg, size_t n, struct err *e);
int dial_receive(int fd, uint8_t *out, size_t cap, size_t *n, struct err *e);
