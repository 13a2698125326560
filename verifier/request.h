// request - the JSON body of POST /verify: either `attestation`, or `quote` with `event_log` and perhaps
// `vm_config`; never a mixture. Untrusted; unknown members are ignored, as upstream does.
#pragma once
#include "base/err.h"
#include "core/codec/buf.h"

// Three times the largest genuine request, and what a stranger may cost: some 5 ms.
enum { REQUEST_MAX = 768 << 10 };

struct request {
	struct span attestation;          // bytes; when there is one the others are empty
	struct span quote;                // bytes
	struct span event_log, vm_config; // JSON texts
	bool debug;
	char *store; // what the spans point into
};

// verifier.request (ERR_INPUT): not such a body. verifier.evidence (ERR_UNTRUSTED): no evidence in it, or no
// hex.
int request_read(struct request *r, struct span json, struct err *e);
void request_free(struct request *r);
