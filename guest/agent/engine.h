// engine - the containers of this guest, from the Docker-compatible API of the container engine (podman).
//
// The engine is asked over its unix socket with short timeouts and a bounded reply; names and states in it
// are the app's own words and only passed on as text.
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "core/codec/buf.h"
#include "host.pb-c.h"

// No socket file: no engine, no containers. Code: agent.engine. For workers.
int engine_containers(const char *socket, struct arena *a, Host__ListContainersResponse *out, struct err *e);
// What GET /containers/json answered.
int engine_parse(struct span json, struct arena *a, Host__ListContainersResponse *out, struct err *e);
