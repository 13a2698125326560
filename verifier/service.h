// service - the verifier over HTTP/1.1: POST /verify, GET /health, GET / (the page that verifies in the
// browser).
//
// One event loop; verifications run on a few threads behind a bounded queue. Nothing of a request is trusted:
// head, body, time and connections are bounded by rpc/http, evidence by the core.
#pragma once
#include <event2/event.h>

#include "check.h"

struct service;

struct service *service_new(struct event_base *base, struct checker *k, const struct verifier_config *c,
			    struct err *e);
void service_free(struct service *s); // waits for verifications under way
int service_listen(struct service *s, const char *address, struct err *e);
// No new connections; `done` runs when the open requests have their answers, or after `seconds`.
void service_stop(struct service *s, int seconds, void (*done)(void *), void *arg);
