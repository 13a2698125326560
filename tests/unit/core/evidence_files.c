#include "evidence_files.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/codec/hex.h"

struct span file_read(const char *dir, const char *name)
{
	char path[600];
	size_t cap = 1 << 20, n;

	snprintf(path, sizeof path, "%s/%s/%s", EVIDENCE_DIR, dir, name);
	FILE *f = fopen(path, "rb");
	uint8_t *p = malloc(cap);
	if (!f || !p) {
		perror(path);
		exit(1);
	}
	n = fread(p, 1, cap, f);
	fclose(f);
	return span_of(p, n);
}

struct span file_hex(struct span text)
{
	while (text.n && isspace(text.p[text.n - 1]))
		text.n--;
	uint8_t *out = malloc(text.n / 2 + 1);
	if (!out || hex_decode(out, text.n / 2, text)) {
		fprintf(stderr, "not hex\n");
		exit(1);
	}
	return span_of(out, text.n / 2);
}

void file_name(char *out, size_t cap, struct json obj, const char *member)
{
	struct json v;

	if (!json_get(obj, member, &v) || json_cstr(v, out, cap)) {
		fprintf(stderr, "no %s\n", member);
		exit(1);
	}
}
