// ytree - a YAML text as a tree in an arena, for reading compose files that strangers wrote.
//
// libyaml reads it: the parser that docker compose's own is a port of, so both see the same document. One
// document; duplicate keys refused; size, nodes and depth bounded; an alias is the node it names, so nothing
// is copied however often it is used. Who walks a tree spends from a budget instead.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/err.h"
#include "core/codec/buf.h"

enum { YAML_TEXT_MAX = 1 << 20, YAML_NODES_MAX = 1 << 16, YAML_DEPTH_MAX = 48 };

enum ynode_kind { YNODE_TEXT, YNODE_LIST, YNODE_MAP };

struct ynode {
	enum ynode_kind kind;
	const char *text;     // of a scalar, NUL-terminated; quotes and tags forgotten
	struct ynode **child; // of a list; of a map, keys and values in turn
	size_t n, cap;
};

// In the arena; NULL with code lint.yaml.
const struct ynode *yaml_read(struct arena *a, struct span text, struct err *e);

// The value of `key`, also of maps merged with `<<`. NULL: none, no map, or the budget is spent.
const struct ynode *ynode_get(const struct ynode *map, const char *key, size_t *budget);
const char *ynode_text(const struct ynode *n); // "" if it is no scalar
