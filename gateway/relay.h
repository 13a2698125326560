// relay - bytes between two sockets: copied while a flow is small, spliced through a pipe when it is bulk.
//
// Each direction is a machine of its own: it reads only when it holds nothing, so a slow reader stops its
// sender and nothing else; an end is passed on only after the last byte; an error on one side becomes a reset
// on the other, never a clean end. spec 83 sections 3 and 5.
#pragma once
#include "conn.h"

int relay_event(struct reactor *r, struct conn *c, int side, uint32_t events); // -1: the connection is over
int relay_run(struct reactor *r, struct conn *c); // move what can be moved; -1: over
