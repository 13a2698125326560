// agent - asks the guest agent one question over its unix socket, as any container can.
//
// HTTP/1.1 with JSON on /var/run/dstack.sock. The answer is trusted as far as the socket is: it was mounted
// into this container by the app's own measured compose file.
#pragma once
#include <stddef.h>

// POST `body` to `/<method>` and give back the JSON answer (malloc'ed), or NULL after a line on stderr.
char *agent_ask(const char *method, const char *body);

// The string member `name` of a flat JSON object, or the first string of the array member, with \n unescaped.
// Malloc'ed; NULL when there is none. `nth` picks from an array (0 for a plain string).
char *json_text(const char *json, const char *name, unsigned nth);
