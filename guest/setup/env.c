#include "env.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/seal.h"

// LINE_MAX_BYTES: the kernel takes no longer NAME=VALUE with its NUL in a process's environment.
enum { ITEMS_MAX = 1024, NAME_MAX_BYTES = 255, LINE_MAX_BYTES = 128 * 1024, TOTAL_MAX = 1024 * 1024 };

struct item {
	const char *name, *value;
};

static bool name_is_fine(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n <= NAME_MAX_BYTES && !(s[0] >= '0' && s[0] <= '9') &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

static bool is_allowed(const struct texts *allowed, const char *name)
{
	for (size_t i = 0; i < allowed->n; i++)
		if (!strcmp(allowed->v[i], name))
			return true;
	return false;
}

// A name that comes again replaces what was before.
static void keep(struct item *items, size_t *n, struct item it)
{
	for (size_t i = 0; i < *n; i++)
		if (!strcmp(items[i].name, it.name)) {
			items[i] = it;
			return;
		}
	items[(*n)++] = it;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

// Spec 10 section 11: quoted when a shell would take a part of it for itself. Ours: a backslash is escaped,
// too, or one at the end would take the closing quote and with it the next variable; carriage returns quote.
static void put_line(struct sb *b, const struct item *it)
{
	bool quote = strpbrk(it->value, " \t\n\r|&;<>()$`\\\"'") != NULL;

	sb_str(b, it->name);
	sb_str(b, quote ? "=\"" : "=");
	for (const char *c = it->value; *c; c++) {
		if (*c == '\n') {
			sb_str(b, "\\n");
			continue;
		}
		if (quote && (*c == '"' || *c == '$' || *c == '`' || *c == '\\'))
			sb_chr(b, '\\');
		sb_chr(b, *c);
	}
	sb_str(b, quote ? "\"\n" : "\n");
}

static void render(const struct item *items, size_t n, struct env_files *out)
{
	sb_str(&out->json, "{");
	for (size_t i = 0; i < n; i++) {
		put_line(&out->text, &items[i]);
		sb_json_key(&out->json, items[i].name);
		sb_json_str(&out->json, items[i].value);
	}
	sb_str(&out->json, "}");
	out->n = n;
}

static int read_items(struct json list, const struct texts *allowed, struct arena *a, struct item *items,
		      struct env_files *out, size_t *n, struct err *e)
{
	struct json one, key, value;
	size_t total = 0;

	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &one);) {
		struct item got = { 0 };

		if (!json_get(one, "key", &key) || !json_get(one, "value", &value) ||
		    json_kind(key) != JSON_STRING || json_kind(value) != JSON_STRING)
			return err_code(e, ERR_INPUT, "env.json", "environment: an item lacks key or value");
		got.name = json_text_dup(key, a);
		got.value = json_text_dup(value, a);
		if (!got.name || !got.value)
			return arena_bad(a) ? err_set(e, ERR_SYSTEM, "out of memory")
					    : err_code(e, ERR_INPUT, "env.value",
						       "environment: a NUL, which no variable can have");
		if (!is_allowed(allowed, got.name)) {
			out->skipped++;
			continue;
		}
		if (!name_is_fine(got.name))
			return err_code(e, ERR_INPUT, "env.name",
					"environment: an allowed name is not a proper one");
		size_t len = strlen(got.name) + strlen(got.value);
		total += len;
		if (len + 2 > LINE_MAX_BYTES || total > TOTAL_MAX)
			return err_code(e, ERR_INPUT, "env.too_large", "environment: values are too large");
		keep(items, n, got);
	}
	return 0;
}

int env_render(struct span plain, const struct texts *allowed, struct arena *a, struct env_files *out,
	       struct err *e)
{
	struct json doc, list;
	size_t n = 0;

	*out = (struct env_files){ 0 };
	if (json_parse(&doc, plain, NULL) || !json_get(doc, "env", &list) || json_kind(list) != JSON_ARRAY)
		return err_code(e, ERR_INPUT, "env.json", "environment: not {\"env\":[...]}");
	if (json_count(list) > ITEMS_MAX)
		return err_code(e, ERR_INPUT, "env.too_large", "environment: more than %d items", ITEMS_MAX);
	struct item *items = arena_array(a, json_count(list) + 1, sizeof *items);
	if (!items)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (read_items(list, allowed, a, items, out, &n, e))
		return -1;
	qsort(items, n, sizeof *items, by_name);
	render(items, n, out);
	if (!out->text.bad && !out->json.bad)
		return 0;
	env_free(out);
	return err_set(e, ERR_SYSTEM, "out of memory");
}

void env_free(struct env_files *f)
{
	sb_free(&f->text);
	sb_free(&f->json);
	*f = (struct env_files){ 0 };
}

int env_open(struct span key, struct span box, const struct texts *allowed, struct arena *a,
	     struct env_files *out, struct err *e)
{
	*out = (struct env_files){ 0 };
	if (!box.p) {
		render(NULL, 0, out);
		return 0;
	}
	if (key.n != SEAL_KEY)
		return err_code(e, ERR_DENIED, "env.no_key",
				"environment: there is one, but the key provider gave no key for it");
	if (box.n < SEAL_OVERHEAD || box.n > SEAL_MAX)
		return err_code(e, ERR_INPUT, "env.truncated", "environment: sealed box of %zu bytes", box.n);
	size_t n = box.n - SEAL_OVERHEAD;
	uint8_t *plain = malloc(n + 1);
	if (!plain)
		return err_set(e, ERR_SYSTEM, "out of memory");
	int rc = seal_decrypt(key.p, box, plain, e)
			 ? err_code(e, ERR_INPUT, "env.decrypt", "environment: not sealed to this app's key")
			 : env_render(span_of(plain, n), allowed, a, out, e);
	OPENSSL_cleanse(plain, n);
	free(plain);
	return rc;
}
