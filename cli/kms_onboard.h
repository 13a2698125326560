// kms_onboard - a second KMS in a CVM, which takes the roots over from one that has them (spec 20
// section 2.8).
//
// The command opens the way: it allows the new measurement in the policy, has the source open its handover
// for it, and tells the new KMS where to ask, over its set-up with a token of its own. The roots go from KMS
// to KMS; what judges is the two of them.
#pragma once
#include "kms_site.h"

struct kms_source {
	const char *said;            // by the user: the name of a KMS of this stack, or a URL
	const struct stack_kms *own; // of this stack; NULL: somebody else's, which its owner opens
	char url[1024];              // as the new KMS reaches it
};

int kms_source_read(const struct kms_site *j, struct kms_source *s, struct err *e);
// All of it; the new KMS is the stack's other one. Run again, it goes on where it was.
int kms_onboard(struct kms_site *j, struct kms_source *s, struct err *e);
void kms_report(const struct kms_site *j); // what `deploy` prints of it
