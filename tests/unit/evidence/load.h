// load - the evidence files for tests, read whole; DSTACK_EVIDENCE names the folder (meson sets it).
#pragma once
#include "core/codec/buf.h"

struct span load(const char *path); // under the evidence folder; never freed, the test ends
struct span load_hex_member(const char *path,
			    const char *member); // hex string member of a JSON file, decoded
struct span load_text_member(const char *path, const char *member);
struct span hex(const char *digits);
