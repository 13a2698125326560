// kms_link - one call of a KMS's admin or set-up listener, as its administrator.
//
// The token comes from a file that is its owner's alone, and leaves in a header only. It is sent as the
// password of `admin`, which a KMS with a token file and one with bcrypt passwords take alike.
#pragma once
#include "rpc/client.h"

struct kms_link {
	const char *url;        // http://host:port or unix:/path: ; /prpc is appended when absent
	const char *token_file; // NULL: none
	int timeout_s;          // 0: the client's
};

int kms_link_call(const struct kms_link *l, const char *method, const ProtobufCMessage *in,
		  const ProtobufCMessageDescriptor *d, struct arena *a, void **out, struct err *e);
