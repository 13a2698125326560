// name - what a host name under the gateway's domain asks for: `<id>[-[port][s|g]].<domain>`.
//
// `id` is an app id or instance id, 40 hex digits. Without suffix TLS ends here, `g` ends here and speaks
// HTTP/2 to the app, `s` passes the bytes through. Pure; the name comes from strangers. spec 30 section 1.3.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum { ID_SIZE = 20 };

enum name_mode { NAME_TERMINATE, NAME_TERMINATE_H2, NAME_PASS };

struct name {
	uint8_t id[ID_SIZE];
	uint16_t port;
	enum name_mode mode;
};

// `name` in lower case. Codes: sni.domain (not under `domain`), sni.label, sni.port.
int name_parse(struct name *out, const char *name, const char *domain, struct err *e);
int id_parse(uint8_t id[static ID_SIZE], const char *hex, size_t n); // exactly 40 lower-case hex digits
