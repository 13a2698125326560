// status - what anyone may see of a running KMS: /health (it answers), /ready (it could release keys now),
// /metrics (Prometheus text). None of them waits, takes a thread or names an app.
#pragma once
#include "service.h"

// What decides /ready, written by any thread. Unknown counts as not ready.
int status_mount(struct service *s, struct rpc_server *server, bool with_metrics);
