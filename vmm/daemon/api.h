// api - the VMM's RPC methods and its log stream, on the daemon's HTTP server. spec 40 sections 1 and 2.
//
// Callers are whoever can reach the socket: its file mode is the login. Their input is still bounded and
// checked; names never become paths before that.
#pragma once
#include "rpc/server.h"
#include "state.h"

int api_mount(struct rpc_server *s, struct daemon *d);
int logs_mount(struct rpc_server *s, struct daemon *d); // GET /logs
