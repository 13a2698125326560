// fields - the names of a description's plain fields. Private to this folder.
#pragma once
#include "forge/forge.h"

enum field_form {
	FIELD_U8,
	FIELD_U16,
	FIELD_U32,
	FIELD_U64,
	FIELD_INT,    // int
	FIELD_LENGTH, // int64_t; null: as it is
	FIELD_BOOL,
	FIELD_TIME, // Unix seconds, or "2026-01-10T00:00:00Z"
	FIELD_HEX,  // exactly `n` bytes
	FIELD_LE16, // a number in two bytes
	FIELD_LE32,
	FIELD_BYTES,  // struct span
	FIELD_TEXT,   // const char *
	FIELD_STRING, // a text as struct span
	FIELD_KEY,
	FIELD_FAULT,
};

struct field {
	const char *name;
	enum field_form form;
	size_t at, n;
	const char *what;
};

// Fields of one kind of thing: at f + first + i * stride, i the place of the prefix.
struct field_group {
	const char *const *prefix;
	size_t prefixes, first, stride;
	const struct field *field;
	size_t fields;
};
extern const struct field_group field_groups[];
extern const size_t field_group_count;
extern const char *const forge_fault_name[FORGE_NONE + 1];
extern const char *const forge_kind_name[FORGE_SGX3 + 1];
extern const char *const forge_op_name[FORGE_DER_REPEAT + 1];
