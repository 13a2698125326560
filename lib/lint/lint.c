#include "lint/lint.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/envname.h"
#include "base/strings.h"
#include "core/codec/json.h"
#include "lint/rules.h"

enum { BUDGET = 1 << 20, SCRIPT_MAX = 1 << 20, SCRIPTS_MAX = 8, NAME_MAX_BYTES = 256 };

void lint_add(struct lint *l, const char *code, const char *where, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < l->n; i++) // an alias or a merge may show one thing twice
		if (!strcmp(l->found[i].code, code) && !strcmp(l->found[i].where, where) &&
		    !strcmp(l->found[i].text, text))
			return;
	if (l->n == LINT_MAX) {
		l->more = true;
		return;
	}
	struct lint_finding f = { code, arena_str(l->a, where), arena_str(l->a, text) };
	if (f.where && f.text)
		l->found[l->n++] = f;
}

static int begin(struct lint *l, struct err *e)
{
	if (!l->a)
		*l = (struct lint){ .a = arena_new(0), .budget = BUDGET };
	return l->a ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
}

static int end(struct lint *l, struct err *e)
{
	if (!l->budget)
		lint_add(l, "lint.unread", "the compose file",
			 "is too tangled to be read whole: what else it does is not known");
	return arena_bad(l->a) ? err_set(e, ERR_SYSTEM, "out of memory") : 0;
}

int lint_compose(struct lint *l, struct span yaml, struct err *e)
{
	struct err why = { 0 };

	if (begin(l, e))
		return -1;
	const struct ynode *root = yaml_read(l->a, yaml, &why);
	if (!root)
		lint_add(l, "lint.unread", "the compose file",
			 "cannot be read, so what it does is not known: %s", why.text);
	else
		rules_compose(l, root);
	return end(l, e);
}

// A JSON string in the arena; NULL when it is none, or too large.
static char *text_of(struct lint *l, struct json v)
{
	size_t n = json_kind(v) == JSON_STRING ? json_string_size(v) : SCRIPT_MAX + 1;
	char *s = n <= SCRIPT_MAX ? arena_alloc(l->a, n + 1) : NULL;

	return s && !json_cstr(v, s, n + 1) ? s : NULL;
}

static void script(struct lint *l, const char *name, struct json v)
{
	const char *text = text_of(l, v);

	if (json_kind(v) == JSON_NULL || json_is(v, ""))
		return;
	lint_add(l, "lint.guest_script", name,
		 "runs in the guest itself, outside any container, and may do anything there");
	if (text)
		rules_code(l, name, text, true);
	else
		lint_add(l, "lint.unread", name, "is no text that can be read");
}

static void scripts(struct lint *l, struct json app)
{
	static const char *const names[] = { "pre_launch_script", "init_script", "bash_script" };
	struct json v, one;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!json_get(app, names[i], &v))
			continue;
		if (json_kind(v) != JSON_ARRAY) {
			script(l, names[i], v);
			continue;
		}
		struct json_iter it = json_iter(v);
		for (size_t k = 0; k < SCRIPTS_MAX && json_next(&it, NULL, &one); k++)
			script(l, names[i], one);
	}
}

// Who may set which variables: the names are measured, the values are not.
static void environment(struct lint *l, struct json app)
{
	struct json list, one, part, signers = { 0 };
	char name[NAME_MAX_BYTES];

	if (!json_get(app, "allowed_envs", &list) || !json_count(list))
		return;
	if (json_get(app, "requirements", &part))
		(void)json_get(part, "env_signers", &signers);
	if (!json_count(signers))
		lint_add(l, "lint.env_unsigned", "allowed_envs",
			 "may be set by whoever has the app's public key, its host included: it names no "
			 "env_signers");
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &one);) {
		enum envname kind = json_cstr(one, name, sizeof name) ? ENVNAME_PLAIN : envname_kind(name);
		if (kind != ENVNAME_PLAIN)
			lint_add(
				l, "lint.env_steers", "allowed_envs", "has %s, which steers %s", STR_QZ(name),
				kind == ENVNAME_GUEST ? "the guest's own programs: a guest of ours refuses it"
						      : "programs: who sets it may decide what runs");
	}
}

int lint_app(struct lint *l, struct span text, struct err *e)
{
	struct json app, v;

	if (begin(l, e))
		return -1;
	if (json_parse(&app, text, NULL) || json_kind(app) != JSON_OBJECT ||
	    (!json_get(app, "runner", &v) && !json_get(app, "docker_compose_file", &v)))
		return lint_compose(l, text, e);
	scripts(l, app);
	environment(l, app);
	bool runs_it = !json_get(app, "runner", &v) || !json_is(v, "bash");
	if (json_get(app, "docker_compose_file", &v) && runs_it) {
		const char *yaml = text_of(l, v);
		if (yaml)
			return lint_compose(l, span_str(yaml), e);
		lint_add(l, "lint.unread", "the compose file", "is no text that can be read");
	}
	return end(l, e);
}

void lint_free(struct lint *l)
{
	arena_free(l->a);
	*l = (struct lint){ 0 };
}

void lint_json(struct sb *b, const struct lint *l)
{
	sb_chr(b, '[');
	for (size_t i = 0; i < l->n; i++) {
		sb_str(b, i ? ",{" : "{");
		sb_json_key(b, "code");
		sb_json_str(b, l->found[i].code);
		sb_json_key(b, "where");
		sb_json_str(b, l->found[i].where);
		sb_json_key(b, "text");
		sb_json_str(b, l->found[i].text);
		sb_chr(b, '}');
	}
	if (l->more)
		sb_str(b, ",{\"code\":\"lint.unread\",\"where\":\"the compose file\",\"text\":\"there is "
			  "more\"}");
	sb_chr(b, ']');
}

void lint_text(struct sb *b, const struct lint *l)
{
	for (size_t i = 0; i < l->n; i++)
		sb_fmt(b, "%s %s [%s]\n", l->found[i].where, l->found[i].text, l->found[i].code);
	if (l->more)
		sb_str(b, "there is more than this list can hold [lint.unread]\n");
}
