#include "evidence_files.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/codec/hex.h"

static void *kept[256];
static size_t kept_n;

struct span file_keep(const void *p, size_t n)
{
	uint8_t *copy = malloc(n + 1);

	if (!copy || kept_n == sizeof kept / sizeof *kept) {
		fprintf(stderr, "too many files\n");
		exit(1);
	}
	if (n)
		memcpy(copy, p, n);
	kept[kept_n++] = copy;
	return span_of(copy, n);
}

void file_free_all(void)
{
	while (kept_n)
		free(kept[--kept_n]);
}

struct span file_read(const char *dir, const char *name)
{
	static uint8_t buffer[1 << 20];
	char path[600];

	snprintf(path, sizeof path, "%s/%s/%s", EVIDENCE_DIR, dir, name);
	FILE *f = fopen(path, "rb");
	if (!f) {
		perror(path);
		exit(1);
	}
	size_t n = fread(buffer, 1, sizeof buffer, f);
	fclose(f);
	return file_keep(buffer, n);
}

struct span file_hex(struct span text)
{
	static uint8_t buffer[1 << 19];

	while (text.n && isspace(text.p[text.n - 1]))
		text.n--;
	if (text.n / 2 > sizeof buffer || hex_decode(buffer, text.n / 2, text)) {
		fprintf(stderr, "not hex\n");
		exit(1);
	}
	return file_keep(buffer, text.n / 2);
}

void file_name(char *out, size_t cap, struct json obj, const char *member)
{
	struct json v;

	if (!json_get(obj, member, &v) || json_cstr(v, out, cap)) {
		fprintf(stderr, "no %s\n", member);
		exit(1);
	}
}
