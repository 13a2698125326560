#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/codec/hex.h"
#include "core/codec/json.h"

static void *kept[4096]; // reachable until the end, so no leak
static size_t n_kept;

static _Noreturn void give_up(const char *what, const char *path)
{
	fprintf(stderr, "%s %s\n", what, path);
	exit(1);
}

static uint8_t *keep(size_t n)
{
	uint8_t *p = n_kept < sizeof kept / sizeof *kept ? malloc(n ? n : 1) : NULL;

	if (!p)
		give_up("no memory for", "a test file");
	kept[n_kept++] = p;
	return p;
}

struct span load(const char *path)
{
	char name[512];
	const char *top = getenv("DSTACK_EVIDENCE");

	snprintf(name, sizeof name, "%s/%s", top ? top : "tests/evidence", path);
	FILE *f = fopen(name, "rb");
	size_t cap = 2 << 20;
	uint8_t *p = malloc(cap);

	if (!f || !p)
		give_up("cannot open", name);
	size_t n = fread(p, 1, cap, f);

	fclose(f);
	uint8_t *exact = keep(n); // so that a sanitizer sees a read past the end

	memcpy(exact, p, n);
	free(p);
	return span_of(exact, n);
}

static struct json member_of(const char *path, const char *member)
{
	struct json root, v;

	if (json_parse(&root, load(path), NULL) || !json_get(root, member, &v))
		give_up(member, path);
	return v;
}

struct span load_hex_member(const char *path, const char *member)
{
	struct json v = member_of(path, member);
	size_t n = json_string_size(v) / 2;
	uint8_t *p = keep(n);

	if (json_hex(v, p, n))
		give_up(member, path);
	return span_of(p, n);
}

struct span load_text_member(const char *path, const char *member)
{
	struct json v = member_of(path, member);
	size_t n = json_string_size(v);
	uint8_t *p = keep(n);

	if (json_string(v, p, n, &n))
		give_up(member, path);
	return span_of(p, n);
}

struct span hex(const char *digits)
{
	size_t n = strlen(digits) / 2;
	uint8_t *p = keep(n);

	if (hex_decode(p, n, span_str(digits)))
		give_up("not hex:", digits);
	return span_of(p, n);
}
