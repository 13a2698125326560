#include "names.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/strings.h"

enum { ID = 40 };

static bool is_label(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = p[i];
		bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!alnum && !(c == '-' && i && i + 1 < n))
			return false;
	}
	return n >= 1 && n <= 63;
}

bool name_is_valid(const char *name)
{
	uint8_t ip[16];
	size_t n = strlen(name);

	if (inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1)
		return true;
	if (!n || n > 253)
		return false;
	for (;;) {
		size_t label = strcspn(name, ".");
		if (!is_label(name, label))
			return false;
		if (!name[label])
			return true;
		name += label + 1;
	}
}

static bool is_address(const char *name)
{
	uint8_t a[16];

	return inet_pton(AF_INET, name, a) == 1 || inet_pton(AF_INET6, name, a) == 1;
}

int name_check_form(const char *name, struct err *e)
{
	const char *rest = strncmp(name, "*.", 2) ? name : name + 2;

	if (name_is_valid(rest) && (rest == name || (strchr(rest, '.') && !is_address(rest))))
		return 0;
	return err_code(e, ERR_INPUT, "csr.san", "%s is no DNS name and no IP address", STR_QZ(name));
}

static bool same_address(const char *a, const char *b)
{
	uint8_t x[16], y[16];

	return (inet_pton(AF_INET6, a, x) == 1 && inet_pton(AF_INET6, b, y) == 1 && !memcmp(x, y, 16)) ||
	       (inet_pton(AF_INET, a, x) == 1 && inet_pton(AF_INET, b, y) == 1 && !memcmp(x, y, 4));
}

// Also through a wildcard: "*.example.org" is good for "kms.example.org".
static bool is_own(const struct name_rules *r, const char *name)
{
	for (size_t i = 0; i < r->n_own; i++) {
		const char *own = r->own[i], *dot = strchr(own, '.');

		if (!strcasecmp(own, name) || same_address(own, name) ||
		    (!strncmp(name, "*.", 2) && dot && !strcasecmp(dot + 1, name + 2)))
			return true;
	}
	return false;
}

static bool is_id(const char *label, size_t n)
{
	size_t hex = strspn(label, "0123456789abcdefABCDEF");

	return hex >= ID && hex <= n && (n == ID || (hex == ID && label[ID] == '-'));
}

static bool is_of(const char *label, const struct name_owner *who)
{
	return !strncasecmp(label, who->app, ID) ||
	       (*who->instance && !strncasecmp(label, who->instance, ID));
}

// A label that is an id, with or without a suffix as gateways use it ("<id>-8080").
static bool is_foreign(const char *name, const struct name_owner *who)
{
	for (const char *p = name; *p;) {
		size_t n = strcspn(p, ".");

		if (is_id(p, n) && !is_of(p, who))
			return true;
		p += n + (p[n] == '.');
	}
	return false;
}

// The name is the domain, or under it: where the label right below it begins, else NULL.
static const char *below(const char *name, const char *domain)
{
	size_t n = strlen(name), d = strlen(domain);

	if (n < d || strcasecmp(name + n - d, domain))
		return NULL;
	if (n == d)
		return name + n;
	if (name[n - d - 1] != '.')
		return NULL;
	const char *p = name + n - d - 1;
	while (p > name && p[-1] != '.')
		p--;
	return p;
}

static bool breaks_domain(const struct name_rules *r, const char *name, const struct name_owner *who)
{
	for (size_t i = 0; i < r->n_domains; i++) {
		const char *label = below(name, r->domains[i]);

		if (label && !(is_id(label, strcspn(label, ".")) && is_of(label, who)))
			return true;
	}
	return false;
}

// `pattern` with its placeholders filled in.
static bool expand(char *out, size_t cap, const char *pattern, const struct name_owner *who)
{
	size_t n = 0;

	while (*pattern) {
		const char *put = NULL;
		size_t skip = 1;
		if (str_starts(pattern, "{app_id}")) {
			put = who->app;
			skip = 8;
		} else if (str_starts(pattern, "{instance_id}")) {
			put = who->instance;
			skip = 13;
			if (!*put)
				return false;
		}
		size_t len = put ? strlen(put) : 1;
		if (n + len >= cap)
			return false;
		memcpy(out + n, put ? put : pattern, len);
		n += len;
		pattern += skip;
	}
	out[n] = 0;
	return true;
}

static bool is_allowed(const struct name_rules *r, const char *name, const struct name_owner *who)
{
	char pattern[256];

	for (size_t i = 0; i < r->n_allowed; i++) {
		if (!expand(pattern, sizeof pattern, r->allowed[i], who))
			continue;
		if (!strcasecmp(pattern, name) || same_address(pattern, name))
			return true;
		size_t tail = strlen(pattern + 1), n = strlen(name);
		if (str_starts(pattern, "*.") && n > tail && !strcasecmp(name + n - tail, pattern + 1))
			return true;
	}
	return !r->n_allowed;
}

static int check_owner(const struct name_rules *r, const char *name, const char *code,
		       const struct name_owner *who, struct err *e)
{
	if (is_own(r, name))
		return err_code(e, ERR_DENIED, code, "%s is a name of the KMS", STR_QZ(name));
	if (is_foreign(name, who) || breaks_domain(r, name, who))
		return err_code(e, ERR_DENIED, code, "%s is not a name of this app", STR_QZ(name));
	return 0;
}

int name_check(const struct name_rules *r, const char *name, const struct name_owner *who, struct err *e)
{
	if (name_check_form(name, e) || check_owner(r, name, "csr.san", who, e))
		return -1;
	if (!is_allowed(r, name, who))
		return err_code(e, ERR_DENIED, "csr.san", "%s does not match certificates.allowed_names",
				STR_QZ(name));
	return 0;
}

int name_check_subject(const struct name_rules *r, const char *cn, const struct name_owner *who,
		       struct err *e)
{
	static const char *const cas[] = { "Dstack KMS CA", "Dstack App CA", "Dstack Client Temp CA" };

	for (size_t i = 0; i < sizeof cas / sizeof *cas; i++)
		if (!strcasecmp(cn, cas[i]))
			return err_code(e, ERR_DENIED, "csr.subject", "%s is the name of a CA", STR_QZ(cn));
	return check_owner(r, cn, "csr.subject", who, e);
}
