// ask - how the external listener asks the main process: messages of one fixed size, each with the socket on
// which its answer is to come.
//
// Both ends are one program, so plain structs. An answer is one message, with a descriptor of a file that
// holds a protobuf message when there is one; the answer to ASK_LOGS is the engine's stream itself. The main
// process reads the struct and nothing else (broker.h).
#pragma once
#include "outside.h"

enum ask_op { ASK_INFO, ASK_APP_QUOTE, ASK_CONTAINERS, ASK_SYSINFO, ASK_LOGS, ASK_OPS };
enum { ASK_ANSWER_MAX = 256 << 20, ASK_S = 60, ASK_ALGORITHM_MAX = 32 };

struct ask_request {
	uint32_t op;
	char algorithm[ASK_ALGORITHM_MAX]; // of ASK_APP_QUOTE
	char container[LOG_NAME_MAX + 1];  // of ASK_LOGS
	char tail[12];                     // and these, as in struct log_query
	uint64_t since, until;
	uint32_t follow, timestamps;
};

struct ask_reply {
	struct err err; // class ERR_NONE: done
	uint64_t n;     // bytes of the file
};

// Asks over the socket `*channel`.
struct outside outside_asked(struct event_base *base, const int *channel, const struct app_files *app,
			     const char *tee);

// One message with one descriptor (-1: none). The receiver's is close-on-exec.
int ask_send(int fd, const void *p, size_t n, int with) __attribute__((warn_unused_result));
// Bytes received, 0 at the end, -1. `flags` as of recvmsg.
ssize_t ask_receive(int fd, void *p, size_t n, int *with, int flags) __attribute__((warn_unused_result));
