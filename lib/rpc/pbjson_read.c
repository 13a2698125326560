#include "rpc/pbjson.h"

#include "base/strings.h"
#include "core/codec/json.h"
#include "rpc/pb_field.h"

enum { FIELD_NAME_MAX = 64 };

static const char code[] = "rpc.json";

static int message(const ProtobufCMessageDescriptor *d, void *m, struct json v, int depth, struct arena *a,
		   struct err *e);

static int wrong(const ProtobufCFieldDescriptor *f, const char *want, struct err *e)
{
	return err_code(e, ERR_INPUT, code, "field %s: must be %s", f->name, want);
}

// The text of a JSON string in the arena. NULL: it holds a NUL, or memory is out.
static char *text_of(struct json v, size_t *n, struct arena *a)
{
	size_t size = json_string_size(v);
	char *s = arena_alloc(a, size + 1);

	if (!s || json_cstr(v, s, size + 1))
		return NULL;
	*n = size;
	return s;
}

static int from_string(const ProtobufCFieldDescriptor *f, void *slot, struct json v, struct arena *a,
		       struct err *e)
{
	size_t n = 0;
	char *s = text_of(v, &n, a);

	if (!s)
		return arena_bad(a) ? err_set(e, ERR_SYSTEM, "out of memory")
				    : wrong(f, "text without NUL", e);
	if (f->type == PROTOBUF_C_TYPE_STRING) {
		*(char **)slot = s;
		return 0;
	}
	return pb_from_text(f, slot, s, n, code, a, e);
}

static int value(const ProtobufCFieldDescriptor *f, void *slot, struct json v, int depth, struct arena *a,
		 struct err *e)
{
	enum json_kind kind = json_kind(v);

	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
		if (kind != JSON_STRING)
			return wrong(f, f->type == PROTOBUF_C_TYPE_STRING ? "a string" : "a hex string", e);
		return from_string(f, slot, v, a, e);
	case PROTOBUF_C_TYPE_BOOL:
		if (kind != JSON_BOOL)
			return wrong(f, "true or false", e);
		return pb_from_text(f, slot, (const char *)v.text.p, v.text.n, code, a, e);
	case PROTOBUF_C_TYPE_MESSAGE: {
		if (kind != JSON_OBJECT)
			return wrong(f, "an object", e);
		void *m = pb_new(f->descriptor, a);
		if (!m)
			return err_set(e, ERR_SYSTEM, "out of memory");
		*(void **)slot = m;
		if (message(f->descriptor, m, v, depth + 1, a, e))
			return err_wrap(e, "field %s", f->name);
		return 0;
	}
	case PROTOBUF_C_TYPE_ENUM:
		if (kind != JSON_STRING)
			return wrong(f, "a string", e);
		return from_string(f, slot, v, a, e);
	default:
		if (kind != JSON_NUMBER)
			return wrong(f, "a number", e);
		return pb_from_text(f, slot, (const char *)v.text.p, v.text.n, code, a, e);
	}
}

static int map(const ProtobufCFieldDescriptor *f, const ProtobufCMessageDescriptor *entry, void *m,
	       struct json v, int depth, struct arena *a, struct err *e)
{
	struct json_iter it = json_iter(v);
	struct json key, val;

	if (json_kind(v) != JSON_OBJECT)
		return wrong(f, "an object", e);
	while (json_next(&it, &key, &val)) {
		void **slot = pb_append(f, m, a);
		void *x = slot ? pb_new(entry, a) : NULL;
		if (!x)
			return err_set(e, ERR_SYSTEM, "out of memory");
		*slot = x;
		if (from_string(&entry->fields[0], pb_slot(&entry->fields[0], x), key, a, e) ||
		    value(&entry->fields[1], pb_slot(&entry->fields[1], x), val, depth, a, e))
			return err_wrap(e, "field %s", f->name);
	}
	return 0;
}

static int repeated(const ProtobufCFieldDescriptor *f, void *m, struct json v, int depth, struct arena *a,
		    struct err *e)
{
	const ProtobufCMessageDescriptor *entry = pb_map_entry(f);
	struct json_iter it = json_iter(v);
	struct json val;

	if (entry)
		return map(f, entry, m, v, depth, a, e);
	if (json_kind(v) != JSON_ARRAY)
		return wrong(f, "an array", e);
	while (json_next(&it, NULL, &val)) {
		void *slot = pb_append(f, m, a);
		if (!slot)
			return err_set(e, ERR_SYSTEM, "out of memory");
		if (value(f, slot, val, depth, a, e))
			return -1;
	}
	return 0;
}

static int message(const ProtobufCMessageDescriptor *d, void *m, struct json v, int depth, struct arena *a,
		   struct err *e)
{
	struct json_iter it = json_iter(v);
	struct json key, val;
	char name[FIELD_NAME_MAX];

	if (depth > PB_DEPTH_MAX)
		return err_code(e, ERR_INPUT, code, "nested too deeply");
	while (json_next(&it, &key, &val)) {
		const ProtobufCFieldDescriptor *f =
			json_cstr(key, name, sizeof name)
				? NULL
				: protobuf_c_message_descriptor_get_field_by_name(d, name);
		if (!f)
			continue; // of a newer client
		if (json_kind(val) == JSON_NULL) {
			if (!pb_nullable(f))
				return wrong(f, "present or left out, not null", e);
			continue;
		}
		if (f->label == PROTOBUF_C_LABEL_REPEATED ? repeated(f, m, val, depth, a, e)
							  : value(f, pb_slot(f, m), val, depth, a, e))
			return -1;
		if (f->label != PROTOBUF_C_LABEL_REPEATED)
			pb_mark(f, m);
	}
	return 0;
}

void *pbjson_read(const ProtobufCMessageDescriptor *d, struct span json, struct arena *a, struct err *e)
{
	void *m = pb_new(d, a);
	struct json v;
	struct json_fault fault = { 0 };

	if (!m) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	if (!d->n_fields || !json.n)
		return m; // a method without arguments takes any body
	if (json_parse(&v, json, &fault)) {
		err_code(e, ERR_INPUT, code, "request is not valid JSON: %s at byte %zu",
			 fault.what ? fault.what : "malformed", fault.at);
		return NULL;
	}
	if (json_kind(v) == JSON_NULL)
		return m;
	if (json_kind(v) != JSON_OBJECT) {
		err_code(e, ERR_INPUT, code, "request must be a JSON object");
		return NULL;
	}
	return message(d, m, v, 0, a, e) ? NULL : m;
}
