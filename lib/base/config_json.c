#include "base/config_json.h"

#include <stdio.h>
#include <string.h>
#include "core/codec/json.h"

enum { DEPTH_MAX = 8 };

struct reader {
	struct span text;
	const char *name;
	struct arena *a;
	toml_fn *fn;
	void *arg;
	struct err *e;
};

static unsigned line_of(const struct reader *r, const uint8_t *p)
{
	unsigned line = 1;

	for (const uint8_t *q = r->text.p; q < p; q++)
		line += *q == '\n';
	return line;
}

static int bad(struct reader *r, const uint8_t *at, const char *what)
{
	return err_code(r->e, ERR_INPUT, "config.syntax", "%s:%u: %s", r->name, line_of(r, at), what);
}

static int scalar(struct reader *r, struct json v, struct toml_value *out)
{
	bool b;

	out->line = line_of(r, v.text.p);
	switch (json_kind(v)) {
	case JSON_STRING: {
		size_t n = json_string_size(v) + 1;
		char *s = arena_alloc(r->a, n);
		if (!s || json_cstr(v, s, n))
			return bad(r, v.text.p, "string holds a NUL, or out of memory");
		out->kind = TOML_STRING;
		out->s = s;
		return 0;
	}
	case JSON_NUMBER:
		out->kind = TOML_INT;
		return json_i64(v, &out->i) ? bad(r, v.text.p, "not a 64-bit integer") : 0;
	case JSON_BOOL:
		if (json_bool(v, &b))
			return bad(r, v.text.p, "not a boolean");
		out->kind = TOML_BOOL;
		out->i = b;
		return 0;
	default:
		return bad(r, v.text.p, "unexpected kind of value");
	}
}

static int member(struct reader *r, const char *path, struct json v, int depth);

static int object(struct reader *r, const char *path, struct json v, enum toml_kind kind, int depth)
{
	struct json_iter it = json_iter(v);
	struct json key, val;
	char name[64], inner[TOML_PATH_MAX + 1];

	if (*path) {
		struct toml_value t = { .kind = kind,
					.path = arena_str(r->a, path),
					.line = line_of(r, v.text.p) };
		if (!t.path)
			return bad(r, v.text.p, "out of memory");
		if (r->fn(r->arg, &t, r->e))
			return -1;
	}
	while (json_next(&it, &key, &val)) {
		if (json_cstr(key, name, sizeof name) || strpbrk(name, ".[]") || !*name)
			return bad(r, val.text.p, "unfit name of a member");
		int n = snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", name);
		if (n < 0 || (size_t)n >= sizeof inner)
			return bad(r, val.text.p, "key is too long");
		if (member(r, inner, val, depth + 1))
			return -1;
	}
	return 0;
}

static int array(struct reader *r, const char *path, struct json v, int depth)
{
	size_t n = json_count(v), i = 0;
	struct json_iter it = json_iter(v);
	struct json val;
	struct toml_value out = { .kind = TOML_ARRAY,
				  .path = arena_str(r->a, path),
				  .line = line_of(r, v.text.p) };
	struct toml_value *items = arena_array(r->a, n + 1, sizeof *items);

	if (n > TOML_ITEMS_MAX || !items || !out.path)
		return bad(r, v.text.p, "too many items, or out of memory");
	bool tables = json_next(&it, NULL, &val) && json_kind(val) == JSON_OBJECT;
	it = json_iter(v);
	for (; json_next(&it, NULL, &val); i++) {
		char inner[TOML_PATH_MAX + 24];
		if (!tables) {
			if (scalar(r, val, &items[i]))
				return -1;
			if (items[i].kind != items[0].kind)
				return bad(r, val.text.p, "items of different kinds");
			continue;
		}
		snprintf(inner, sizeof inner, "%s[%zu]", path, i);
		if (json_kind(val) != JSON_OBJECT || strlen(inner) > TOML_PATH_MAX)
			return bad(r, val.text.p, "expected an object");
		if (object(r, inner, val, TOML_ARRAY_TABLE, depth + 1))
			return -1;
	}
	if (tables)
		return 0;
	out.items = items;
	out.n = n;
	return r->fn(r->arg, &out, r->e);
}

static int member(struct reader *r, const char *path, struct json v, int depth)
{
	if (depth > DEPTH_MAX)
		return bad(r, v.text.p, "nested too deeply");
	if (json_kind(v) == JSON_NULL)
		return 0;
	if (json_kind(v) == JSON_OBJECT)
		return object(r, path, v, TOML_TABLE, depth);
	if (json_kind(v) == JSON_ARRAY)
		return array(r, path, v, depth);
	struct toml_value out = { .path = arena_str(r->a, path) };
	if (!out.path || scalar(r, v, &out))
		return out.path ? -1 : bad(r, v.text.p, "out of memory");
	return r->fn(r->arg, &out, r->e);
}

int config_json(const char *text, size_t n, const char *name, struct arena *a, toml_fn *fn, void *arg,
		struct err *e)
{
	struct reader r = { span_of(text, n), name, a, fn, arg, e };
	struct json v;
	struct json_fault f = { 0 };

	if (n > TOML_TEXT_MAX)
		return bad(&r, r.text.p, "file is too large");
	if (json_parse(&v, r.text, &f))
		return bad(&r, r.text.p + (f.at < n ? f.at : 0), f.what ? f.what : "not JSON");
	if (json_kind(v) != JSON_OBJECT)
		return bad(&r, r.text.p, "expected an object");
	return object(&r, "", v, TOML_TABLE, 0);
}
