#include "admin_auth.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/strings.h"
#include "base/time.h"
#include "core/codec/base64.h"

enum { FILE_MAX = 64 * 1024, USERS_MAX = 64, BCRYPT_LEN = 60, COST_MAX = 12, CREDENTIALS_MAX = 512 };
// A bcrypt takes up to a quarter of a second of the loop: so many tries at once, so many a second.
enum { TRIES_MAX = 5, TRY_EVERY_MS = 1000 };

struct user {
	char *name;
	char hash[BCRYPT_LEN + 1];
};

struct admin_auth {
	bool has_token;
	uint8_t token[32]; // SHA-256
	struct user users[USERS_MAX];
	size_t n_users;
	uint8_t known[32]; // SHA-256 of the credentials that were right last, so that bcrypt runs once
	bool has_known;
	uint64_t spent_ms; // of the tries: each adds TRY_EVERY_MS, time takes them away
};

static void digest(struct span s, uint8_t out[static 32])
{
	SHA256(s.p, s.n, out);
}

static int take_token(struct admin_auth *a, struct span t, const char *from, struct err *e)
{
	while (t.n && strchr(" \t\r\n", t.p[t.n - 1]))
		t.n--;
	while (t.n && strchr(" \t\r\n", *t.p))
		t.p++, t.n--;
	if (!t.n)
		return err_code(e, ERR_INPUT, "admin.token", "the admin token in %s is empty", from);
	digest(t, a->token);
	a->has_token = true;
	return 0;
}

static int load_token(struct admin_auth *a, const char *path, struct err *e)
{
	auto_secret *s = NULL;

	if (file_read_secret(path, FILE_MAX, &s, e))
		return err_wrap(e, "admin token");
	return take_token(a, span_of(s->b, s->n), path, e);
}

// "$2y$10$" and 53 characters; the cost is bounded because every try is paid by the loop.
static bool is_bcrypt(const char *h, size_t n)
{
	static const char set[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	int cost = n == BCRYPT_LEN ? (h[4] - '0') * 10 + (h[5] - '0') : 0;

	return n == BCRYPT_LEN && h[0] == '$' && h[1] == '2' && strchr("aby", h[2]) && h[3] == '$' &&
	       h[5] >= '0' && h[5] <= '9' && cost >= 4 && cost <= COST_MAX && h[6] == '$' &&
	       strspn(h + 7, set) >= BCRYPT_LEN - 7;
}

static int add_user(struct admin_auth *a, const char *line, size_t n, const char *path, struct err *e)
{
	const char *colon = memchr(line, ':', n);
	struct user *u = &a->users[a->n_users];

	if (!colon || colon == line || !is_bcrypt(colon + 1, n - (size_t)(colon + 1 - line)))
		return err_code(e, ERR_INPUT, "admin.htpasswd",
				"%s: line %zu is not NAME:BCRYPT with a cost of 4 to %d", path,
				a->n_users + 1, COST_MAX);
	if (a->n_users == USERS_MAX)
		return err_code(e, ERR_INPUT, "admin.htpasswd", "%s has more than %d lines", path, USERS_MAX);
	u->name = str_dup_n(line, (size_t)(colon - line));
	if (!u->name)
		return err_set(e, ERR_SYSTEM, "out of memory");
	memcpy(u->hash, colon + 1, BCRYPT_LEN);
	a->n_users++;
	return 0;
}

static int load_users(struct admin_auth *a, const char *path, struct err *e)
{
	auto_free char *text = NULL;
	size_t n = 0;

	if (file_read(path, FILE_MAX, &text, &n, e))
		return err_wrap(e, "admin passwords");
	for (const char *p = text, *end = text + n; p < end;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl ? nl : end;
		size_t len = (size_t)(stop - p);
		if (len && p[len - 1] == '\r')
			len--;
		if (len && add_user(a, p, len, path, e))
			return -1;
		p = stop + 1;
	}
	return a->n_users ? 0 : err_code(e, ERR_INPUT, "admin.htpasswd", "%s has no line", path);
}

static struct admin_auth *new_auth(const char *token_file, const char *env, const char *htpasswd_file,
				   struct err *e)
{
	struct admin_auth *a = calloc(1, sizeof *a);
	int rc = a ? 0 : err_set(e, ERR_SYSTEM, "out of memory");

	if (!rc && !*token_file && !env && !*htpasswd_file)
		rc = err_code(
			e, ERR_INPUT, "admin.no_auth",
			"the admin listener has neither a token nor passwords: set core.admin.token_file "
			"or core.admin.htpasswd_file");
	if (!rc && *token_file)
		rc = load_token(a, token_file, e);
	else if (!rc && env)
		rc = take_token(a, span_str(getenv(env)), env, e);
	if (!rc && *htpasswd_file)
		rc = load_users(a, htpasswd_file, e);
	if (!rc)
		return a;
	admin_auth_free(a);
	return NULL;
}

struct admin_auth *admin_auth_new(const char *token_file, const char *htpasswd_file, struct err *e)
{
	return new_auth(token_file, NULL, htpasswd_file, e);
}

struct admin_auth *admin_auth_new_env(const char *token_file, const char *htpasswd_file, struct err *e)
{
	static const char *const names[] = { "DSTACK_KMS_ADMIN_TOKEN", "ADMIN_API_TOKEN" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (getenv(names[i]) && *getenv(names[i]))
			return new_auth(token_file, names[i], htpasswd_file, e);
	return new_auth(token_file, NULL, htpasswd_file, e);
}

void admin_auth_free(struct admin_auth *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n_users; i++)
		free(a->users[i].name);
	OPENSSL_cleanse(a, sizeof *a);
	free(a);
}

static bool is_token(const struct admin_auth *a, struct span given)
{
	uint8_t h[32];

	digest(given, h);
	return a->has_token && !CRYPTO_memcmp(h, a->token, sizeof h);
}

static bool may_try(struct admin_auth *a)
{
	uint64_t now = time_mono_ms();

	if (a->spent_ms < now)
		a->spent_ms = now;
	if (a->spent_ms - now >= (uint64_t)TRIES_MAX * TRY_EVERY_MS)
		return false;
	a->spent_ms += TRY_EVERY_MS;
	return true;
}

// `both` is USER:PASSWORD, NUL-terminated. An unknown user costs the same as a wrong password.
static bool is_password(struct admin_auth *a, const char *both, const char *colon)
{
	static const char nobody[] = "$2b$10$abcdefghijklmnopqrstuu5Lo0g67CiD3M4RpN1BmBb4Crp5w7dbK";
	size_t n = (size_t)(colon - both);
	const char *want = nobody;
	uint8_t h[32];

	digest(span_str(both), h);
	if (a->has_known && !CRYPTO_memcmp(h, a->known, sizeof h))
		return true;
	if (!a->n_users || !may_try(a))
		return false;
	for (size_t i = 0; i < a->n_users; i++)
		if (strlen(a->users[i].name) == n && !CRYPTO_memcmp(a->users[i].name, both, n))
			want = a->users[i].hash;
	auto_free struct crypt_data *room = calloc(1, sizeof *room);
	const char *got = room ? crypt_r(colon + 1, want, room) : NULL;
	bool ok = want != nobody && got && strlen(got) == BCRYPT_LEN && !CRYPTO_memcmp(got, want, BCRYPT_LEN);
	if (room)
		OPENSSL_cleanse(room, sizeof *room);
	if (ok) {
		memcpy(a->known, h, sizeof h);
		a->has_known = true;
	}
	return ok;
}

static bool allows_basic(struct admin_auth *a, struct span given)
{
	char both[CREDENTIALS_MAX + 1];
	struct wr w = wr_to(both, CREDENTIALS_MAX);
	bool ok = false;

	if (given.n > CREDENTIALS_MAX || base64_decode(&w, given) || w.bad || memchr(both, 0, w.n))
		return false;
	both[w.n] = 0;
	const char *colon = strchr(both, ':');
	if (colon)
		ok = is_token(a, span_str(colon + 1)) ||
		     (!colon[1] && is_token(a, span_of(both, (size_t)(colon - both)))) ||
		     is_password(a, both, colon);
	OPENSSL_cleanse(both, sizeof both);
	return ok;
}

static bool take_scheme(struct span *v, const char *scheme)
{
	size_t n = strlen(scheme);

	if (v->n <= n || strncasecmp((const char *)v->p, scheme, n) || v->p[n] != ' ')
		return false;
	v->p += n + 1;
	v->n -= n + 1;
	while (v->n && *v->p == ' ')
		v->p++, v->n--;
	return true;
}

bool admin_auth_allows(struct admin_auth *a, const struct http_head *h)
{
	const struct span *token = http_field(h, "X-Admin-Token"), *given = http_field(h, "Authorization");

	if (token && is_token(a, *token))
		return true;
	if (!given)
		return false;
	struct span v = *given;
	if (take_scheme(&v, "Bearer"))
		return is_token(a, v);
	v = *given;
	return take_scheme(&v, "Basic") && allows_basic(a, v);
}
