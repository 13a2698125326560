// words - why a guest gave up, from the end of its console log.
//
// The console is the guest's to write: what is found is shown to people, bounded and printable, and believed
// by nobody. Our own programs say "name: [seconds] code: text", the kernel has its panic line.
#pragma once
#include <stdbool.h>
#include <stddef.h>

// "code: text" in `out`; false when the log has no such words. `text` need not end in NUL.
bool words_last(char *out, size_t cap, const char *text, size_t n);
// Drop terminal control sequences (ECMA-48: ESC, '[', parameters, a final letter), in place, piece by piece.
enum words_strip { STRIP_PLAIN, STRIP_ESCAPE, STRIP_SEQUENCE };
size_t words_strip(enum words_strip *state, char *p, size_t n);
// One parameter of a URL's query, unescaped; false when absent. "%00" and broken escapes count as absent, a
// value that does not fit is cut.
bool words_param(const void *query, size_t n, const char *name, char *out, size_t cap);
