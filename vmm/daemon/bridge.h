// bridge - guests on the kernel's vhost-vsock: carries their connections to the runner of their VM.
//
// There the host has one set of vsock ports for all guests; who calls is told by the CID alone, which the
// kernel vouches for. Not used where runners have their own vsock back end.
#pragma once
#include "state.h"

struct bridge;
int bridge_start(struct bridge **out, struct daemon *d, struct err *e); // *out stays NULL when not needed
void bridge_free(struct bridge *b);
