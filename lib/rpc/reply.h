// reply - one HTTP/1.1 answer from a peer that is not trusted, for clients on an event loop.
//
// A subset of RFC 9112: a status line, whole lines with CRLF, exactly one Content-Length, no transfer coding.
// Anything two readers could take for two things is refused. The caller keeps the bytes and reads no further
// than `head + body`.
#pragma once
#include <stddef.h>
#include "core/codec/buf.h"

enum { REPLY_HEAD_MAX = 16384 };
enum reply_state { REPLY_BAD = -1, REPLY_WHOLE, REPLY_MORE };

struct reply {
	int status;        // 200 to 599; an interim answer (1xx) is refused
	size_t head, body; // bytes, the blank line counted with the head
};

// Looks at the first bytes of an answer: `out` is set once the head is whole, and REPLY_WHOLE when the body
// is.
enum reply_state reply_read(struct reply *out, struct span bytes, size_t body_max);
