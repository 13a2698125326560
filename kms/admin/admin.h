// admin - the methods of whoever runs the KMS, on a listener of their own behind admin_auth.
//
// Plain HTTP, so bind it to a loopback address or a unix socket. Off unless core.admin.address is set.
// What the methods may do is in service.h; the audit log's and the epochs' are mounted here, too.
#pragma once
#include "admin_auth.h"
#include "../service/service.h"

struct admin {
	struct rpc_server *server; // NULL: off
	struct admin_auth *auth;
};

// `fd` listens at core.admin.address already, or is -1.
int admin_start(struct admin *a, struct service *s, int fd, struct event_base *base, struct err *e);
void admin_free(struct admin *a);
