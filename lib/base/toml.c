#include "base/toml.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/strings.h"

enum { ARRAYS_MAX = 64, INLINE_MAX = 8 };

struct toml {
	const char *p, *end, *name;
	unsigned line;
	struct arena *a;
	toml_fn *fn;
	void *arg;
	struct err *e;
	char table[TOML_PATH_MAX + 1]; // path of the current table, "" at the top
	struct {                       // array tables seen, with how many
		char *path;
		size_t n;
	} arrays[ARRAYS_MAX];
	size_t n_arrays;
};

__attribute__((format(printf, 2, 3))) static int bad(struct toml *t, const char *fmt, ...)
{
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	return err_code(t->e, ERR_INPUT, "config.syntax", "%s:%u: %s", t->name, t->line, what);
}

static char peek(const struct toml *t)
{
	return t->p < t->end ? *t->p : 0;
}

static bool accept(struct toml *t, char c)
{
	if (peek(t) != c)
		return false;
	t->p++;
	return true;
}

static void blanks(struct toml *t)
{
	while (peek(t) == ' ' || peek(t) == '\t')
		t->p++;
}

static int comment(struct toml *t)
{
	while (t->p < t->end && *t->p != '\n' && !(*t->p == '\r' && t->p + 1 < t->end && t->p[1] == '\n')) {
		if ((unsigned char)*t->p < 0x20 && *t->p != '\t')
			return bad(t, "control character in a comment");
		t->p++;
	}
	return 0;
}

static bool newline(struct toml *t)
{
	if (t->end - t->p >= 2 && t->p[0] == '\r' && t->p[1] == '\n')
		t->p++;
	if (!accept(t, '\n'))
		return false;
	t->line++;
	return true;
}

// Blanks, a comment, then the line's end or the text's.
static int line_end(struct toml *t)
{
	blanks(t);
	if (peek(t) == '#' && comment(t))
		return -1;
	if (t->p == t->end || newline(t))
		return 0;
	return bad(t, "unexpected %s after the value", STR_Q(t->p, 1));
}

// Blanks, comments and line ends, as inside an array.
static int space(struct toml *t)
{
	for (;;) {
		blanks(t);
		if (peek(t) == '#' && comment(t))
			return -1;
		if (!newline(t))
			return 0;
	}
}

static bool bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
	       c == '-';
}

static size_t *array_count(struct toml *t, const char *path)
{
	for (size_t i = 0; i < t->n_arrays; i++)
		if (!strcmp(t->arrays[i].path, path))
			return &t->arrays[i].n;
	return NULL;
}

// Adds `.segment` to the path; behind the name of an array table its latest index, but not at the `last`
// segment of a [[header]].
static int append(struct toml *t, char *path, const char *segment, size_t n, bool index)
{
	size_t at = strlen(path);

	if (at + n + 24 > TOML_PATH_MAX)
		return bad(t, "key is too long");
	snprintf(path + at, TOML_PATH_MAX + 1 - at, "%s%.*s", at ? "." : "", (int)n, segment);
	const size_t *count = index ? array_count(t, path) : NULL;
	if (count) {
		at = strlen(path);
		snprintf(path + at, TOML_PATH_MAX + 1 - at, "[%zu]", *count - 1);
	}
	return 0;
}

// A dotted key of bare segments, appended to `path`.
static int key(struct toml *t, char *path, bool array_header)
{
	for (;;) {
		blanks(t);
		const char *from = t->p;
		while (bare(peek(t)))
			t->p++;
		size_t n = (size_t)(t->p - from);
		if (!n)
			return bad(t, peek(t) == '"' || peek(t) == '\'' ? "quoted keys are not supported"
									: "expected a key");
		blanks(t);
		bool more = peek(t) == '.';
		if (append(t, path, from, n, more || !array_header))
			return -1;
		if (!more)
			return 0;
		t->p++;
	}
}

static int header(struct toml *t)
{
	bool array = accept(t, '[');
	struct toml_value v = { .kind = array ? TOML_ARRAY_TABLE : TOML_TABLE, .line = t->line };

	t->table[0] = 0;
	if (key(t, t->table, array))
		return -1;
	if (!accept(t, ']') || (array && !accept(t, ']')))
		return bad(t, "expected %s after the table's name", array ? "]]" : "]");
	if (array) {
		size_t *count = array_count(t, t->table);
		if (!count) {
			if (t->n_arrays == ARRAYS_MAX)
				return bad(t, "too many arrays of tables");
			t->arrays[t->n_arrays].path = arena_str(t->a, t->table);
			if (!t->arrays[t->n_arrays].path)
				return bad(t, "out of memory");
			t->arrays[t->n_arrays].n = 0;
			count = &t->arrays[t->n_arrays++].n;
		}
		if (*count == TOML_ITEMS_MAX)
			return bad(t, "too many tables in %s", t->table);
		size_t at = strlen(t->table);
		snprintf(t->table + at, sizeof t->table - at, "[%zu]", (*count)++);
	}
	v.path = arena_str(t->a, t->table);
	if (!v.path)
		return bad(t, "out of memory");
	return t->fn(t->arg, &v, t->e) || line_end(t) ? -1 : 0;
}

static int unicode(struct toml *t, char *out, size_t *at, int digits)
{
	uint32_t c = 0;
	uint8_t b[4];
	size_t n;

	if (t->end - t->p < digits || hex_read(b, 4, t->p, (size_t)digits, &n))
		return bad(t, "bad \\u escape");
	for (size_t i = 0; i < n; i++)
		c = c << 8 | b[i];
	t->p += digits;
	if (!c || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return bad(t, "\\u escape is no character");
	if (c < 0x80) {
		out[(*at)++] = (char)c;
		return 0;
	}
	int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	static const uint8_t lead[] = { 0, 0xc0, 0xe0, 0xf0 };
	out[(*at)++] = (char)(lead[more] | c >> (6 * more));
	for (int i = more - 1; i >= 0; i--)
		out[(*at)++] = (char)(0x80 | (c >> (6 * i) & 0x3f));
	return 0;
}

static int escape(struct toml *t, char *out, size_t *at)
{
	static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
	char c = peek(t);

	t->p++;
	if (c == 'u' || c == 'U')
		return unicode(t, out, at, c == 'u' ? 4 : 8);
	const char *hit = c ? strchr(from, c) : NULL;
	if (!hit)
		return bad(t, "unknown escape in a string");
	out[(*at)++] = to[hit - from];
	return 0;
}

static int string(struct toml *t, struct toml_value *v)
{
	char quote = *t->p++;
	size_t most = 0, at = 0;

	if (t->end - t->p >= 2 && t->p[0] == quote && t->p[1] == quote)
		return bad(t, "multi-line strings are not supported");
	while (t->p + most < t->end && t->p[most] != '\n')
		most++;
	char *out = arena_alloc(t->a, most + 1);
	if (!out)
		return bad(t, "out of memory");
	while (peek(t) != quote) {
		unsigned char c = (unsigned char)peek(t);
		if (t->p == t->end || c == '\n')
			return bad(t, "string does not end on its line");
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return bad(t, "control character in a string");
		t->p++;
		if (c != '\\' || quote == '\'')
			out[at++] = (char)c;
		else if (t->p == t->end || escape(t, out, &at))
			return t->p == t->end ? bad(t, "string does not end") : -1;
	}
	t->p++;
	out[at] = 0;
	if (!str_is_utf8(out, at))
		return bad(t, "string is not UTF-8");
	v->kind = TOML_STRING;
	v->s = out;
	return 0;
}

static int integer(struct toml *t, struct toml_value *v)
{
	char digits[24];
	size_t n = 0;
	bool minus = accept(t, '-');
	uint64_t u;

	if (!minus)
		accept(t, '+');
	for (; bare(peek(t)) || peek(t) == '.' || peek(t) == ':' || peek(t) == '+'; t->p++) {
		if (peek(t) == '_' && n && t->p + 1 < t->end && t->p[1] >= '0' && t->p[1] <= '9' &&
		    t->p[-1] != '_')
			continue;
		if (n == sizeof digits - 1)
			return bad(t, "not a 64-bit integer");
		digits[n++] = *t->p;
	}
	if (!str_u64_n(digits, n, &u) || u > (uint64_t)INT64_MAX)
		return bad(t, "expected a string, a decimal integer, true, false or an array");
	v->kind = TOML_INT;
	v->i = minus ? -(int64_t)u : (int64_t)u;
	return 0;
}

static bool word(struct toml *t, const char *w)
{
	size_t n = strlen(w);

	if ((size_t)(t->end - t->p) < n || memcmp(t->p, w, n) || (t->p + n < t->end && bare(t->p[n])))
		return false;
	t->p += n;
	return true;
}

static int scalar(struct toml *t, struct toml_value *v)
{
	v->line = t->line;
	if (peek(t) == '"' || peek(t) == '\'')
		return string(t, v);
	if (word(t, "true") || word(t, "false")) {
		v->kind = TOML_BOOL;
		v->i = t->p[-2] == 'u';
		return 0;
	}
	if (peek(t) == '{')
		return bad(t, "inline tables in arrays are not supported: write [[tables]]");
	return integer(t, v);
}

static int array(struct toml *t, struct toml_value *v)
{
	struct toml_value *items = NULL;
	size_t n = 0, cap = 0;

	t->p++;
	for (;;) {
		if (space(t))
			return -1;
		if (accept(t, ']'))
			break;
		if (n == TOML_ITEMS_MAX)
			return bad(t, "more than %d items", TOML_ITEMS_MAX);
		if (n == cap) {
			cap = cap ? 2 * cap : 8;
			struct toml_value *more = arena_array(t->a, cap, sizeof *more);
			if (!more)
				return bad(t, "out of memory");
			if (n)
				memcpy(more, items, n * sizeof *more);
			items = more;
		}
		if (peek(t) == '[')
			return bad(t, "nested arrays are not supported");
		if (scalar(t, &items[n]))
			return -1;
		if (n && items[n].kind != items[0].kind)
			return bad(t, "items of different kinds");
		n++;
		if (space(t))
			return -1;
		if (!accept(t, ',') && peek(t) != ']')
			return bad(t, "expected , or ] in an array");
	}
	v->kind = TOML_ARRAY;
	v->items = items;
	v->n = n;
	return 0;
}

static int entry(struct toml *t, const char *base, unsigned depth);

// { key = value, ... } on one line: the table, then what is in it.
static int inline_table(struct toml *t, const char *path, unsigned depth)
{
	const struct toml_value v = { .kind = TOML_TABLE, .line = t->line, .path = arena_str(t->a, path) };

	if (depth == INLINE_MAX)
		return bad(t, "more than %d inline tables in each other", INLINE_MAX);
	if (!v.path)
		return bad(t, "out of memory");
	t->p++;
	if (t->fn(t->arg, &v, t->e))
		return -1;
	blanks(t);
	if (accept(t, '}'))
		return 0;
	for (;;) {
		if (entry(t, path, depth + 1))
			return -1;
		blanks(t);
		if (accept(t, '}'))
			return 0;
		if (!accept(t, ','))
			return bad(t, "expected , or } in an inline table");
	}
}

static int entry(struct toml *t, const char *base, unsigned depth)
{
	char path[TOML_PATH_MAX + 1];
	struct toml_value v = { 0 };

	snprintf(path, sizeof path, "%s", base);
	if (key(t, path, false))
		return -1;
	if (!accept(t, '='))
		return bad(t, "expected = after the key");
	blanks(t);
	if (peek(t) == '{')
		return inline_table(t, path, depth);
	unsigned line = t->line;
	if (peek(t) == '[' ? array(t, &v) : scalar(t, &v))
		return -1;
	v.line = line;
	v.path = arena_str(t->a, path);
	if (!v.path)
		return bad(t, "out of memory");
	return t->fn(t->arg, &v, t->e);
}

static int pair(struct toml *t)
{
	return entry(t, t->table, 0) || line_end(t) ? -1 : 0;
}

int toml_parse(const char *text, size_t n, const char *name, struct arena *a, toml_fn *fn, void *arg,
	       struct err *e)
{
	struct toml t = {
		.p = text, .end = text + n, .name = name, .line = 1, .a = a, .fn = fn, .arg = arg, .e = e
	};

	if (n > TOML_TEXT_MAX)
		return bad(&t, "larger than %d bytes", TOML_TEXT_MAX);
	while (t.p < t.end) {
		if (space(&t))
			return -1;
		if (t.p == t.end)
			break;
		if (accept(&t, '[') ? header(&t) : pair(&t))
			return -1;
	}
	return 0;
}
