// race - one call of several clients at once, on the caller's thread: who answers first is seen first.
//
// For a client that knows several addresses of a service and does not want to wait for a dead one. Each
// client keeps its own timeouts; those still busy when the race is freed are cut off.
#pragma once
#include "rpc/client.h"

struct rpc_race;

struct rpc_race *rpc_race_new(struct err *e);
void rpc_race_free(struct rpc_race *r); // before the clients
// Begin the call. `c` and `method` live as long as the race; `in` may be NULL and is read here.
int rpc_race_add(struct rpc_race *r, struct rpc_client *c, const char *method, const ProtobufCMessage *in,
		 struct err *e);
// Wait until a call ends, at most `ms`: its client; NULL when none did.
struct rpc_client *rpc_race_next(struct rpc_race *r, int ms);
// The result of the client that rpc_race_next gave last; as of rpc_client_call.
int rpc_race_result(struct rpc_race *r, const ProtobufCMessageDescriptor *d, struct arena *a, void **out,
		    struct err *e);

static inline void rpc_race_cleanup(struct rpc_race **r)
{
	rpc_race_free(*r);
}
#define auto_rpc_race __attribute__((cleanup(rpc_race_cleanup))) struct rpc_race
