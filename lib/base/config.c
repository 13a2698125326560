#include "base/config.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/cleanup.h"
#include "base/config_json.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/toml.h"

enum { ENTRIES_MAX = 4096 };

struct config {
	struct arena *a;
	const struct config_key *keys;
	size_t n_keys;
	const char *name;
	struct toml_value *entries; // tables too; paths are unique
	size_t n, cap, n_elsewhere;
};

// "network.forward[3].listen" -> "network.forward[].listen"
static void pattern_of(char out[static TOML_PATH_MAX + 1], const char *path)
{
	size_t at = 0;

	for (const char *p = path; *p && at < TOML_PATH_MAX; p++) {
		out[at++] = *p;
		if (*p == '[')
			p += strspn(p + 1, "0123456789");
	}
	out[at] = 0;
}

static const struct config_key *key_of(const struct config *c, const char *path)
{
	char want[TOML_PATH_MAX + 1];

	pattern_of(want, path);
	const char *dot = strrchr(want, '.');
	size_t head = dot ? (size_t)(dot + 1 - want) : 0;
	const struct config_key *any = NULL;
	for (size_t i = 0; i < c->n_keys; i++) {
		const char *key = c->keys[i].key;
		if (!strcmp(key, want))
			return &c->keys[i];
		if (head && !strncmp(key, want, head) && !strcmp(key + head, "*"))
			any = &c->keys[i];
	}
	return any;
}

// Whether `path` is a table that some key lies in. "network.forward" and "network.forward[0]" differ.
static bool is_table(const struct config *c, const char *path)
{
	char want[TOML_PATH_MAX + 1];

	pattern_of(want, path);
	size_t n = strlen(want);
	for (size_t i = 0; i < c->n_keys; i++)
		if (!strncmp(c->keys[i].key, want, n) && c->keys[i].key[n] == '.')
			return true;
	return false;
}

static const struct toml_value *find(const struct config *c, const char *path)
{
	for (size_t i = 0; i < c->n; i++)
		if (!strcmp(c->entries[i].path, path))
			return &c->entries[i];
	return NULL;
}

static const char *const type_names[] = { "a string", "an integer", "true or false", "an array of strings",
					  "a size such as \"10MiB\"" };

static bool read_size(const char *text, uint64_t *out)
{
	static const struct {
		const char *unit;
		uint64_t bytes;
	} units[] = { { "", 1 },
		      { "B", 1 },
		      { "KB", 1000 },
		      { "MB", 1000000 },
		      { "GB", 1000000000 },
		      { "KiB", 1ull << 10 },
		      { "MiB", 1ull << 20 },
		      { "GiB", 1ull << 30 } };
	size_t digits = strspn(text, "0123456789");
	const char *unit = text + digits + strspn(text + digits, " ");
	uint64_t n;

	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (!strcasecmp(unit, units[i].unit))
			return str_u64_n(text, digits, &n) && !__builtin_mul_overflow(n, units[i].bytes, out);
	return false;
}

static bool size_of(const struct toml_value *v, uint64_t *out)
{
	if (v->kind == TOML_INT && v->i >= 0) {
		*out = (uint64_t)v->i;
		return true;
	}
	return v->kind == TOML_STRING && read_size(v->s, out);
}

static int check_type(const struct config *c, const struct config_key *k, const struct toml_value *v,
		      struct err *e)
{
	static const enum toml_kind want[] = { TOML_STRING, TOML_INT, TOML_BOOL, TOML_ARRAY };
	uint64_t size;
	bool right = k->type == CONFIG_SIZE ? size_of(v, &size) : v->kind == want[k->type];

	if (k->type == CONFIG_STRINGS && right && v->n)
		right = v->items[0].kind == TOML_STRING;
	if (!right)
		return err_code(e, ERR_INPUT, "config.type", "%s:%u: %s must be %s", c->name, v->line,
				v->path, type_names[k->type]);
	if (k->type == CONFIG_INT && k->max && (v->i < k->min || v->i > k->max))
		return err_code(e, ERR_INPUT, "config.range", "%s:%u: %s must be %lld to %lld", c->name,
				v->line, v->path, (long long)k->min, (long long)k->max);
	return 0;
}

static int add(void *arg, const struct toml_value *v, struct err *e)
{
	struct config *c = arg;

	if (v->kind == TOML_TABLE || v->kind == TOML_ARRAY_TABLE) {
		if (!is_table(c, v->path))
			return err_code(e, ERR_INPUT, "config.unknown_key", "%s:%u: unknown table [%s]",
					c->name, v->line, v->path);
	} else {
		const struct config_key *k = key_of(c, v->path);
		if (!k)
			return err_code(e, ERR_INPUT, "config.unknown_key", "%s:%u: unknown key %s", c->name,
					v->line, v->path);
		if (k->type == CONFIG_ELSEWHERE) {
			log_error("config", "%s:%u: %s: here: %s", c->name, v->line, v->path, k->doc);
			c->n_elsewhere++;
			return 0;
		}
		if (check_type(c, k, v, e))
			return -1;
	}
	const struct toml_value *was = find(c, v->path);
	if (was)
		return err_code(e, ERR_INPUT, "config.duplicate", "%s:%u: %s is already defined in line %u",
				c->name, v->line, v->path, was->line);
	if (c->n == ENTRIES_MAX)
		return err_code(e, ERR_INPUT, "config.syntax", "%s:%u: more than %d keys", c->name, v->line,
				ENTRIES_MAX);
	if (c->n == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 32;
		struct toml_value *more = arena_array(c->a, c->cap, sizeof *more);
		if (!more)
			return err_set(e, ERR_SYSTEM, "read %s: out of memory", c->name);
		if (c->n)
			memcpy(more, c->entries, c->n * sizeof *more);
		c->entries = more;
	}
	c->entries[c->n++] = *v;
	return 0;
}

static int missing(const struct config *c, const char *path, unsigned line, struct err *e)
{
	if (find(c, path))
		return 0;
	return err_code(e, ERR_INPUT, "config.missing", "%s:%u: %s is required", c->name, line, path);
}

// Told all at once, each in the log.
static int check_elsewhere(const struct config *c, struct err *e)
{
	if (!c->n_elsewhere)
		return 0;
	return err_code(e, ERR_INPUT, "config.unknown_key",
			"%s: %zu keys are named otherwise here, as said above", c->name, c->n_elsewhere);
}

static int check_required(const struct config *c, struct err *e)
{
	for (size_t i = 0; i < c->n_keys; i++) {
		const char *key = c->keys[i].key, *in = NULL;
		if (!c->keys[i].required)
			continue;
		for (const char *p = key; (p = strstr(p, "[]")); p += 2)
			in = p;
		if (!in) {
			if (missing(c, key, 1, e))
				return -1;
			continue;
		}
		for (size_t j = 0; j < c->n; j++) { // in each table of its array
			const struct toml_value *v = &c->entries[j];
			char pattern[TOML_PATH_MAX + 1], path[2 * TOML_PATH_MAX];
			pattern_of(pattern, v->path);
			size_t n = (size_t)(in + 2 - key);
			if (v->kind != TOML_ARRAY_TABLE || strlen(pattern) != n || strncmp(pattern, key, n))
				continue;
			snprintf(path, sizeof path, "%s%s", v->path, in + 2);
			if (missing(c, path, v->line, e))
				return -1;
		}
	}
	return 0;
}

struct config *config_parse(const char *text, size_t n, const char *name, const struct config_key *keys,
			    size_t n_keys, struct err *e)
{
	struct arena *a = arena_new(0);
	struct config *c = a ? arena_alloc(a, sizeof *c) : NULL;

	if (!c) {
		arena_free(a);
		err_set(e, ERR_SYSTEM, "read %s: out of memory", name);
		return NULL;
	}
	*c = (struct config){ .a = a, .keys = keys, .n_keys = n_keys, .name = arena_str(a, name) };
	if (!c->name) {
		err_set(e, ERR_SYSTEM, "read %s: out of memory", name);
		config_free(c);
		return NULL;
	}
	int (*parse)(const char *, size_t, const char *, struct arena *, toml_fn *, void *, struct err *) =
		str_ends(name, ".json") ? config_json : toml_parse;
	if (parse(text, n, c->name, a, add, c, e) || check_elsewhere(c, e) || check_required(c, e)) {
		config_free(c);
		return NULL;
	}
	return c;
}

struct config *config_read(const char *path, const struct config_key *keys, size_t n_keys, struct err *e)
{
	auto_free char *text = NULL;
	size_t n;

	if (file_read(path, TOML_TEXT_MAX, &text, &n, e))
		return NULL;
	return config_parse(text, n, path, keys, n_keys, e);
}

static bool read_value(struct toml_value *v, const struct config_key *k, const char *text)
{
	uint64_t n = 0;
	bool minus = *text == '-';

	switch (k->type) {
	case CONFIG_STRING:
	case CONFIG_SIZE:
		v->kind = TOML_STRING;
		v->s = text;
		return k->type == CONFIG_SIZE ? read_size(text, &n) : str_is_utf8(text, strlen(text));
	case CONFIG_INT:
		v->kind = TOML_INT;
		if (!str_u64(text + minus, &n) || n > INT64_MAX)
			return false;
		v->i = minus ? -(int64_t)n : (int64_t)n;
		return true;
	case CONFIG_BOOL:
		v->kind = TOML_BOOL;
		v->i = !strcmp(text, "true");
		return v->i || !strcmp(text, "false");
	case CONFIG_STRINGS:
	case CONFIG_ELSEWHERE:
		break;
	}
	return false;
}

int config_override(struct config *c, const char *name, const char *path, const char *text, struct err *e)
{
	const struct config_key *k = key_of(c, path);
	struct toml_value v = { .path = arena_str(c->a, path) };
	const char *copy = arena_str(c->a, text);

	if (!v.path || !copy)
		return err_set(e, ERR_SYSTEM, "read %s: out of memory", name);
	if (!k)
		return err_code(e, ERR_INPUT, "config.unknown_key", "%s: unknown key %s", name, path);
	if (!read_value(&v, k, copy))
		return err_code(e, ERR_INPUT, "config.type", "%s: %s must be %s", name, path,
				type_names[k->type]);
	if (k->type == CONFIG_INT && k->max && (v.i < k->min || v.i > k->max))
		return err_code(e, ERR_INPUT, "config.range", "%s: %s must be %lld to %lld", name, path,
				(long long)k->min, (long long)k->max);
	for (size_t i = 0; i < c->n; i++)
		if (!strcmp(c->entries[i].path, path)) {
			c->entries[i] = v;
			return 0;
		}
	return add(c, &v, e);
}

void config_free(struct config *c)
{
	if (c)
		arena_free(c->a); // holds c itself
}

// The accessors: what the file says about the path, and the key that the path belongs to.
__attribute__((format(printf, 4, 0))) static const struct toml_value *look(const struct config *c,
									   enum config_type type,
									   const struct config_key **k,
									   const char *fmt, va_list ap)
{
	char path[TOML_PATH_MAX + 1];

	vsnprintf(path, sizeof path, fmt, ap);
	*k = key_of(c, path);
	assert(*k && (*k)->type == type);
	return find(c, path);
}

#define LOOK(type)                                                                                           \
	const struct config_key *k;                                                                          \
	va_list ap;                                                                                          \
	va_start(ap, path);                                                                                  \
	const struct toml_value *v = look(c, type, &k, path, ap);                                            \
	va_end(ap)

const char *config_str(const struct config *c, const char *path, ...)
{
	LOOK(CONFIG_STRING);
	return v ? v->s : k->def ? k->def : "";
}

int64_t config_int(const struct config *c, const char *path, ...)
{
	LOOK(CONFIG_INT);
	return v ? v->i : k->def ? strtoll(k->def, NULL, 10) : 0;
}

uint64_t config_size(const struct config *c, const char *path, ...)
{
	uint64_t n = 0;

	LOOK(CONFIG_SIZE);
	bool good = v ? size_of(v, &n) : !k->def || read_size(k->def, &n);
	return good ? n : 0;
}

const char *config_name(const struct config *c, const char *table, size_t *i)
{
	size_t n = strlen(table);

	while (*i < c->n) {
		const struct toml_value *v = &c->entries[(*i)++];
		if (v->kind != TOML_TABLE && !strncmp(v->path, table, n) && v->path[n] == '.' &&
		    !strchr(v->path + n + 1, '.'))
			return v->path + n + 1;
	}
	return NULL;
}

bool config_bool(const struct config *c, const char *path, ...)
{
	LOOK(CONFIG_BOOL);
	return v ? v->i : k->def && !strcmp(k->def, "true");
}

const char *config_item(const struct config *c, size_t i, const char *path, ...)
{
	LOOK(CONFIG_STRINGS);
	(void)k;
	return v && i < v->n ? v->items[i].s : NULL;
}

bool config_has(const struct config *c, const char *path, ...)
{
	char want[TOML_PATH_MAX + 1];
	va_list ap;

	va_start(ap, path);
	vsnprintf(want, sizeof want, path, ap);
	va_end(ap);
	return find(c, want);
}

size_t config_count(const struct config *c, const char *path, ...)
{
	char want[TOML_PATH_MAX + 1];
	va_list ap;

	va_start(ap, path);
	vsnprintf(want, sizeof want, path, ap);
	va_end(ap);
	const struct toml_value *v = find(c, want);
	if (v && v->kind == TOML_ARRAY)
		return v->n;
	size_t n = strlen(want), count = 0;
	for (size_t i = 0; i < c->n; i++) { // "want[3]": tables of an array, and not of an array inside one
		const char *p = c->entries[i].path;
		if (c->entries[i].kind == TOML_ARRAY_TABLE && !strncmp(p, want, n) && p[n] == '[' &&
		    strcspn(p + n, "]") + 1 == strlen(p + n))
			count++;
	}
	return count;
}
