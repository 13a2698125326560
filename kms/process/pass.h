// pass - the small messages between the supervisor and its processes, with at most one descriptor in each
// (SCM_RIGHTS). One program, so a plain struct; sockets keep messages apart (SOCK_SEQPACKET).
#pragma once
#include <stdint.h>

enum kms_pass_kind {
	PASS_ASKER, // to the key process: who may ask now, with a socket
	PASS_KEYS,  // to the network process: the next key process, with a socket
	PASS_JUDGE, // the same: the next judge of that seat, with a socket
	PASS_READY, // from either: it serves; seat not 0: it does not, whoever asks is told why
	PASS_LOST,  // from it: that judge is of no use any more
};

struct kms_pass {
	uint32_t kind, seat, serial;
};

// fd -1: none goes along. Does not block.
int kms_pass(int socket, const struct kms_pass *m, int fd);
// Waits for one; *fd is the caller's, -1 when none came. -1: the other side is gone, or that was no message.
int kms_take(int socket, struct kms_pass *m, int *fd);
