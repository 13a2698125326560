#include "base/strings.h"
#include "rpc/pb_field.h"
#include "rpc/pbjson.h"

static const char code[] = "rpc.query";

// The values given so far, by where they were put: each counts once, as in the other encodings.
struct given {
	const void **slot;
	size_t n, cap;
};

static int give(struct given *g, const ProtobufCFieldDescriptor *f, const void *slot, struct arena *a,
		struct err *e)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->slot[i] == slot)
			return err_code(e, ERR_INPUT, code, "field %s: given twice", f->name);
	if (g->n == g->cap) {
		size_t cap = g->cap ? 2 * g->cap : 16;
		const void **more = arena_array(a, cap, sizeof *more);
		if (!more)
			return err_set(e, ERR_SYSTEM, "out of memory");
		if (g->n)
			memcpy(more, g->slot, g->n * sizeof *more);
		g->slot = more;
		g->cap = cap;
	}
	g->slot[g->n++] = slot;
	return 0;
}

// application/x-www-form-urlencoded. NULL: a bad escape, or memory is out.
static char *decoded(struct span s, size_t *n, struct arena *a)
{
	char *out = arena_alloc(a, s.n + 1);

	*n = 0;
	for (size_t i = 0; out && i < s.n; i++) {
		if (s.p[i] == '%') {
			size_t one;
			if (s.n - i < 3 || hex_read(out + *n, 1, (const char *)s.p + i + 1, 2, &one))
				return NULL;
			i += 2;
		} else {
			out[*n] = s.p[i] == '+' ? ' ' : (char)s.p[i];
		}
		(*n)++;
	}
	return out;
}

// The next part of a key: `name` at the start, then [part] each. False when the key is malformed.
static bool next_part(const char **p, bool first, char *out, size_t cap)
{
	size_t n = first ? strcspn(*p, "[") : strcspn(*p + 1, "]");
	const char *from = first ? *p : *p + 1;

	if ((!first && (**p != '[' || from[n] != ']')) || n >= cap)
		return false;
	memcpy(out, from, n);
	out[n] = 0;
	*p = from + n + !first;
	return true;
}

// The slot that `[]`, `[i]` or nothing means in a repeated field: an existing entry or one more.
static void *entry(const ProtobufCFieldDescriptor *f, void *m, const char **p, struct arena *a, struct err *e)
{
	char part[24] = "";
	uint64_t i;

	if (**p && !next_part(p, false, part, sizeof part)) {
		err_code(e, ERR_INPUT, code, "field %s: malformed index", f->name);
		return NULL;
	}
	size_t n = *(size_t *)pb_quantifier(f, m);
	if (*part) {
		if (!str_u64(part, &i) || i > n) {
			err_code(e, ERR_INPUT, code, "field %s: index out of order", f->name);
			return NULL;
		}
		if (i < n && f->type != PROTOBUF_C_TYPE_MESSAGE) {
			err_code(e, ERR_INPUT, code, "field %s: given twice", f->name);
			return NULL;
		}
		if (i < n)
			return *(char **)pb_slot(f, m) + i * pb_size(f->type);
	}
	void *slot = pb_append(f, m, a);
	if (!slot)
		err_set(e, ERR_SYSTEM, "out of memory");
	return slot;
}

static int assign(const ProtobufCMessageDescriptor *d, void *m, struct given *g, const char *key,
		  const char *val, size_t n, struct arena *a, struct err *e)
{
	const char *p = key;
	char part[64];
	bool first = true;

	for (int depth = 0; depth < PB_DEPTH_MAX; depth++, first = false) {
		if (!next_part(&p, first, part, sizeof part))
			return first ? 0 : err_code(e, ERR_INPUT, code, "malformed key %s", STR_QZ(key));
		const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(d, part);
		if (!f || pb_map_entry(f))
			return 0; // unknown keys are ignored, `json` among them
		void *slot = f->label == PROTOBUF_C_LABEL_REPEATED ? entry(f, m, &p, a, e) : pb_slot(f, m);
		if (!slot)
			return -1;
		if (f->label != PROTOBUF_C_LABEL_REPEATED)
			pb_mark(f, m);
		if (f->type != PROTOBUF_C_TYPE_MESSAGE) {
			if (*p)
				return err_code(e, ERR_INPUT, code, "field %s: is a plain value", f->name);
			if (f->label != PROTOBUF_C_LABEL_REPEATED && give(g, f, slot, a, e))
				return -1;
			return pb_from_text(f, slot, val, n, code, a, e);
		}
		if (!*(void **)slot && !(*(void **)slot = pb_new(f->descriptor, a)))
			return err_set(e, ERR_SYSTEM, "out of memory");
		if (!*p)
			return err_code(e, ERR_INPUT, code,
					"field %s: is a message, name a member as %s[member]", f->name,
					f->name);
		m = *(void **)slot;
		d = f->descriptor;
	}
	return err_code(e, ERR_INPUT, code, "nested too deeply");
}

void *pbjson_query(const ProtobufCMessageDescriptor *d, struct span q, struct arena *a, struct err *e)
{
	void *m = pb_new(d, a);
	struct given given = { 0 };

	while (m && q.n) {
		const uint8_t *amp = memchr(q.p, '&', q.n);
		size_t n = amp ? (size_t)(amp - q.p) : q.n, key_n, val_n = 0;
		const uint8_t *eq = memchr(q.p, '=', n);
		struct span k = { q.p, eq ? (size_t)(eq - q.p) : n };
		struct span v = eq ? (struct span){ eq + 1, n - k.n - 1 } : (struct span){ q.p, 0 };
		char *key = decoded(k, &key_n, a), *val = decoded(v, &val_n, a);
		if (!key || !val || strlen(key) != key_n) {
			err_code(e, ERR_INPUT, code, "malformed query");
			return NULL;
		}
		if (key_n && assign(d, m, &given, key, val, val_n, a, e))
			return NULL;
		size_t step = amp ? n + 1 : n;
		q.p += step;
		q.n -= step;
	}
	if (!m)
		err_set(e, ERR_SYSTEM, "out of memory");
	return m;
}
