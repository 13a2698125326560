#include "jcs.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 16, MEMBERS_MAX = 64, NAME_MAX_BYTES = 64 };

struct member {
	char name[NAME_MAX_BYTES];
	struct json value;
};

static int write_value(struct json v, struct sb *out, int depth);

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static int write_string(struct json v, struct sb *out)
{
	static const char from[] = "\b\f\n\r\t\"\\", to[] = "bfnrt\"\\";
	size_t n = json_string_size(v);
	char *text = malloc(n + 1);
	int rc = text ? json_string(v, text, n + 1, &n) : -1;

	sb_chr(out, '"');
	for (size_t i = 0; !rc && i < n; i++) {
		const char *at = text[i] ? strchr(from, text[i]) : NULL;

		if (at)
			sb_fmt(out, "\\%c", to[at - from]);
		else if ((unsigned char)text[i] < 0x20)
			sb_fmt(out, "\\u%04x", (unsigned)text[i]);
		else
			sb_chr(out, text[i]);
	}
	sb_chr(out, '"');
	free(text);
	return rc;
}

static int write_object(struct json v, struct sb *out, int depth)
{
	struct member *m = calloc(MEMBERS_MAX, sizeof *m);
	struct json key, value;
	size_t n = 0;
	int rc = m ? 0 : -1;

	for (struct json_iter it = json_iter(v); !rc && json_next(&it, &key, &value); n++) {
		if (n == MEMBERS_MAX || json_cstr(key, m[n].name, sizeof m[n].name))
			rc = -1;
		else
			m[n].value = value;
		for (const char *c = rc ? "" : m[n].name; *c; c++)
			if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7E || *c == '"' || *c == '\\')
				rc = -1;
	}
	if (!rc)
		qsort(m, n, sizeof *m, by_name);
	sb_chr(out, '{');
	for (size_t i = 0; !rc && i < n; i++) {
		sb_fmt(out, "%s\"%s\":", i ? "," : "", m[i].name);
		rc = write_value(m[i].value, out, depth + 1);
	}
	sb_chr(out, '}');
	free(m);
	return rc;
}

static int write_value(struct json v, struct sb *out, int depth)
{
	struct json item;
	int64_t number;
	int n = 0;

	if (depth > DEPTH_MAX)
		return -1;
	switch (json_kind(v)) {
	case JSON_NULL:
	case JSON_BOOL:
		sb_put(out, v.text.p, v.text.n);
		return 0;
	case JSON_NUMBER:
		if (json_i64(v, &number))
			return -1;
		sb_fmt(out, "%lld", (long long)number);
		return 0;
	case JSON_STRING:
		return write_string(v, out);
	case JSON_ARRAY:
		sb_chr(out, '[');
		for (struct json_iter it = json_iter(v); json_next(&it, NULL, &item); n++) {
			sb_str(out, n ? "," : "");
			if (write_value(item, out, depth + 1))
				return -1;
		}
		sb_chr(out, ']');
		return 0;
	case JSON_OBJECT:
		return write_object(v, out, depth);
	default:
		return -1;
	}
}

int jcs_write(struct json v, struct sb *out)
{
	return write_value(v, out, 0) || out->bad ? -1 : 0;
}
