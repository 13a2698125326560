// ctrl - the control protocol between QEMU's TPM emulator back end and swtpm (swtpm's tpm_ioctl.h).
//
// A request is a 4-byte big-endian command and a body of fixed size, an answer has a fixed size too. Only the
// commands that running a machine needs are known; others (state blobs of live migration, direct hashing) are
// refused, because state put into the TPM by them would pass the relay unseen.
#pragma once
#include "core/codec/buf.h"

enum {
	CTRL_INIT = 2,
	CTRL_SHUTDOWN = 3,
	CTRL_SET_DATAFD = 16,
	CTRL_BODY_MAX = 4,
	CTRL_ANSWER_MAX = 16,
};

struct ctrl_form {
	size_t body, answer; // bytes after the command, bytes of the answer
};

// false: not a command we pass on.
bool ctrl_form(uint32_t command, struct ctrl_form *out);
bool ctrl_ok(struct span answer); // its result is 0
