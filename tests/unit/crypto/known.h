// known - reading tests/vectors/kms.json (an independent implementation's answers) in tests.
#pragma once
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/codec/json.h"

static inline struct json known_open(const char *path)
{
	static char text[1 << 20];
	FILE *f = fopen(path, "r");
	struct json v;
	struct json_fault fault = { 0, "" };

	if (!f)
		fail_msg("cannot open %s", path);
	size_t n = fread(text, 1, sizeof text, f);
	fclose(f);
	if (json_parse(&v, span_of(text, n), &fault))
		fail_msg("%s: at %zu: %s", path, fault.at, fault.what);
	return v;
}

static inline struct json known(struct json v, const char *name)
{
	struct json out;

	if (!json_get(v, name, &out))
		fail_msg("vector has no \"%s\"", name);
	return out;
}

// Memory for the answers: given out, never taken back.
static inline void *known_room(size_t n)
{
	static uint8_t pool[8 << 20];
	static size_t used;

	if (n > sizeof pool - used)
		fail_msg("the vectors need more room");
	used += n;
	return pool + used - n;
}

// The bytes of a hex string member.
static inline struct span known_bytes(struct json v, const char *name)
{
	struct json s = known(v, name);
	size_t n = json_string_size(s) / 2;
	uint8_t *p = known_room(n + 1);

	assert_int_equal(json_hex(s, p, n), 0);
	return span_of(p, n);
}

static inline void known_is(struct json v, const char *name, const void *got, size_t n)
{
	struct span want = known_bytes(v, name);

	if (want.n != n || memcmp(want.p, got, n))
		fail_msg("\"%s\" differs from the vector", name);
}
