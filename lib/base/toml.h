// toml - a reader for the TOML subset of our configuration files (config.h says which).
//
// Reads a file its administrator wrote, but trusts no byte of it. Calls back once per table header and per
// value, with the full dotted path; array tables carry their index: "network.forward[0].listen".
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"

enum { TOML_TEXT_MAX = 1 << 20, TOML_PATH_MAX = 255, TOML_ITEMS_MAX = 1024 };

enum toml_kind { TOML_TABLE, TOML_ARRAY_TABLE, TOML_STRING, TOML_INT, TOML_BOOL, TOML_ARRAY };

struct toml_value {
	enum toml_kind kind;
	const char *path;
	unsigned line;
	const char *s;                  // TOML_STRING: UTF-8 without NUL inside
	int64_t i;                      // TOML_INT, TOML_BOOL
	const struct toml_value *items; // TOML_ARRAY: all of one kind
	size_t n;
};

typedef int toml_fn(void *arg, const struct toml_value *v, struct err *e);

// All memory is of the arena and lives as long as it does. Errors read "name:line: what"; code config.syntax.
int toml_parse(const char *text, size_t n, const char *name, struct arena *a, toml_fn *fn, void *arg,
	       struct err *e);
