// Any bytes as a guest's answer to the daemon: read alike whole and in parts, and what is taken for a message
// can be written again. The first byte chooses the message.
#include <stdlib.h>

#include "daemon/guests.h"
#include "host.pb-c.h"
#include "prpc.pb-c.h"
#include "rpc/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	const ProtobufCMessageDescriptor *const types[] = {
		&host__guest_info__descriptor,
		&host__system_info__descriptor,
		&host__network_information__descriptor,
		&host__list_containers_response__descriptor,
		&prpc__empty__descriptor,
	};
	struct reply r, part;

	if (!n)
		return 0;
	const ProtobufCMessageDescriptor *type = types[d[0] % 5];
	struct span all = span_of(d + 1, n - 1);
	enum reply_state state = reply_read(&r, all, GUEST_ANSWER_MAX);
	for (size_t k = 0; k < all.n && k < 512; k++) {
		enum reply_state s = reply_read(&part, span_of(all.p, k), GUEST_ANSWER_MAX);
		if (s == REPLY_WHOLE ? state != REPLY_WHOLE || part.head != r.head || part.body != r.body
				     : s == REPLY_BAD && state != REPLY_BAD)
			abort();
	}
	if (state != REPLY_WHOLE)
		return 0;
	if (r.head + r.body > all.n || r.status < 200 || r.status > 599)
		abort();
	auto_arena *a = arena_new(0);
	auto_sb b = { 0 };
	struct err e = { 0 };
	const ProtobufCMessage *m =
		a ? guest_answer(type, r.status, span_of(all.p + r.head, r.body), a, &e) : NULL;
	if (m) {
		pbjson_write(&b, m);
		if (b.bad || m->descriptor != type)
			abort();
	} else if (!*e.code || !*e.text) {
		abort();
	}
	return 0;
}
