// logline - what GET /logs/<container> is asked (spec 10 section 1.5), and the engine's log stream turned
// into what it answers.
//
// The stream is the Docker Engine API's: frames of an 8-byte head (channel, 3 zeros, length) and a message;
// of a container with a terminal it is the bare output, which becomes lines of the channel `console`. Frames
// are the app's words: only their form is checked, and at most one is held.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/sb.h"
#include "core/codec/buf.h"

enum { LOG_FRAME_MAX = 256 << 10, LOG_CONSOLE_MAX = 16 << 10, LOG_NAME_MAX = 128 };

struct log_query {
	uint64_t since, until; // seconds since 1970, 0: not given
	bool follow, text, timestamps, bare, ansi;
	char tail[12]; // digits or "all"
};

bool log_name_ok(struct span name); // a letter or digit, then letters, digits, `_.-`
// Codes: agent.logs_query. `now` is what "5m" counts back from.
int log_query_parse(struct span query, uint64_t now, struct log_query *out, struct err *e);

struct log_decoder {
	const struct log_query *how;
	uint8_t head[8];
	size_t head_n;
	size_t want; // of the message
	struct sb message;
	bool begun, console;
};

// Any split of the stream gives the same text. Codes: agent.log_frame; nothing more may be fed after it.
int log_feed(struct log_decoder *d, const uint8_t *p, size_t n, struct sb *out, struct err *e);
int log_end(struct log_decoder *d, struct sb *out, struct err *e); // the stream is over
void log_free(struct log_decoder *d);
