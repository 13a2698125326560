// service - the policy webhook over HTTP: POST /bootAuth/app, POST /bootAuth/kms, GET /, GET /health.
//
// A decision is the policy's (lib/policy): a file, a chain, other services, or several of them. Whoever
// reaches the listener may ask: it tells what the policy says of a machine, never a secret, and decides
// nothing by itself. The KMS that asks must be sure who answers, so the way between them must be closed to
// others.
#pragma once
#include "policy/policy.h"
#include "rpc/server.h"

int service_mount(struct rpc_server *s, struct policy *p);
