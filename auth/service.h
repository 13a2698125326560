// service - the policy webhook over HTTP: POST /bootAuth/app, POST /bootAuth/kms, GET /, GET /health.
//
// A decision is the policy's (lib/policy): a file, a chain, other services, or several of them. Whoever
// reaches the listener may ask: it tells what the policy says of a machine, never a secret, and decides
// nothing by itself. The KMS that asks must be sure who answers, so the way between them must be closed to
// others.
#pragma once
#include "base/secret.h"
#include "policy/policy.h"
#include "rpc/server.h"

// `seal`: questions must be sealed with it, and answers are (policy/seal.h); NULL: not. Kept.
int service_mount(struct rpc_server *s, struct policy *p, const struct secret *seal);
