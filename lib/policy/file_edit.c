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

static void insert(struct sb *out, const char *text, const char *at, const char *item)
{
	const char *rest = at;

	while (*rest == ' ' || *rest == '\t' || *rest == '\n' || *rest == '\r')
		rest++;
	sb_put(out, text, (size_t)(at - text));
	sb_fmt(out, "\"%s\"%s", item, *rest == ']' ? "" : ", ");
	sb_str(out, at);
}

static int add_compose(struct sb *out, const char *text, const struct policy_rules *r, const uint8_t *app,
		       const char *compose, struct err *e)
{
	const char *at = array_of(text, "compose_hashes", app);
	size_t n = strlen(text);

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

static void add_image(struct sb *out, const char *text, const char *image)
{
	const char *at = array_of(text, "os_images", NULL);

	if (at)
		insert(out, text, at, image);
	else // before all tables
		sb_fmt(out, "os_images = [\"%s\"]\n%s", image, text);
}

// What is to be written is parsed again, and must say what it was written for.
static int check_and_write(const char *path, struct sb *out, const uint8_t *app, const uint8_t *hash,
			   struct err *e)
{
	struct policy_rules *r = out->bad ? NULL : policy_rules_parse(out->p, out->n, path, e);

	if (out->bad)
		return err_set(e, ERR_SYSTEM, "out of memory");
	if (!r)
		return -1;
	bool there = app ? policy_rules_has_compose(r, app, hash) : policy_rules_has_image(r, hash);
	policy_rules_free(r);
	if (!there)
		return err_set(e, ERR_INPUT,
			       "its layout is not one that can be written to; add the entry by hand");
	return file_write(path, 0644, out->p, out->n, e);
}

static int edit_locked(const char *path, const uint8_t *app, const uint8_t *hash, struct err *e)
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
	bool there = app ? policy_rules_has_compose(r, app, hash) : policy_rules_has_image(r, hash);
	int rc = 0;
	if (!there && app)
		rc = add_compose(&out, text, r, app, STR_HEX(hash, HASH), e);
	else if (!there)
		add_image(&out, text, STR_HEX(hash, HASH));
	policy_rules_free(r);
	return rc || there ? rc : check_and_write(path, &out, app, hash, e);
}

// The lock is a file beside it, because the policy file itself is replaced.
static int edit(const char *path, const uint8_t *app, const uint8_t *hash, struct err *e)
{
	auto_free char *lock = str_format("%s.lock", path);
	auto_close int fd = lock ? open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;

	if (fd < 0)
		return err_errno(e, "policy %s: open lock", path);
	while (flock(fd, LOCK_EX))
		if (errno != EINTR)
			return err_errno(e, "policy %s: lock", path);
	return edit_locked(path, app, hash, e) ? err_wrap(e, "policy %s", path) : 0;
}

int policy_file_allow(const char *path, const char *app_id, const char *compose_hash, struct err *e)
{
	uint8_t app[APP], hash[HASH];

	if (policy_hex(app_id, app, sizeof app) || policy_hex(compose_hash, hash, sizeof hash))
		return err_set(e, ERR_INPUT, "app id is not 40, or compose hash not 64, hex digits");
	return edit(path, app, hash, e);
}

int policy_file_allow_image(const char *path, const char *os_image_hash, struct err *e)
{
	uint8_t hash[HASH];

	if (policy_hex(os_image_hash, hash, sizeof hash))
		return err_set(e, ERR_INPUT, "image hash is not 64 hex digits");
	return edit(path, NULL, hash, e);
}
