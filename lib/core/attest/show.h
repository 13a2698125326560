// show - decoded evidence as groups of fields, for people or as JSON, the same from every program. Private to
// attest/*_show.c.
#pragma once
#include "core/codec/buf.h"

struct show {
	struct wr *out;
	bool json, any_group, any_field;
};

void show_group(struct show *s, const char *name);
void show_number(struct show *s, const char *field, uint64_t v);
void show_text(struct show *s, const char *field, struct span v);
void show_hex(struct show *s, const char *field, const void *p, size_t n);
void show_bytes(struct show *s, const char *field, struct span v);
void show_end(struct show *s);
