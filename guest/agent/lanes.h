// lanes - how the agent's work shares its threads, and what strangers may ask of it.
//
// Three lanes (rpc/pool.h), so that no kind of work waits for another: what is quick, what makes a quote,
// what makes a certificate (which may wait for a KMS). In each, containers take turns. Keys and signatures
// are answered on the event loop and wait for none of them.
#pragma once
#include "base/config.h"
#include "rpc/pool.h"
#include "rpc/server.h"

enum { LANE_QUICK, LANE_QUOTES, LANE_CERTS, LANES };

struct pool *lanes_new(struct event_base *base, const struct config *c); // NULL when out of memory
// The limits of the external listener.
int lanes_rate(struct rpc_server *external, const struct config *c);
