// webhook_reply - what a policy service answered, read strictly. Pure. Private to lib/policy.
//
// Trusts nothing of it but what is well-formed as a whole; members that are not known are passed over, as in
// upstream's client (spec 20 section 3.2).
#pragma once
#include "core/codec/buf.h"
#include "policy/policy.h"

// Fills rc, err, gateway and epochs of `a`: rc 0 only for {"isAllowed": true, ...} with all three members.
void webhook_reply_read(struct policy_answer *a, struct span body);
// The service's description of itself. -1: it is none.
int webhook_info_read(struct policy_info *out, struct span body);
// "" or an app id of 20 bytes, 0x allowed: as 40 lower-case digits.
int policy_gateway_read(const char *text, char out[static POLICY_GATEWAY_MAX]);
