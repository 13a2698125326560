// hello - the host name a TLS client asks for, read from its first records without decrypting.
//
// Reads what a client sends before any trust exists: every length is checked, nothing is copied before it
// is, nothing is allocated. A ClientHello cut into several records is put together again in a bounded
// buffer. RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3.
#pragma once
#include <stddef.h>
#include "base/err.h"

enum { HELLO_NAME_MAX = 253, HELLO_MAX = 16384 + 512 }; // HELLO_MAX: bytes on the wire that we will look at

enum hello_state { HELLO_MORE, HELLO_DONE };

// Look at the first `n` bytes from a client. HELLO_DONE: `name` is the name in lower case without a final
// dot, "" if the client sent none. HELLO_MORE: not all here yet. -1: not a ClientHello; `name` is then not to
// be used.
int hello_name(const void *bytes, size_t n, char name[static HELLO_NAME_MAX + 1], struct err *e);
