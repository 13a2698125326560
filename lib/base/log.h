// log - one line per event on stderr: time, level, area, message, key=value pairs.
//
//     log_info("vmm", "vm started id=%s pid=%d", id, pid);
//
// Pairs stand at the end of the text, values without blanks or quoted by STR_Q. Control bytes are escaped, so
// that nothing can forge a line. With JSON chosen each line is an object and the pairs are its members.
// Never a secret, never raw bytes of a peer.
#pragma once
#include <stdbool.h>
#include "base/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_setup(bool json, enum log_level most);
bool log_level_parse(const char *s, enum log_level *out); // "error", "warn", "info", "debug"

void log_error(const char *area, const char *fmt, ...) ERR_FORMAT(2); // someone must act
void log_warn(const char *area, const char *fmt, ...) ERR_FORMAT(2);  // we coped
void log_info(const char *area, const char *fmt, ...) ERR_FORMAT(2);  // state changed
void log_debug(const char *area, const char *fmt, ...) ERR_FORMAT(2);

// Appends ` req=id` to every line of this thread until called with NULL. The text must live that long.
void log_request(const char *id);
