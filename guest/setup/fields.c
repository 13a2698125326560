#include "fields.h"

static void wrong(struct fields *f, const char *name, const char *want)
{
	if (!f->bad)
		err_code(f->e, ERR_INPUT, f->code, "%s: %s must be %s", f->what, name, want);
	f->bad = true;
}

struct fields fields_begin(struct span text, const char *what, const char *code, struct arena *a,
			   struct err *e)
{
	struct fields f = { .what = what, .code = code, .arena = a, .e = e };
	struct json_fault why = { 0 };

	if (json_parse(&f.obj, text, &why)) {
		err_code(e, ERR_INPUT, code, "%s is not JSON: %s at byte %zu", what, why.what, why.at);
		f.bad = true;
	} else if (json_kind(f.obj) != JSON_OBJECT) {
		err_code(e, ERR_INPUT, code, "%s is not a JSON object", what);
		f.bad = true;
	}
	return f;
}

struct fields fields_of(struct json obj, const struct fields *parent)
{
	struct fields f = *parent;

	f.obj = obj;
	return f;
}

bool field_has(struct fields *f, const char *name, struct json *out)
{
	return json_get(f->obj, name, out) && json_kind(*out) != JSON_NULL;
}

bool field_bool(struct fields *f, const char *name, bool otherwise)
{
	struct json v;
	bool out = otherwise;

	if (field_has(f, name, &v) && json_bool(v, &out))
		wrong(f, name, "true or false");
	return out;
}

const char *json_text_dup(struct json v, struct arena *a)
{
	if (json_kind(v) != JSON_STRING)
		return NULL;
	size_t n = json_string_size(v);
	char *text = arena_alloc(a, n + 1);
	return text && !json_cstr(v, text, n + 1) ? text : NULL;
}

const char *field_text(struct fields *f, const char *name, const char *otherwise)
{
	struct json v;

	if (!field_has(f, name, &v))
		return otherwise;
	const char *text = json_text_dup(v, f->arena);
	if (!text)
		wrong(f, name, "a string");
	return text ? text : otherwise;
}

struct texts field_texts(struct fields *f, const char *name, size_t max)
{
	struct texts out = { 0 };
	struct json v, item;

	if (!field_has(f, name, &v))
		return out;
	if (json_kind(v) != JSON_ARRAY || json_count(v) > max) {
		wrong(f, name, "a list of strings that is not too long");
		return out;
	}
	out.v = arena_array(f->arena, json_count(v) + 1, sizeof *out.v);
	for (struct json_iter it = json_iter(v); out.v && json_next(&it, NULL, &item);) {
		out.v[out.n] = json_text_dup(item, f->arena);
		if (!out.v[out.n]) {
			wrong(f, name, "a list of strings");
			return (struct texts){ 0 };
		}
		out.n++;
	}
	return out;
}

bool field_hex(struct fields *f, const char *name, void *out, size_t n)
{
	struct json v;

	if (!field_has(f, name, &v) || json_is(v, ""))
		return false;
	if (!json_hex(v, out, n))
		return true;
	wrong(f, name, "hex of the right length");
	return false;
}
