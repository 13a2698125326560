#include "lint/ytree.h"

#include <string.h>
#include <yaml.h>

enum { ANCHORS_MAX = 256, MERGE_DEPTH_MAX = 8 };

struct reader {
	yaml_parser_t p;
	struct arena *a;
	struct ynode *open[YAML_DEPTH_MAX]; // lists and maps that enclose this point
	size_t depth, nodes;
	struct {
		const char *name;
		struct ynode *node;
	} anchor[ANCHORS_MAX];
	size_t n_anchors;
	struct ynode *root;
};

static int refuse(struct err *e, const char *why)
{
	return err_code(e, ERR_INPUT, "lint.yaml", "the compose text is not read: %s", why);
}

static int append(struct reader *r, struct ynode *to, struct ynode *n, struct err *e)
{
	if (to->n == to->cap) {
		size_t cap = to->cap ? 2 * to->cap : 8;
		struct ynode **more = arena_array(r->a, cap, sizeof *more);
		if (!more)
			return err_set(e, ERR_SYSTEM, "out of memory");
		if (to->n)
			memcpy(more, to->child, to->n * sizeof *more);
		to->child = more;
		to->cap = cap;
	}
	to->child[to->n++] = n;
	return 0;
}

static bool is_key(const struct ynode *map)
{
	return map->kind == YNODE_MAP && map->n % 2 == 0;
}

static bool has_key(const struct ynode *map, const char *key)
{
	for (size_t i = 0; i + 1 < map->n; i += 2)
		if (!strcmp(ynode_text(map->child[i]), key))
			return true;
	return false;
}

// Puts a node where it belongs.
static int place(struct reader *r, struct ynode *n, struct err *e)
{
	if (!r->depth) {
		if (r->root)
			return refuse(e, "more than one document");
		r->root = n;
		return 0;
	}
	struct ynode *in = r->open[r->depth - 1];
	if (is_key(in) && n->kind != YNODE_TEXT)
		return refuse(e, "a key that is no text");
	if (is_key(in) && strcmp(n->text, "<<") != 0 && has_key(in, n->text))
		return refuse(e, "a key stands there twice");
	return append(r, in, n, e);
}

static int name_it(struct reader *r, const yaml_char_t *anchor, struct ynode *n, struct err *e)
{
	if (!anchor)
		return 0;
	if (r->n_anchors == ANCHORS_MAX)
		return refuse(e, "too many anchors");
	r->anchor[r->n_anchors].name = arena_str(r->a, (const char *)anchor);
	r->anchor[r->n_anchors++].node = n;
	return arena_bad(r->a) ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

static int add(struct reader *r, enum ynode_kind kind, const yaml_char_t *anchor, const char *text,
	       struct err *e)
{
	struct ynode *n = arena_alloc(r->a, sizeof *n);

	if (!n || (text && !(text = arena_str(r->a, text))))
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (++r->nodes > YAML_NODES_MAX)
		return refuse(e, "too large");
	n->kind = kind;
	n->text = text;
	if (place(r, n, e) || name_it(r, anchor, n, e))
		return -1;
	if (kind == YNODE_TEXT)
		return 0;
	if (r->depth == YAML_DEPTH_MAX)
		return refuse(e, "nested too deeply");
	r->open[r->depth++] = n;
	return 0;
}

// The last node of that name. One that is still open would hold itself.
static int add_alias(struct reader *r, const char *name, struct err *e)
{
	for (size_t i = r->n_anchors; i--;) {
		if (strcmp(r->anchor[i].name, name) != 0)
			continue;
		for (size_t k = 0; k < r->depth; k++)
			if (r->open[k] == r->anchor[i].node)
				return refuse(e, "an alias of what it is in");
		return place(r, r->anchor[i].node, e);
	}
	return refuse(e, "an alias without its anchor");
}

static int take(struct reader *r, const yaml_event_t *ev, struct err *e)
{
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		if (strlen((const char *)ev->data.scalar.value) != ev->data.scalar.length)
			return refuse(e, "a text with a NUL");
		return add(r, YNODE_TEXT, ev->data.scalar.anchor, (const char *)ev->data.scalar.value, e);
	case YAML_SEQUENCE_START_EVENT:
		return add(r, YNODE_LIST, ev->data.sequence_start.anchor, NULL, e);
	case YAML_MAPPING_START_EVENT:
		return add(r, YNODE_MAP, ev->data.mapping_start.anchor, NULL, e);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		r->depth--;
		return 0;
	case YAML_ALIAS_EVENT:
		return add_alias(r, (const char *)ev->data.alias.anchor, e);
	default:
		return 0;
	}
}

static int read_all(struct reader *r, struct err *e)
{
	for (;;) {
		yaml_event_t ev;

		if (!yaml_parser_parse(&r->p, &ev))
			return err_code(
				e, ERR_INPUT, "lint.yaml", "the compose text is not read: %s at line %zu",
				r->p.problem ? r->p.problem : "malformed", r->p.problem_mark.line + 1);
		bool end = ev.type == YAML_STREAM_END_EVENT;
		int rc = take(r, &ev, e);
		yaml_event_delete(&ev);
		if (rc || end)
			return rc;
	}
}

const struct ynode *yaml_read(struct arena *a, struct span text, struct err *e)
{
	struct reader *r = arena_alloc(a, sizeof *r);

	if (text.n > YAML_TEXT_MAX) {
		refuse(e, "too large");
		return NULL;
	}
	if (!r || !yaml_parser_initialize(&r->p)) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	r->a = a;
	yaml_parser_set_input_string(&r->p, text.p, text.n);
	int rc = read_all(r, e);
	yaml_parser_delete(&r->p);
	if (!rc && !r->root)
		rc = refuse(e, "it is empty");
	return rc ? NULL : r->root;
}

const char *ynode_text(const struct ynode *n)
{
	return n && n->kind == YNODE_TEXT ? n->text : "";
}

static const struct ynode *get(const struct ynode *map, const char *key, size_t *budget, int depth)
{
	const struct ynode *merged = NULL, *found = NULL;

	if (!map || map->kind != YNODE_MAP || depth > MERGE_DEPTH_MAX)
		return NULL;
	for (size_t i = 0; i + 1 < map->n; i += 2) {
		if (!*budget)
			return NULL;
		--*budget;
		if (!strcmp(map->child[i]->text, key))
			return map->child[i + 1];
		if (!strcmp(map->child[i]->text, "<<"))
			merged = map->child[i + 1];
	}
	if (merged && merged->kind == YNODE_MAP)
		return get(merged, key, budget, depth + 1);
	for (size_t i = 0; merged && merged->kind == YNODE_LIST && i < merged->n && !found; i++)
		found = get(merged->child[i], key, budget, depth + 1);
	return found;
}

const struct ynode *ynode_get(const struct ynode *map, const char *key, size_t *budget)
{
	return get(map, key, budget, 0);
}
