// header - a LUKS2 header held against the one shape that we make, before anything acts on it.
//
// The disk is the host's: it could ask for the null cipher, another offset, tokens, a second key slot (a
// change of key leaves one, named 0 or 1). So both header copies must be valid, equal and of exactly this
// shape (spec 60 section 8): one pbkdf2 key slot, one aes-xts-plain64 segment at 16 MiB, one digest, nothing
// else. LUKS2 on-disk format specification 1.1.
#pragma once
#include "base/err.h"
#include "core/codec/buf.h"

enum {
	HEADER_AREA = 16 * 1024 * 1024, // where the data begins
	HEADER_PROBE = 4096,
	HEADER_KEY = 64, // bytes of the volume key: AES-256 in XTS
};

bool header_is_luks(struct span first);            // the first bytes of a disk carry a LUKS magic
int header_check(struct span area, struct err *e); // the first HEADER_AREA bytes; code disk.header
// When the two copies differ, as a crash between writing one and the other leaves them: where the copy begins
// that is broken, or else the second. The other is of our shape. disk.header when neither is.
int header_odd_one(struct span area, uint64_t *at, struct err *e);
