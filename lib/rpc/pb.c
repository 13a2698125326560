#include "rpc/pb_field.h"
#include "rpc/pbjson.h"

#include <stdint.h>
#include "base/strings.h"

size_t pb_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return 4;
	}
}

bool pb_present(const ProtobufCFieldDescriptor *f, const void *m)
{
	if (pb_in_oneof(f) && *(uint32_t *)pb_quantifier(f, m) != f->id)
		return false;
	if (f->type == PROTOBUF_C_TYPE_MESSAGE || (f->type == PROTOBUF_C_TYPE_STRING && pb_nullable(f)))
		return *(void **)pb_slot(f, m);
	if (f->label == PROTOBUF_C_LABEL_OPTIONAL && !pb_in_oneof(f) && f->type != PROTOBUF_C_TYPE_STRING)
		return *(protobuf_c_boolean *)pb_quantifier(f, m);
	return true;
}

void pb_mark(const ProtobufCFieldDescriptor *f, void *m)
{
	if (pb_in_oneof(f))
		*(uint32_t *)pb_quantifier(f, m) = f->id;
	else if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type != PROTOBUF_C_TYPE_STRING &&
		 f->type != PROTOBUF_C_TYPE_MESSAGE)
		*(protobuf_c_boolean *)pb_quantifier(f, m) = 1;
}

const ProtobufCMessageDescriptor *pb_map_entry(const ProtobufCFieldDescriptor *f)
{
	if (f->label != PROTOBUF_C_LABEL_REPEATED || f->type != PROTOBUF_C_TYPE_MESSAGE)
		return NULL;
	const ProtobufCMessageDescriptor *d = f->descriptor;
	bool map = d->n_fields == 2 && str_ends(d->short_name, "Entry") && d->fields[0].id == 1 &&
		   d->fields[1].id == 2 && !strcmp(d->fields[0].name, "key") &&
		   !strcmp(d->fields[1].name, "value") &&
		   strchr(d->name, '.') != strrchr(d->name, '.'); // nested in its message
	return map ? d : NULL;
}

void *pb_append(const ProtobufCFieldDescriptor *f, void *m, struct arena *a)
{
	size_t *n = pb_quantifier(f, m), size = pb_size(f->type);
	void **array = pb_slot(f, m);

	if (*n == 0 || (*n >= 4 && (*n & (*n - 1)) == 0)) { // room for 4, then doubled at each power of two
		void *more = arena_array(a, *n ? 2 * *n : 4, size);
		if (!more)
			return NULL;
		if (*n)
			memcpy(more, *array, *n * size);
		*array = more;
	}
	return (char *)*array + (*n)++ * size;
}

void *pb_new(const ProtobufCMessageDescriptor *d, struct arena *a)
{
	ProtobufCMessage *m = arena_alloc(a, d->sizeof_message);

	if (m)
		protobuf_c_message_init(d, m);
	return m;
}

ProtobufCBinaryData pb_bytes(struct arena *a, const void *p, size_t n)
{
	uint8_t *copy = arena_dup(a, p, n);
	return (ProtobufCBinaryData){ copy ? n : 0, copy };
}

static int wrong(const ProtobufCFieldDescriptor *f, const char *code, const char *what, struct err *e)
{
	return err_code(e, ERR_INPUT, code, "field %s: %s", f->name, what);
}

int pb_from_hex(const ProtobufCFieldDescriptor *f, ProtobufCBinaryData *out, const char *s, size_t n,
		const char *code, struct arena *a, struct err *e)
{
	while (n >= 2 && s[0] == '0' && s[1] == 'x') {
		s += 2;
		n -= 2;
	}
	out->data = arena_alloc(a, n / 2 + 1);
	if (!out->data)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (hex_read(out->data, n / 2, s, n, &out->len))
		return wrong(f, code, "must be hex of even length", e);
	return 0;
}

// `neg` tells a minus before the digits.
static int number(const ProtobufCFieldDescriptor *f, void *slot, bool neg, uint64_t v, const char *code,
		  struct err *e)
{
	bool is_signed = f->type == PROTOBUF_C_TYPE_INT32 || f->type == PROTOBUF_C_TYPE_SINT32 ||
			 f->type == PROTOBUF_C_TYPE_SFIXED32 || f->type == PROTOBUF_C_TYPE_INT64 ||
			 f->type == PROTOBUF_C_TYPE_SINT64 || f->type == PROTOBUF_C_TYPE_SFIXED64;
	unsigned bits = (unsigned)pb_size(f->type) * 8;
	uint64_t most = is_signed ? (1ull << (bits - 1)) - !neg : bits == 64 ? UINT64_MAX : UINT32_MAX;

	if (v > most || (neg && !is_signed && v))
		return wrong(f, code, "number out of range", e);
	if (neg)
		v = 0 - v;
	if (bits == 64)
		*(uint64_t *)slot = v;
	else
		*(uint32_t *)slot = (uint32_t)v;
	return 0;
}

int pb_from_text(const ProtobufCFieldDescriptor *f, void *slot, const char *s, size_t n, const char *code,
		 struct arena *a, struct err *e)
{
	bool neg = n && *s == '-';
	uint64_t v;

	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		if (!str_is_utf8(s, n) || memchr(s, 0, n))
			return wrong(f, code, "must be UTF-8 text", e);
		*(char **)slot = arena_dup(a, s, n);
		return *(char **)slot ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
	case PROTOBUF_C_TYPE_BYTES:
		return pb_from_hex(f, slot, s, n, code, a, e);
	case PROTOBUF_C_TYPE_BOOL:
		if (!(n == 4 && !memcmp(s, "true", 4)) && !(n == 5 && !memcmp(s, "false", 5)))
			return wrong(f, code, "must be true or false", e);
		*(protobuf_c_boolean *)slot = n == 4;
		return 0;
	case PROTOBUF_C_TYPE_ENUM: {
		char name[64];
		const ProtobufCEnumValue *x = NULL;
		if (n < sizeof name) {
			memcpy(name, s, n);
			name[n] = 0;
			x = protobuf_c_enum_descriptor_get_value_by_name(f->descriptor, name);
		}
		if (!x)
			return wrong(f, code, "unknown name", e);
		*(int *)slot = x->value;
		return 0;
	}
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
	case PROTOBUF_C_TYPE_MESSAGE:
		return wrong(f, code, "cannot be read from a plain value", e);
	default:
		if (!str_u64_n(s + neg, n - neg, &v))
			return wrong(f, code, "must be an integer", e);
		return number(f, slot, neg, v, code, e);
	}
}

// ---- protobuf ----

static bool varint(struct rd *r, uint64_t *v)
{
	*v = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t b = rd_u8(r);
		if (r->bad || (shift == 63 && b > 1))
			return false;
		*v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80)
			return true;
	}
	return false;
}

enum { FIELDS_MAX = 128 }; // of one message, see sound()

// What protobuf-c does not check: strings are UTF-8 and hold no NUL (they become C strings), messages do not
// nest without end, and a field that is not repeated stands there once. The standard would have the last one
// count; no encoder writes two, JSON refuses them, and a request means the same in both.
static bool sound(const ProtobufCMessageDescriptor *d, struct rd r, int depth, const char **why)
{
	uint64_t seen[FIELDS_MAX / 64] = { 0 };

	while (rd_left(&r)) {
		uint64_t tag, n = 0;
		if (!varint(&r, &tag) || tag >> 3 > UINT32_MAX)
			return false;
		unsigned wire = tag & 7;
		const ProtobufCFieldDescriptor *f =
			protobuf_c_message_descriptor_get_field(d, (unsigned)(tag >> 3));
		size_t at = f ? (size_t)(f - d->fields) : 0;
		if (f && f->label != PROTOBUF_C_LABEL_REPEATED && at < FIELDS_MAX) {
			if (seen[at / 64] >> at % 64 & 1) {
				*why = f->name;
				return false;
			}
			seen[at / 64] |= 1ull << at % 64;
		}
		if (wire == 0) {
			if (!varint(&r, &n))
				return false;
			continue;
		}
		if (wire == 1 || wire == 5) {
			rd_take(&r, wire == 1 ? 8 : 4);
			continue;
		}
		if (wire != 2 || !varint(&r, &n) || n > rd_left(&r))
			return false;
		struct span s = rd_bytes(&r, (size_t)n);
		if (f && f->type == PROTOBUF_C_TYPE_STRING &&
		    (!str_is_utf8(s.p, s.n) || (s.n && memchr(s.p, 0, s.n))))
			return false;
		if (f && f->type == PROTOBUF_C_TYPE_MESSAGE &&
		    (depth == PB_DEPTH_MAX || !sound(f->descriptor, rd_span(s), depth + 1, why)))
			return false;
	}
	return !r.bad;
}

static void *take_memory(void *arena, size_t n)
{
	return arena_alloc(arena, n);
}

static void keep_memory(void *arena, void *p)
{
	(void)arena;
	(void)p;
}

void *pb_read(const ProtobufCMessageDescriptor *d, struct span bytes, struct arena *a, struct err *e)
{
	ProtobufCAllocator alloc = { take_memory, keep_memory, a };
	const char *twice = NULL;

	if (!bytes.n)
		return pb_new(d, a);
	void *m = sound(d, rd_span(bytes), 0, &twice) ? protobuf_c_message_unpack(d, &alloc, bytes.n, bytes.p)
						      : NULL;
	if (!m)
		err_code(e, ERR_INPUT, "rpc.protobuf", "request is not a valid %s message%s%s", d->short_name,
			 twice ? ": more than one " : "", twice ? twice : "");
	return m;
}
