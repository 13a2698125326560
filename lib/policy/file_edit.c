#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sb.h"
#include "base/strings.h"
#include "policy/rules.h"

enum { FILE_MAX = 4 << 20, APP = 20, HASH = 32 };

// One line of the text, without its newline.
struct line {
	const char *p;
	size_t n;
};

static bool next_line(const char **at, struct line *out)
{
	if (!**at)
		return false;
	const char *end = strchr(*at, '\n');
	*out = (struct line){ *at, end ? (size_t)(end - *at) : strlen(*at) };
	*at += out->n + (end ? 1 : 0);
	return true;
}

static const char *skip_blank(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p;
}

// The value of `key = ...` on this line, NULL if it is another line.
static const char *value_of(struct line l, const char *key)
{
	const char *end = l.p + l.n, *p = skip_blank(l.p, end);
	size_t n = strlen(key);

	if ((size_t)(end - p) < n || memcmp(p, key, n))
		return NULL;
	p = skip_blank(p + n, end);
	return p < end && *p == '=' ? skip_blank(p + 1, end) : NULL;
}

static bool is_header(struct line l, const char *header)
{
	const char *end = l.p + l.n, *p = skip_blank(l.p, end);
	size_t n = strlen(header);

	return (size_t)(end - p) >= n && !memcmp(p, header, n);
}

static bool names_app(const char *value, const char *end, const uint8_t id[static APP])
{
	char text[64];
	uint8_t got[APP];
	const char *close = value + 1 < end ? memchr(value + 1, *value, (size_t)(end - value - 1)) : NULL;

	if ((*value != '"' && *value != '\'') || !close || (size_t)(close - value) > sizeof text)
		return false;
	memcpy(text, value + 1, (size_t)(close - value - 1));
	text[close - value - 1] = 0;
	return !policy_hex(text, got, APP) && !memcmp(got, id, APP);
}

// Where a new item of `key`'s array goes (just behind '['), in the [[app]] table of `id`, or before the first
// table when `id` is NULL. NULL: no such array.
static const char *array_of(const char *text, const char *key, const uint8_t *id)
{
	const char *at = text, *found = NULL, *v;
	bool in_app = false, right_app = !id;
	struct line l;

	while (next_line(&at, &l)) {
		const char *end = l.p + l.n;
		if (is_header(l, "[")) {
			if (right_app && found)
				return found;
			in_app = is_header(l, "[[app]]");
			right_app = false;
			found = NULL;
		}
		if (id && in_app && (v = value_of(l, "id")) && v < end && names_app(v, end, id))
			right_app = true;
		if (((id && in_app) || (!id && right_app)) && (v = value_of(l, key)) && v < end && *v == '[')
			found = v + 1;
	}
	return right_app ? found : NULL;
}

// The same in the [kms] table.
static const char *kms_array(const char *text, bool *has_table)
{
	const char *at = text, *v;
	bool in_kms = false;
	struct line l;

	*has_table = false;
	while (next_line(&at, &l)) {
		if (is_header(l, "["))
			in_kms = is_header(l, "[kms]");
		*has_table |= in_kms;
		if (in_kms && (v = value_of(l, "mr_aggregated")) && v < l.p + l.n && *v == '[')
			return v + 1;
	}
	return NULL;
}

static void insert(struct sb *out, const char *text, const char *at, const char *item)
{
	const char *rest = at;

	while (*rest == ' ' || *rest == '\t' || *rest == '\n' || *rest == '\r')
		rest++;
	sb_put(out, text, (size_t)(at - text));
	sb_fmt(out, "\"%s\"%s", item, *rest == ']' ? "" : ", ");
	sb_str(out, at);
}

// Behind the array that is open at `p`: strings and comments may hold brackets.
static const char *array_end(const char *p)
{
	for (; *p && *p != ']'; p++) {
		if (*p == '#') {
			p += strcspn(p, "\n");
		} else if (*p == '"' || *p == '\'') {
			const char *close = strchr(p + 1, *p);
			p = close ? close : p + strlen(p) - 1;
		}
		if (!*p)
			break;
	}
	return p;
}

static int add_compose(struct sb *out, const char *text, const struct policy_rules *r, const uint8_t *app,
		       const char *compose, bool only, struct err *e)
{
	const char *at = array_of(text, "compose_hashes", app);
	size_t n = strlen(text);

	if (at && only) {
		sb_put(out, text, (size_t)(at - text));
		sb_fmt(out, "\"%s\"%s", compose, array_end(at));
		return 0;
	}
	if (at) {
		insert(out, text, at, compose);
		return 0;
	}
	if (policy_rules_has_app(r, app))
		return err_set(e, ERR_INPUT, "app %s has no compose_hashes array to write to",
			       STR_HEX(app, APP));
	sb_fmt(out, "%s%s\n[[app]]\nid = \"%s\"\ncompose_hashes = [\"%s\"]\nallow_any_device = true\n", text,
	       n && text[n - 1] != '\n' ? "\n" : "", STR_HEX(app, APP), compose);
	return 0;
}

// `suspended = ...` in the [[app]] table of `id`: its line is replaced, or put behind the one with the id.
static int set_suspended(struct sb *out, const char *text, const uint8_t *id, bool suspended, struct err *e)
{
	const char *at = text, *from = NULL, *to = NULL, *v;
	bool in_app = false, right = false;
	struct line l, header = { 0 };

	while (next_line(&at, &l)) {
		const char *end = l.p + l.n;
		if (is_header(l, "[")) {
			if (right)
				break;
			in_app = is_header(l, "[[app]]");
			header = l;
			from = NULL;
		} else if (in_app && (v = value_of(l, "id")) && v < end && names_app(v, end, id)) {
			right = true;
		} else if (in_app && value_of(l, "suspended")) {
			from = l.p;
			to = at;
		}
	}
	if (!right)
		return err_set(e, ERR_ABSENT, "no app %s", STR_HEX(id, APP));
	if (!from)
		from = to = header.p + header.n + (header.p[header.n] == '\n');
	sb_put(out, text, (size_t)(from - text));
	sb_fmt(out, "suspended = %s\n%s", suspended ? "true" : "false", to);
	return 0;
}

static void add_image(struct sb *out, const char *text, const char *image)
{
	const char *at = array_of(text, "os_images", NULL);

	if (at)
		insert(out, text, at, image);
	else // before all tables
		sb_fmt(out, "os_images = [\"%s\"]\n%s", image, text);
}

static int add_kms(struct sb *out, const char *text, const char *mr, struct err *e)
{
	size_t n = strlen(text);
	bool has_table;
	const char *at = kms_array(text, &has_table);

	if (at)
		insert(out, text, at, mr);
	else if (has_table)
		return err_set(e, ERR_INPUT, "[kms] has no mr_aggregated array to write to");
	else
		sb_fmt(out, "%s%s\n[kms]\nmr_aggregated = [\"%s\"]\nallow_any_device = true\n", text,
		       n && text[n - 1] != '\n' ? "\n" : "", mr);
	return 0;
}

// The item and the comma that joins it to another go; the rest of the array stays as it is.
static int drop_kms(struct sb *out, const char *text, const char *mr, struct err *e)
{
	bool has_table;
	const char *at = kms_array(text, &has_table), *end = at ? array_end(at) : NULL;
	const char *item = at ? strcasestr(at, mr) : NULL;

	if (!item || item >= end || item == at || item[-1] != item[strlen(mr)])
		return err_set(e, ERR_INPUT, "[kms] mr_aggregated is not laid out to be written to");
	const char *from = item - 1, *to = item + strlen(mr) + 1;
	to += strspn(to, " \t\r\n");
	if (*to == ',') {
		to += 1 + strspn(to + 1, " \t");
	} else { // the last one: the comma before it
		const char *p = from;
		while (p > at && strchr(" \t\r\n", p[-1]))
			p--;
		from = p > at && p[-1] == ',' ? p - 1 : from;
	}
	sb_put(out, text, (size_t)(from - text));
	sb_str(out, to);
	return 0;
}

struct edit {
	const uint8_t *app, *hash; // app NULL: an image
	bool kms, deny;            // not an image, a KMS; which is taken off
	bool only;                 // no other compose file of the app
	bool mark, suspended;      // suspends or resumes the app
};

static bool says(const struct policy_rules *r, const struct edit *x)
{
	if (x->mark)
		return policy_rules_has_app(r, x->app) && policy_rules_suspended(r, x->app) == x->suspended;
	if (!x->app)
		return x->kms ? policy_rules_has_kms(r, x->hash) != x->deny
			      : policy_rules_has_image(r, x->hash);
	return policy_rules_has_compose(r, x->app, x->hash) &&
	       (!x->only || policy_rules_count_compose(r, x->app) == 1);
}

// What is to be written is parsed again, and must say what it was written for.
static int check_and_write(const char *path, struct sb *out, const struct edit *x, struct err *e)
{
	struct policy_rules *r = out->bad ? NULL : policy_rules_parse(out->p, out->n, path, e);

	if (out->bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (!r)
		return -1;
	bool there = says(r, x);
	policy_rules_free(r);
	if (!there)
		return err_set(e, ERR_INPUT,
			       "its layout is not one that can be written to; add the entry by hand");
	return file_write(path, 0644, out->p, out->n, e);
}

static int edit_locked(const char *path, const struct edit *x, struct err *e)
{
	auto_free char *text = NULL;
	auto_sb out = { .max = FILE_MAX };
	size_t n = 0;

	if (file_read(path, FILE_MAX, &text, &n, e)) {
		if (e->class != ERR_ABSENT)
			return -1;
		text = strdup("");
	}
	struct policy_rules *r = text ? policy_rules_parse(text, n, path, e) : NULL;
	if (!r)
		return text ? -1 : err_set(e, ERR_SYSTEM, "out of memory");
	bool there = says(r, x);
	int rc = 0;
	if (!there && x->mark)
		rc = set_suspended(&out, text, x->app, x->suspended, e);
	else if (!there && x->app)
		rc = add_compose(&out, text, r, x->app, STR_HEX(x->hash, HASH), x->only, e);
	else if (!there && x->deny)
		rc = drop_kms(&out, text, STR_HEX(x->hash, HASH), e);
	else if (!there && x->kms)
		rc = add_kms(&out, text, STR_HEX(x->hash, HASH), e);
	else if (!there)
		add_image(&out, text, STR_HEX(x->hash, HASH));
	policy_rules_free(r);
	return rc || there ? rc : check_and_write(path, &out, x, e);
}

// The lock is a file beside it, because the policy file itself is replaced.
static int edit(const char *path, const struct edit *x, struct err *e)
{
	auto_free char *lock = str_format("%s.lock", path);
	auto_close int fd = -1;

	if (str_ends(path, ".json"))
		return err_set(e, ERR_INPUT, "policy %s: a JSON file is edited by hand", path);
	fd = lock ? open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
	if (fd < 0)
		return err_errno(e, "policy %s: open lock", path);
	while (flock(fd, LOCK_EX))
		if (errno != EINTR)
			return err_errno(e, "policy %s: lock", path);
	return edit_locked(path, x, e) ? err_wrap(e, "policy %s", path) : 0;
}

static int edit_compose(const char *path, const char *app_id, const char *compose_hash, bool only,
			struct err *e)
{
	uint8_t app[APP], hash[HASH];
	const struct edit x = { .app = app, .hash = hash, .only = only };

	if (policy_hex(app_id, app, sizeof app) || policy_hex(compose_hash, hash, sizeof hash))
		return err_set(e, ERR_INPUT, "app id is not 40, or compose hash not 64, hex digits");
	return edit(path, &x, e);
}

int policy_file_allow(const char *path, const char *app_id, const char *compose_hash, struct err *e)
{
	return edit_compose(path, app_id, compose_hash, false, e);
}

int policy_file_replace(const char *path, const char *app_id, const char *compose_hash, struct err *e)
{
	return edit_compose(path, app_id, compose_hash, true, e);
}

int policy_file_suspend(const char *path, const char *app_id, bool suspended, struct err *e)
{
	uint8_t app[APP];
	const struct edit x = { .app = app, .mark = true, .suspended = suspended };

	if (policy_hex(app_id, app, sizeof app))
		return err_set(e, ERR_INPUT, "app id is not 40 hex digits");
	return edit(path, &x, e);
}

int policy_file_allow_image(const char *path, const char *os_image_hash, struct err *e)
{
	uint8_t hash[HASH];
	const struct edit x = { .hash = hash };

	if (policy_hex(os_image_hash, hash, sizeof hash))
		return err_set(e, ERR_INPUT, "image hash is not 64 hex digits");
	return edit(path, &x, e);
}

static int edit_kms(const char *path, const char *mr_aggregated, bool deny, struct err *e)
{
	uint8_t hash[HASH];
	const struct edit x = { .hash = hash, .kms = true, .deny = deny };

	if (policy_hex(mr_aggregated, hash, sizeof hash))
		return err_set(e, ERR_INPUT, "aggregated measurement is not 64 hex digits");
	return edit(path, &x, e);
}

int policy_file_allow_kms(const char *path, const char *mr_aggregated, struct err *e)
{
	return edit_kms(path, mr_aggregated, false, e);
}

int policy_file_deny_kms(const char *path, const char *mr_aggregated, struct err *e)
{
	return edit_kms(path, mr_aggregated, true, e);
}
