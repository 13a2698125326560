// agentcall - the agent's real services behind the real HTTP server, over the simulator's files: one request
// in, one answer out, and what every answer must be.
//
// No TEE, no key of value, no engine, no file of the machine but its /proc. The answer is checked here, by
// abort(): a whole answer with one length, of an expected status; JSON that is ASCII and well formed or a
// protobuf message of the method's type; no byte sequence of a root key in any of the forms keys are
// written; afterwards no connection and no call is left.
#pragma once
#include "base/sb.h"
#include "rpc/server.h"

enum agent_service { AGENT_DSTACK, AGENT_TAPPD, AGENT_WORKER, AGENT_GUEST };
enum agent_form { FORM_PROTOBUF, FORM_JSON, FORM_JSON_QUERY, FORM_GET };

void agent_call_setup(enum agent_service service);
size_t agent_call_methods(void);
const struct rpc_method *agent_call_method(size_t i);

// Asks; `mount` chooses among the paths the method is known by. The status, 0 when the bytes cannot stand in
// a request of this form. `body` points into `in`.
int agent_call(const struct rpc_method *m, unsigned mount, enum agent_form form, const void *p, size_t n,
	       struct sb *in, struct span *body);
// Any bytes on a connection: whatever they ask for, paths that are no RPC included.
void agent_stream(const void *p, size_t n);
