#include "semver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct version {
	unsigned long part[3];
	int n; // how many parts were given
};

static int read_version(const char **p, struct version *v)
{
	*v = (struct version){ 0 };
	for (;;) {
		char *end;

		if (v->n && (**p == '*' || **p == 'x')) {
			(*p)++;
			return 0;
		}
		if (**p < '0' || **p > '9' || v->n == 3)
			return -1;
		v->part[v->n++] = strtoul(*p, &end, 10);
		*p = end;
		if (**p != '.')
			return 0;
		(*p)++;
	}
}

// Compare only as many parts as the requirement gave.
static int compare(const struct version *have, const struct version *want, int parts)
{
	for (int i = 0; i < parts; i++)
		if (have->part[i] != want->part[i])
			return have->part[i] < want->part[i] ? -1 : 1;
	return 0;
}

static bool holds(const char *op, const struct version *have, const struct version *want)
{
	int c = compare(have, want, want->n), fixed = 1;

	if (!strcmp(op, "="))
		return c == 0;
	if (!strcmp(op, ">"))
		return c > 0;
	if (!strcmp(op, ">="))
		return c >= 0;
	if (!strcmp(op, "<"))
		return c < 0;
	if (!strcmp(op, "<="))
		return c <= 0;
	if (!strcmp(op, "~")) {
		fixed = want->n > 1 ? 2 : 1;
	} else { // ^: up to the first part that is not zero stays
		while (fixed < want->n && want->part[fixed - 1] == 0)
			fixed++;
	}
	return compare(have, want, 3) >= 0 && compare(have, want, fixed) == 0;
}

int semver_match(const char *requirement, const char *version, bool *ok)
{
	struct version have, want;
	const char *p = version;

	*ok = true;
	if (read_version(&p, &have) || (*p && *p != '-' && *p != '+'))
		return -1;
	bool pre = *p == '-';
	for (p = requirement;;) {
		char op[3] = "^";

		p += strspn(p, " ");
		size_t n = strspn(p, "<>=^~");
		if (n > 2)
			return -1;
		if (n)
			snprintf(op, sizeof op, "%.*s", (int)n, p);
		p += n;
		p += strspn(p, " ");
		if (*p == '*') {
			p++;
		} else {
			if (read_version(&p, &want) || (*p != ',' && *p != ' ' && *p))
				return -1;
			if (pre || !holds(op, &have, &want))
				*ok = false;
		}
		p += strspn(p, " ");
		if (!*p)
			return 0;
		if (*p++ != ',')
			return -1;
	}
}
