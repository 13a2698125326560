// onboard - service Onboard and its page, while a KMS has no keys.
//
// Everything but the page and /health needs the one-time token (admin_auth). Bootstrap and Onboard run one at
// a time, and never once there are keys; /finish only when there are. spec 20 section 1.5.
#pragma once
#include <pthread.h>

#include "../admin/admin_auth.h"
#include "rpc/server.h"
#include "../service/self.h"

struct onboard {
	const struct kms_config *config;
	struct trust *trust;
	struct policy *policy;
	struct downloads *downloads; // NULL: no image is downloaded
	struct self self;
	pthread_mutex_t lock; // one Bootstrap or Onboard at a time
	struct event_base *base;
	struct rpc_server *server;
	struct admin_auth *auth;
	bool finished;
};

int onboard_init(struct onboard *o, const struct kms_config *c, struct err *e); // with a first self check
void onboard_free(struct onboard *o);
// Serves on core.onboard.address; the loop ends when /finish was called. Code: setup.token.
int onboard_start(struct onboard *o, struct event_base *base, struct err *e);
void onboard_stop(struct onboard *o);
