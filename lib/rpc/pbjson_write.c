#include "rpc/pbjson.h"

#include <inttypes.h>
#include <math.h>
#include "rpc/pb_field.h"

static void message(struct sb *out, const ProtobufCMessage *m, int depth);

static void enum_name(struct sb *out, const ProtobufCFieldDescriptor *f, int v)
{
	const ProtobufCEnumValue *x = protobuf_c_enum_descriptor_get_value(f->descriptor, v);

	if (x)
		sb_json_str(out, x->name);
	else
		sb_fmt(out, "%d", v);
}

static void real(struct sb *out, double v)
{
	if (isfinite(v))
		sb_fmt(out, "%.17g", v);
	else
		sb_str(out, "null");
}

static void value(struct sb *out, const ProtobufCFieldDescriptor *f, const void *slot, int depth)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		sb_fmt(out, "%" PRId32, *(const int32_t *)slot);
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		sb_fmt(out, "%" PRId64, *(const int64_t *)slot);
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		sb_fmt(out, "%" PRIu32, *(const uint32_t *)slot);
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		sb_fmt(out, "%" PRIu64, *(const uint64_t *)slot);
		break;
	case PROTOBUF_C_TYPE_FLOAT:
		real(out, (double)*(const float *)slot);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		real(out, *(const double *)slot);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		sb_str(out, *(const protobuf_c_boolean *)slot ? "true" : "false");
		break;
	case PROTOBUF_C_TYPE_ENUM:
		enum_name(out, f, *(const int *)slot);
		break;
	case PROTOBUF_C_TYPE_STRING: {
		const char *s = *(char *const *)slot;
		sb_json_str(out, s ? s : "");
		break;
	}
	case PROTOBUF_C_TYPE_BYTES: {
		const ProtobufCBinaryData *b = slot;
		sb_chr(out, '"');
		sb_hex(out, b->data, b->data ? b->len : 0);
		sb_chr(out, '"');
		break;
	}
	case PROTOBUF_C_TYPE_MESSAGE:
		message(out, *(ProtobufCMessage *const *)slot, depth + 1);
		break;
	}
}

// A map's entries as members. Keys are strings in JSON, whatever their type.
static void map(struct sb *out, const ProtobufCMessageDescriptor *entry, void *const *entries, size_t n,
		int depth)
{
	const ProtobufCFieldDescriptor *key = &entry->fields[0], *val = &entry->fields[1];

	sb_chr(out, '{');
	for (size_t i = 0; i < n; i++) {
		sb_json_next(out);
		bool quote = key->type != PROTOBUF_C_TYPE_STRING;
		if (quote)
			sb_chr(out, '"');
		value(out, key, pb_slot(key, entries[i]), depth);
		sb_str(out, quote ? "\":" : ":");
		value(out, val, pb_slot(val, entries[i]), depth);
	}
	sb_chr(out, '}');
}

static void repeated(struct sb *out, const ProtobufCFieldDescriptor *f, const void *m, int depth)
{
	size_t n = *(size_t *)pb_quantifier(f, m), size = pb_size(f->type);
	const ProtobufCMessageDescriptor *entry = pb_map_entry(f);
	const char *items = *(char **)pb_slot(f, m);

	if (entry) {
		map(out, entry, *(void ***)pb_slot(f, m), n, depth);
		return;
	}
	sb_chr(out, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			sb_chr(out, ',');
		value(out, f, items + i * size, depth);
	}
	sb_chr(out, ']');
}

// The one field that upstream leaves out when it is empty.
static bool left_out(const ProtobufCMessageDescriptor *d, const ProtobufCFieldDescriptor *f, const void *m)
{
	return f->type == PROTOBUF_C_TYPE_BYTES && !strcmp(f->name, "attestation") &&
	       !strcmp(d->name, "guest.GetQuoteResponse") && !((ProtobufCBinaryData *)pb_slot(f, m))->len;
}

static void message(struct sb *out, const ProtobufCMessage *m, int depth)
{
	if (depth > PB_DEPTH_MAX) {
		out->bad = true;
		return;
	}
	sb_chr(out, '{');
	bool first = true;
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		if (left_out(m->descriptor, f, m))
			continue;
		if (!first)
			sb_chr(out, ',');
		first = false;
		sb_json_str(out, f->name);
		sb_chr(out, ':');
		if (f->label == PROTOBUF_C_LABEL_REPEATED)
			repeated(out, f, m, depth);
		else if (pb_present(f, m))
			value(out, f, pb_slot(f, m), depth);
		else
			sb_str(out, "null");
	}
	sb_chr(out, '}');
}

void pbjson_write(struct sb *out, const ProtobufCMessage *m)
{
	if (m->descriptor->n_fields)
		message(out, m, 0);
	else
		sb_str(out, "null"); // Empty
}
