// self - whether this KMS itself is what the policy allows: its own evidence, verified as anyone's.
//
// The evidence is fetched and verified at start and every core.self_check_s seconds after (TCB levels move,
// images are withdrawn); the policy is asked again on each call that hands out anything of value. Whatever
// fails stays the answer until it holds again. spec 20 section 3.4.
#pragma once
#include <pthread.h>

#include "../config.h"
#include "policy/policy.h"
#include "ratls/download.h"
#include "ratls/trust.h"

struct self {
	const struct kms_config *config;
	struct trust *trust;
	struct policy *policy;
	struct downloads *downloads; // for its own image; NULL: none
	pthread_mutex_t lock;        // what follows
	struct boot_info boot;
	bool known;
	struct err why; // when not known
};

void self_init(struct self *s, const struct kms_config *c, struct trust *t, struct policy *p,
	       struct downloads *d);
void self_free(struct self *s);
// Fresh evidence, verified. Blocks.
int self_check(struct self *s, struct err *e);
// What was verified last, or why nothing was.
int self_boot(struct self *s, struct boot_info *out, struct err *e);
// `why`, said as what it is: this KMS is refused, not who asks. Code: kms.self_denied. Returns -1.
int self_refusal(struct err *e, const struct err *why);
// May this KMS serve now? 0 when core.enforce_self_authorization is off. Waits for the policy.
int self_allowed(struct self *s, struct err *e);
// The evidence itself with report data of zeros, and what it says. Blocks.
int self_evidence(const struct self *s, struct trust_result *out, struct err *e);
