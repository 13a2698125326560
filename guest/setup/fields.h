// fields - members of a JSON object read with a type and an error that names them.
//
// A member that is absent or null keeps its default; a wrong type is an error (code given by the caller's
// `code`), never a default. Texts land in the arena.
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "core/codec/json.h"

struct fields {
	struct json obj;
	const char *what, *code; // "app-compose.json", "compose.type"
	struct arena *arena;
	struct err *e;
	bool bad; // sticky: read straight down, test once
};

struct texts {
	const char **v;
	size_t n;
};

// Starts on a whole text, which must be an object; else `bad` with code `code`.
struct fields fields_begin(struct span text, const char *what, const char *code, struct arena *a,
			   struct err *e);
struct fields fields_of(struct json obj, const struct fields *parent);

bool field_has(struct fields *f, const char *name, struct json *out); // there and not null
bool field_bool(struct fields *f, const char *name, bool otherwise);
const char *field_text(struct fields *f, const char *name, const char *otherwise);
struct texts field_texts(struct fields *f, const char *name, size_t max);
// Hex of exactly n bytes; true when it is there and not "".
bool field_hex(struct fields *f, const char *name, void *out, size_t n);

// Any string value as text in the arena, NULL when it is none or has a NUL.
const char *json_text_dup(struct json v, struct arena *a);
