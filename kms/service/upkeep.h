// upkeep - what a running KMS does for itself: fresh evidence of itself, a fresh RPC certificate.
//
// On a thread of its own beside the loop. A self check that fails stops the key methods until one holds; a
// certificate that cannot be renewed stays. Both are tried again after seconds. docs/kms.md.
#pragma once
#include "service.h"

struct upkeep {
	struct service *service;
	struct pool *pool;
	struct event *timer;
	uint64_t renew_at;          // monotonic ms
	X509 *fresh[ROOT_SETS_MAX]; // from the thread to the loop
	bool busy, failed;
};

// The first certificates, before there are listeners: writes rpc.crt. Blocks. With core.attest_rpc_cert it
// fails without evidence, unless there is one of an earlier start.
// `reuse`: that of an earlier process of this KMS serves on, when it can; the caller has it renewed.
int upkeep_first_certs(struct service *s, bool reuse, struct err *e);
// The first of one face; nothing when its set is not served.
int upkeep_face(struct service *s, struct face *f, struct err *e);
// `fresh`: certificates are renewed at once, on the thread.
// Sets in the key folder that are not shown yet: made just now, or by a key process that ended before it
// could say so. With faces.turn.
int upkeep_new_faces(struct service *s, struct err *e);
int upkeep_start(struct upkeep *u, struct service *s, bool fresh, struct event_base *base, struct err *e);
void upkeep_free(struct upkeep *u);
