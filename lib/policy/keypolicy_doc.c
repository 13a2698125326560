#include "policy/keypolicy_doc.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "core/codec/json.h"

AUTO_DEFINE(struct keypolicy *, keypolicy_free)

static int bad(struct err *e, const char *what)
{
	return err_code(e, ERR_INPUT, "keypolicy.syntax", "document of epochs and revocations: %s", what);
}

static int room(void **p, size_t n, size_t *cap, size_t max, size_t size, struct err *e)
{
	if (n >= max)
		return err_code(e, ERR_INPUT, "keypolicy.full", "at most %zu apps or revocations", max);
	if (n < *cap)
		return 0;
	size_t want = *cap ? 2 * *cap : 8;
	void *q = realloc(*p, want * size);
	if (!q)
		return err_set(e, ERR_SYSTEM, "out of memory");
	*p = q;
	*cap = want;
	return 0;
}

struct app_rule *keypolicy_add_app(struct keypolicy *p, const struct app_rule *r, struct err *e)
{
	void *q = p->apps;

	if (room(&q, p->n_apps, &p->apps_cap, KEYPOLICY_APPS_MAX, sizeof *r, e))
		return NULL;
	p->apps = q;
	p->apps[p->n_apps] = *r;
	return &p->apps[p->n_apps++];
}

int keypolicy_add_revoked(struct keypolicy *p, const struct revocation *r, struct err *e)
{
	void *q = p->revoked;

	if (room(&q, p->n_revoked, &p->revoked_cap, KEYPOLICY_REVOKED_MAX, sizeof *r, e))
		return -1;
	p->revoked = q;
	p->revoked[p->n_revoked++] = *r;
	return 0;
}

// ---- writing

static void put_rule(struct sb *b, const struct keypolicy_rule *r)
{
	sb_fmt(b, "\"current\":%llu,\"min\":%llu,\"legacy\":%llu,\"ends\":[", (unsigned long long)r->current,
	       (unsigned long long)r->min, (unsigned long long)r->legacy);
	for (size_t i = 0; i < r->n_ends; i++)
		sb_fmt(b, "%s{\"epoch\":%llu,\"at\":%llu}", i ? "," : "", (unsigned long long)r->end[i].epoch,
		       (unsigned long long)r->end[i].at);
	sb_chr(b, ']');
	for (size_t i = 0; i < r->n_roots; i++)
		sb_fmt(b, "%s{\"epoch\":%llu,\"root\":%u}", i ? "," : ",\"roots\":[",
		       (unsigned long long)r->root[i].epoch, r->root[i].root);
	sb_str(b, r->n_roots ? "]" : "");
	sb_str(b, r->learned ? ",\"learned\":true}" : "}");
}

void keypolicy_write(struct sb *b, const struct keypolicy *p)
{
	sb_fmt(b, "{\"version\":%llu,\n\"default\":{", (unsigned long long)p->version);
	put_rule(b, &p->common);
	sb_str(b, ",\n\"apps\":[");
	for (size_t i = 0; i < p->n_apps; i++) {
		sb_str(b, i ? ",\n{\"app_id\":\"" : "\n{\"app_id\":\"");
		sb_hex(b, p->apps[i].app, 20);
		sb_str(b, "\",");
		put_rule(b, &p->apps[i].rule);
	}
	sb_str(b, "],\n\"revoked\":[");
	for (size_t i = 0; i < p->n_revoked; i++) {
		const struct revocation *r = &p->revoked[i];
		sb_fmt(b, "%s\n{\"kind\":\"%s\",\"value\":\"", i ? "," : "", keypolicy_kind_name(r->kind));
		sb_hex(b, r->value, keypolicy_value_size(r->kind));
		sb_fmt(b, "\",\"at\":%llu,\"reason\":", (unsigned long long)r->at);
		sb_json_str(b, r->reason);
		sb_chr(b, '}');
	}
	sb_str(b, "]}\n");
}

// ---- reading: all members, no other; `roots` of a rule only when it has some, `learned` when it is

static bool members(struct json v, const char *const *name, struct json *out, size_t n)
{
	return json_kind(v) == JSON_OBJECT && json_count(v) == n && json_pick(v, name, out, n) == n;
}

static bool rule_members(struct json v, const char *const *name, struct json *out, size_t n)
{
	struct json one;
	size_t more =
		json_kind(v) == JSON_OBJECT ? json_get(v, "roots", &one) + json_get(v, "learned", &one) : 0;

	return json_kind(v) == JSON_OBJECT && json_count(v) == n + more && json_pick(v, name, out, n) == n;
}

static int read_ends(struct json list, struct keypolicy_rule *r, struct err *e)
{
	static const char *const name[] = { "epoch", "at" };
	struct json one, v[2];

	if (json_kind(list) != JSON_ARRAY)
		return bad(e, "ends is no array");
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &one); r->n_ends++) {
		struct keypolicy_end *end = &r->end[r->n_ends];
		if (r->n_ends == KEYPOLICY_ENDS_MAX || !members(one, name, v, 2) ||
		    json_u64(v[0], UINT64_MAX, &end->epoch) || json_u64(v[1], UINT64_MAX, &end->at) ||
		    !end->at || (end->epoch >= r->current && !r->learned))
			return bad(e, "an end is malformed, one too many, or of the current epoch");
		for (size_t i = 0; i < r->n_ends; i++)
			if (r->end[i].epoch == end->epoch)
				return bad(e, "an epoch has two ends");
	}
	return 0;
}

static int read_roots(struct json rule, struct keypolicy_rule *r, struct err *e)
{
	static const char *const name[] = { "epoch", "root" };
	struct json list, one, v[2];
	uint64_t root;

	if (!json_get(rule, "roots", &list))
		return 0;
	if (json_kind(list) != JSON_ARRAY || !json_count(list))
		return bad(e, "roots is no array, or an empty one");
	for (struct json_iter it = json_iter(list); json_next(&it, NULL, &one); r->n_roots++) {
		struct keypolicy_from *f = &r->root[r->n_roots];
		const struct keypolicy_from *was = r->n_roots ? f - 1 : &(struct keypolicy_from){ 0 };
		if (r->n_roots == KEYPOLICY_ROOTS_MAX || !members(one, name, v, 2) ||
		    json_u64(v[0], UINT64_MAX, &f->epoch) || json_u64(v[1], KEYPOLICY_ROOTS_MAX - 1, &root) ||
		    f->epoch <= was->epoch || root <= was->root || (f->epoch > r->current && !r->learned))
			return bad(e, "a root set of an epoch is malformed, out of order or one too many");
		f->root = (uint32_t)root;
	}
	return 0;
}

static int read_rule(struct json rule, const struct json v[static 4], struct keypolicy_rule *r, struct err *e)
{
	struct json learned;

	if (json_u64(v[0], UINT64_MAX, &r->current) || json_u64(v[1], UINT64_MAX, &r->min) ||
	    json_u64(v[2], UINT64_MAX, &r->legacy))
		return bad(e, "current, min or legacy is no number");
	if (r->min > r->current || r->legacy > r->current)
		return bad(e, "min or legacy is beyond current");
	if (json_get(rule, "learned", &learned) && (json_bool(learned, &r->learned) || !r->learned))
		return bad(e, "learned is not true");
	return read_ends(v[3], r, e) || read_roots(rule, r, e) ? -1 : 0;
}

static int read_app(struct keypolicy *p, struct json one, struct err *e)
{
	static const char *const name[] = { "current", "min", "legacy", "ends", "app_id" };
	struct app_rule r = { 0 };
	struct json v[5];

	if (!rule_members(one, name, v, 5) || json_hex(v[4], r.app, sizeof r.app))
		return bad(e, "an app's rule is malformed");
	for (size_t i = 0; i < p->n_apps; i++)
		if (!memcmp(p->apps[i].app, r.app, sizeof r.app))
			return bad(e, "an app has two rules");
	return read_rule(one, v, &r.rule, e) || !keypolicy_add_app(p, &r, e) ? -1 : 0;
}

static int read_revoked(struct keypolicy *p, struct json one, struct err *e)
{
	static const char *const name[] = { "kind", "value", "at", "reason" };
	struct revocation r = { 0 };
	struct json v[4];
	char kind[16];

	if (!members(one, name, v, 4) || json_cstr(v[0], kind, sizeof kind) ||
	    !keypolicy_kind_read(kind, &r.kind) || json_hex(v[1], r.value, keypolicy_value_size(r.kind)) ||
	    json_u64(v[2], UINT64_MAX, &r.at) || !r.at || json_cstr(v[3], r.reason, sizeof r.reason))
		return bad(e, "a revocation is malformed");
	return keypolicy_add_revoked(p, &r, e);
}

static int read_all(struct keypolicy *p, struct span text, struct err *e)
{
	static const char *const name[] = { "version", "default", "apps", "revoked" };
	static const char *const rule[] = { "current", "min", "legacy", "ends" };
	struct json all, v[4], r[4], one;
	struct json_fault f;

	if (json_parse(&all, text, &f))
		return bad(e, f.what);
	if (!members(all, name, v, 4) || json_u64(v[0], UINT64_MAX - 1, &p->version) ||
	    !rule_members(v[1], rule, r, 4) || json_kind(v[2]) != JSON_ARRAY || json_kind(v[3]) != JSON_ARRAY)
		return bad(e, "must be {\"version\",\"default\",\"apps\",\"revoked\"}");
	if (read_rule(v[1], r, &p->common, e))
		return -1;
	if (p->common.learned)
		return bad(e, "the default is not learned");
	for (struct json_iter it = json_iter(v[2]); json_next(&it, NULL, &one);)
		if (read_app(p, one, e))
			return -1;
	for (struct json_iter it = json_iter(v[3]); json_next(&it, NULL, &one);)
		if (read_revoked(p, one, e))
			return -1;
	return 0;
}

struct keypolicy *keypolicy_parse(struct span text, struct err *e)
{
	AUTO(keypolicy_free_auto) struct keypolicy *p = keypolicy_new();

	if (!p) {
		err_set(e, ERR_SYSTEM, "out of memory");
		return NULL;
	}
	return read_all(p, text, e) ? NULL : TAKE(p);
}

// ---- the file

int keypolicy_load(const char *path, struct keypolicy **out, struct err *e)
{
	auto_free char *text = NULL;
	size_t n;

	if (file_read(path, KEYPOLICY_TEXT_MAX, &text, &n, e)) {
		if (e->class != ERR_ABSENT)
			return err_wrap(e, "%s", path);
		*out = keypolicy_new();
		return *out ? 0 : err_set(e, ERR_SYSTEM, "out of memory");
	}
	*out = keypolicy_parse(span_of(text, n), e);
	return *out ? 0 : err_wrap(e, "%s", path);
}

int keypolicy_edit(const char *path, int (*change)(struct keypolicy *p, void *arg, struct err *e), void *arg,
		   struct keypolicy **out, struct err *e)
{
	AUTO(keypolicy_free_auto) struct keypolicy *p = NULL;
	auto_free char *lock = str_format("%s.lock", path);
	auto_close int fd = lock ? open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
	auto_sb b = { 0 };

	if (fd < 0 || flock(fd, LOCK_EX))
		return err_errno(e, "lock %s", path);
	if (keypolicy_load(path, &p, e) || change(p, arg, e))
		return -1;
	keypolicy_write(&b, p);
	if (b.bad || file_write(path, 0600, b.p, b.n, e))
		return b.bad ? err_set(e, ERR_SYSTEM, "out of memory") : -1;
	if (out)
		*out = TAKE(p);
	return 0;
}
