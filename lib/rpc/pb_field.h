// pb_field - where a field of a protobuf-c message lies and whether it is present; shared by pb*.c.
#pragma once
#include <protobuf-c/protobuf-c.h>
#include <string.h>
#include "base/arena.h"
#include "base/err.h"

enum { PB_DEPTH_MAX = 16 };

static inline void *pb_slot(const ProtobufCFieldDescriptor *f, const void *m)
{
	return (char *)(uintptr_t)m + f->offset;
}

// Number of entries, the has_ flag or the oneof's case, as the label says.
static inline void *pb_quantifier(const ProtobufCFieldDescriptor *f, const void *m)
{
	return (char *)(uintptr_t)m + f->quantifier_offset;
}

static inline bool pb_in_oneof(const ProtobufCFieldDescriptor *f)
{
	return f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
}

// May be null in JSON.
static inline bool pb_nullable(const ProtobufCFieldDescriptor *f)
{
	return pb_in_oneof(f) || f->label == PROTOBUF_C_LABEL_OPTIONAL ||
	       (f->type == PROTOBUF_C_TYPE_MESSAGE && f->label != PROTOBUF_C_LABEL_REPEATED);
}

size_t pb_size(ProtobufCType type); // of one value in memory
bool pb_present(const ProtobufCFieldDescriptor *f, const void *m);
void pb_mark(const ProtobufCFieldDescriptor *f, void *m); // a singular field has been set
// The entry type of a map: a repeated message of key and value. NULL if the field is no map.
const ProtobufCMessageDescriptor *pb_map_entry(const ProtobufCFieldDescriptor *f);
// One more entry at the end of a repeated field: its slot, NULL when out of memory.
void *pb_append(const ProtobufCFieldDescriptor *f, void *m, struct arena *a);

// Sets the value at `slot` from text: decimal, true|false, hex, a string, an enum's name. The error names
// `f`.
int pb_from_text(const ProtobufCFieldDescriptor *f, void *slot, const char *text, size_t n, const char *code,
		 struct arena *a, struct err *e);
int pb_from_hex(const ProtobufCFieldDescriptor *f, ProtobufCBinaryData *out, const char *text, size_t n,
		const char *code, struct arena *a, struct err *e);
