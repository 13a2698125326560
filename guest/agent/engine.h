// engine - the container engine of this guest (podman), asked over its Docker-compatible unix socket.
//
// All of it runs on the event loop and nothing waits. HTTP/1.0 is asked, so an answer ends with its
// connection and is never chunked; times and sizes are the caller's to bound, but for the head. What the
// engine says are the app's own words.
#pragma once
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "logline.h"

enum { ENGINE_ANSWER_S = 10, ENGINE_HEAD_MAX = 8192 };

// A connected socket. Codes: agent.engine; class ERR_ABSENT when there is no such file, so no engine.
int engine_connect(const char *socket, struct err *e);
// The same, asked for the log of a container; `name` has passed log_name_ok.
int engine_logs(const char *socket, const char *name, const struct log_query *how, struct err *e);
// Takes fd and asks for `target`, which must be ASCII without blanks; NULL: something was asked already.
// Callbacks are deferred; the read one gets the answer from its first byte. NULL: out of memory.
struct bufferevent *engine_get(struct event_base *base, int fd, const char *target,
			       bufferevent_data_cb on_read, bufferevent_event_cb on_event, void *arg);

struct engine_head {
	int status;
	uint64_t length; // of the body, UINT64_MAX: until the end
};

// Takes the head from the begin of an answer: 1 done, 0 not all here (`over`: and nothing more will come), -1
// this is no answer.
int engine_head(struct evbuffer *in, bool over, struct engine_head *out);
