// channel - is the way to a policy service closed to others? (spec 70 GV-07) Private to lib/policy.
#pragma once
#include "policy/policy.h"

bool policy_url_is_local(const char *url); // a unix socket, or a loopback address spelled as numbers
// config.policy_channel, unless the url is local, or https with a client certificate, or the options say that
// less will do (logged).
int policy_channel_check(const struct policy_webhook_opts *o, struct err *e);
